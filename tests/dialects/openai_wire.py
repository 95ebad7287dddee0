"""The official openai SDK's client, which gets its answers from a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx2
import openai


@dataclass
class Wire:
    """The client, and the bytes that it gets for its next request."""

    client: openai.OpenAI
    body: bytes = b""
    status: int = 200


AnyWire = TypeVar("AnyWire", bound=Wire)


@contextmanager
def wired(kind: type[AnyWire]) -> Iterator[AnyWire]:
    """Give a client whose transport answers with whatever the test put there."""
    replied: list[AnyWire] = []

    def handle(_: httpx2.Request) -> httpx2.Response:
        streamed = replied[0].body.startswith((b"data:", b"event:", b":"))
        media_type = "text/event-stream" if streamed else "application/json"
        return httpx2.Response(replied[0].status, content=replied[0].body, headers={"content-type": media_type})

    transport = httpx2.Client(transport=httpx2.MockTransport(handle))
    with openai.OpenAI(api_key="none", base_url="http://127.0.0.1/v1", http_client=transport, max_retries=0) as client:
        replied.append(kind(client))
        yield replied[0]
