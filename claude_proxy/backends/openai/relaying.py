"""A Chat Completions request handed on as it came, and its answer as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from claude_proxy.backends.base import Original
from claude_proxy.backends.http.attempts import read_all, read_some
from claude_proxy.backends.http.splice import with_model
from claude_proxy.backends.openai.failures import find_error, from_object
from claude_proxy.backends.openai.watching import Watch
from claude_proxy.errors import ProxyError, UpstreamError

_HANDED_ON = frozenset(("accept", "http-referer", "idempotency-key", "x-title"))
_TOLD = "x-ratelimit-"
_LINGER_SECONDS = 0.05


@dataclass(slots=True)
class Beginning:
    """What of an answer is there: its whole events so far, and the watch over the rest; ``None``: this is all."""

    data: bytes
    watch: Watch | None


def body(original: Original) -> bytes:
    """Give the body as it came, but for the model's name."""
    return with_model(original.body, original.model)


def url(base_url: str, original: Original) -> str:
    """Give where it goes: ``base-url`` stands for the client's ``/v1``."""
    query = f"?{original.query}" if original.query else ""
    return base_url + original.path.removeprefix("/v1") + query


def request_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the client's headers that an upstream knows something to do with; never a credential."""
    return {name: value for name, value in headers.items() if name in _HANDED_ON or name.startswith("openai-beta")}


def told(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the answer's headers that the client may want: how much is left of its limits."""
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith(_TOLD)}


async def begin(response: aiohttp.ClientResponse, *, stream: bool) -> Beginning:
    """Read a stream's first events, or a whole body; raise the ``ProxyError`` where it is a failure."""
    if not stream or response.content_type == "application/json":
        return Beginning(_checked(await read_all(response)), None)
    watch = Watch()
    while data := await read_some(response):
        if events := watch.feed(data):
            _check_first(events)
            return Beginning(events, watch)
    return Beginning(watch.end(), None)


async def chunks(response: aiohttp.ClientResponse, beginning: Beginning) -> AsyncGenerator[bytes]:
    """Give an answer's bytes, whole events at a time; raise where the upstream breaks off."""
    yield beginning.data
    watch = beginning.watch
    if watch is None:
        return
    while not watch.is_done:
        data = await _next(response, watch)
        if events := watch.feed(data) if data else watch.end():
            yield events
        if not data:
            return
    await linger(response)


async def _next(response: aiohttp.ClientResponse, watch: Watch) -> bytes:
    try:
        return await read_some(response)
    except ProxyError:
        if not watch.has_ended:
            raise
        return b""  # the reply is whole: how the connection ends says nothing


async def linger(response: aiohttp.ClientResponse) -> None:
    """Wait a moment for an answer's end: once it has been read, its connection can be used again."""
    with contextlib.suppress(ProxyError, TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            await read_all(response)


def _checked(data: bytes) -> bytes:
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamError("the upstream's answer isn't JSON") from error
    _raise_error(document)
    return data


def _raise_error(document: Any) -> None:
    found = find_error(document)
    if found is not None:
        raise from_object(found)


def _check_first(events: bytes) -> None:
    """Raise the error that a stream begins with: nothing has been sent yet, so it can still have its own status."""
    first = next((line for line in events.splitlines() if line.startswith(b"data:")), b"")
    if b'"error"' in first:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            _raise_error(msgspec.json.decode(first.removeprefix(b"data:")))
