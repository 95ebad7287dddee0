"""An upstream's answer as it comes: its bytes, whole events at a time, watched for how they end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from claude_proxy.backends.base import UNTOLD, Relayed, Used
from claude_proxy.backends.http.attempts import read_all, read_some
from claude_proxy.errors import ProxyError

_LINGER_SECONDS = 0.05


class Watch(Protocol):
    """Follows one stream. Taking bytes raises the ``ProxyError`` that a stream begins with, or for what is none."""

    @property
    def has_ended(self) -> bool:
        """Whether a reader of what was given knows how the reply ended: how the connection ends says nothing then."""

    @property
    def is_done(self) -> bool:
        """Whether nothing follows."""

    @property
    def error(self) -> ProxyError | None:
        """The failure that a stream told of in its middle."""

    @property
    def used(self) -> Used:
        """What the stream has said so far of who answers, and of its tokens."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; give the events that they complete, as they came."""

    def end(self) -> bytes:
        """Take the end; give what is left, or raise ``UpstreamError`` where the reply broke off."""


@dataclass(slots=True)
class Beginning:
    """What of an answer is there: its whole events so far, and the watch over the rest; ``None``: this is all.

    ``used`` is for an answer that is all there.
    """

    data: bytes
    watch: Watch | None
    used: Used = UNTOLD


async def begin(
    response: aiohttp.ClientResponse, *, stream: bool, make: Callable[[], Watch], check: Callable[[bytes], Used]
) -> Beginning:
    """Read a stream's first events, or a whole body; raise the ``ProxyError`` where it is a failure.

    ``make`` gives the watch of a stream, ``check`` raises for a body that is none, and says what it took.
    """
    if not stream or response.content_type == "application/json":
        body = await read_all(response)
        return Beginning(body, None, check(body))
    watch = make()
    while data := await read_some(response):
        if events := watch.feed(data):
            return Beginning(events, watch)
    return Beginning(watch.end(), None, watch.used)


async def chunks(response: aiohttp.ClientResponse, beginning: Beginning, relayed: Relayed) -> AsyncGenerator[bytes]:
    """Give an answer's bytes, whole events at a time; raise where the upstream breaks off."""
    watch = beginning.watch
    relayed.used = beginning.used if watch is None else watch.used
    yield beginning.data
    if watch is None:
        return
    try:
        while not watch.is_done:
            data = await _next(response, watch)
            if events := watch.feed(data) if data else watch.end():
                yield events
            if not data:
                break
    finally:
        # Also where the client has left.
        relayed.used = watch.used
    relayed.error = watch.error
    if rest := await linger(response):
        yield rest


async def _next(response: aiohttp.ClientResponse, watch: Watch) -> bytes:
    try:
        return await read_some(response)
    except ProxyError:
        if not watch.has_ended:
            raise
        return b""


async def linger(response: aiohttp.ClientResponse) -> bytes:
    """Wait a moment for an answer's end: once it has been read, its connection can be used again. Give what came."""
    parts: list[bytes] = []
    with contextlib.suppress(ProxyError, TimeoutError):  # the reply is whole: how the connection ends says nothing
        async with asyncio.timeout(_LINGER_SECONDS):
            while part := await read_some(response):
                parts.append(part)
    return b"".join(parts)
