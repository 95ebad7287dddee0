"""A Messages request handed on as it came, and its answer as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from claude_proxy.backends.anthropic import headers
from claude_proxy.backends.anthropic.watch import Watch
from claude_proxy.backends.base import Original
from claude_proxy.backends.http.attempts import Outgoing, read_all, read_some
from claude_proxy.backends.http.keys import Credential
from claude_proxy.backends.http.splice import with_model
from claude_proxy.canon.codec import error_from_json
from claude_proxy.errors import NotFound, ProxyError, UpstreamError

_PATHS = frozenset(("/v1/messages", "/v1/messages/count_tokens"))
_LINGER_SECONDS = 0.05


@dataclass(slots=True)
class Beginning:
    """What of an answer is there: its whole events so far, and the watch over the rest; ``None``: this is all."""

    data: bytes
    watch: Watch | None


@dataclass(frozen=True, slots=True)
class Handed:
    """A client's request, ready for whichever key gets it."""

    original: Original
    body: bytes
    headers: dict[str, str]

    def request(self, credential: Credential) -> Outgoing:
        """Give the request as one upstream gets it."""
        query = f"?{self.original.query}" if self.original.query else ""
        url = f"{credential.base_url}{self.original.path}{query}"
        return Outgoing(url, {**self.headers, **credential.headers}, self.body)


def handed(original: Original, usual: dict[str, str]) -> Handed:
    """Take a client's request; raise ``NotFound`` for a path that isn't handed on."""
    if original.path not in _PATHS:
        raise NotFound(f"{original.path} isn't handed on to an upstream")
    sent = {**usual, **headers.to_upstream(original.headers)}
    return Handed(original, with_model(original.body, original.model), sent)


async def begin(response: aiohttp.ClientResponse, *, stream: bool) -> Beginning:
    """Read a stream's first events, or a whole body; raise the ``ProxyError`` where it is a failure."""
    if not stream:
        return Beginning(_checked(await read_all(response)), None)
    watch = Watch()
    while data := await read_some(response):
        if events := watch.feed(data):
            return Beginning(events, watch)
    return Beginning(watch.end(), watch)


def _checked(data: bytes) -> bytes:
    try:
        document: Any = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        error = msgspec.json.decode(document["error"], type=dict[str, Any]) if "error" in document else None
    except (msgspec.DecodeError, ValueError, RecursionError) as failure:
        raise UpstreamError("the upstream's answer isn't a JSON object") from failure
    if error is not None:
        raise error_from_json(error)
    return data


async def chunks(response: aiohttp.ClientResponse, beginning: Beginning) -> AsyncGenerator[bytes]:
    """Give an answer's bytes, whole events at a time; raise where the upstream breaks off."""
    yield beginning.data
    watch = beginning.watch
    if watch is None:
        return
    while not watch.has_ended:
        data = await read_some(response)
        if events := watch.feed(data) if data else watch.end():
            yield events
    if rest := await linger(response):
        yield rest


async def linger(response: aiohttp.ClientResponse) -> bytes:
    """Wait a moment for an answer's end: once it has been read, its connection can be used again. Give what came."""
    parts: list[bytes] = []
    with contextlib.suppress(ProxyError, TimeoutError):  # the reply is whole: how the connection ends says nothing
        async with asyncio.timeout(_LINGER_SECONDS):
            while part := await read_some(response):
                parts.append(part)
    return b"".join(parts)
