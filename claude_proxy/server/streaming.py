"""The path of a streamed delta: event, grammar, dialect, socket. Nothing is gathered on the way.

Headers go out with the first content, ten milliseconds after the first event, or with the first sign of life,
whichever is first. Before the first event a failure is an HTTP status; after it the dialect's error event, and then the
end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic

from aiohttp import web

from claude_proxy.backends.base import Turn
from claude_proxy.canon.blocks import ToolUse
from claude_proxy.canon.events import AnyEvent, BlockStart, BlockStop, MessageDelta, MessageStart, MessageStop, Ping
from claude_proxy.canon.grammar import Grammar
from claude_proxy.dialects.base import ReplyStream

log = logging.getLogger(__name__)

_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


_AT_ONCE = 32 << 10
_UNREAD_SECONDS = 60.0
"""How long a client may let what was sent lie: as long it holds a place and, maybe, a process from others."""

_FRAMING = frozenset({MessageStart, BlockStart, BlockStop, Ping})
"""What isn't content itself, a tool call's beginning excepted, and nearly always has content right behind it."""

_BRIEFLY = 0.01
"""How long it waits for that, so that both need one packet only, and one wake-up of the client. Content never waits."""

_CLOSING = frozenset({MessageDelta, MessageStop})
"""Nothing but the end comes after these, and that at once."""

COUNTED: frozenset[type] = frozenset((MessageStart, MessageDelta))
"""What says how many tokens a turn took: nothing else is looked at for it."""


class _Streamed(web.StreamResponse):
    """A response whose headers go out with its first bytes: one packet, and a client that wakes up once."""

    _send_headers_immediately = False


class ClientGone(Exception):
    """Nobody reads this answer any more."""


class Wire:
    """One streamed response. What is written goes out at once, in order, and no faster than the client reads.

    ``keepalive`` is written whenever nothing else was for ``interval`` seconds (never where it is 0). ``copy`` gets
    what is sent. Use it inside :meth:`kept_alive`.
    """

    def __init__(
        self, request: web.Request, keepalive: bytes, interval: float, copy: Callable[[bytes], None] | None = None
    ) -> None:
        self.response = _Streamed(headers=_HEADERS)
        self._request = request
        self._keepalive = keepalive
        self._interval = interval
        self._copy = copy
        self._held = b""
        self._written = monotonic()
        # Two write here, the reply and the signs of life: a frame is never inside another.
        self._turn = asyncio.Lock()
        self._silence: asyncio.TimerHandle | None = None
        self._brief: asyncio.TimerHandle | None = None
        self._beside: set[asyncio.Task[None]] = set()

    @property
    def begun(self) -> bool:
        """Whether anything is out or about to be, so that a failure can't be a status any more."""
        return self.response.prepared or bool(self._held)

    def hold(self, frames: bytes, *, briefly: bool = False) -> None:
        """Send these frames with the next ones, or with the end.

        Where it is only ``briefly`` they go out alone if nothing follows, and so do the headers; a client that still
        has to read what was sent before gets them with what comes next.
        """
        self._held += frames
        is_owed = self._held or not self.response.prepared
        if briefly and is_owed and self._brief is None:
            self._brief = asyncio.get_running_loop().call_later(_BRIEFLY, self._let_go)

    def _let_go(self) -> None:
        self._brief = None
        self._send(b"")

    async def write(self, frames: bytes) -> None:
        """Send frames (and the headers before the first); wait where the client is slow."""
        async with self._turn:
            try:
                await self.response.prepare(self._request)
                frames = self._taken(frames)
                # Without frames, too: then the headers go out alone.
                await self._sent(self.response.write(frames), len(frames))
            except ConnectionError as error:
                raise ClientGone from error
            self._written = monotonic()

    async def end(self) -> None:
        """Complete the response."""
        async with self._turn:
            try:
                await self.response.prepare(self._request)
                frames = self._taken(b"")
                await self._sent(self.response.write_eof(frames), len(frames))
            except ConnectionError as error:
                raise ClientGone from error

    async def _sent(self, sending: Awaitable[None], size: int) -> None:
        """Wait until ``size`` bytes are sent; raise ``ClientGone`` where the client doesn't read on."""
        transport = self._request.transport
        if transport is None or transport.get_write_buffer_size() + size < _AT_ONCE:
            # Nearly always: no timer for each delta.
            await sending
            return
        try:
            async with asyncio.timeout(_UNREAD_SECONDS):
                await sending
        except TimeoutError as error:
            log.info("a client that doesn't read its answer is left after %g s", _UNREAD_SECONDS)
            transport.abort()
            raise ClientGone from error

    def _taken(self, frames: bytes) -> bytes:
        if self._brief is not None:
            self._brief.cancel()
            self._brief = None
        frames, self._held = self._held + frames, b""
        if frames and self._copy is not None:
            self._copy(frames)
        return frames

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Give signs of life inside. A timer waits for silence, not a task: most answers never need one."""
        if self._interval:
            self._wait(self._interval)
        try:
            yield
        finally:
            for timer in (self._silence, self._brief):
                if timer is not None:
                    timer.cancel()
            await asyncio.gather(*self._beside, return_exceptions=True)

    def _wait(self, seconds: float) -> None:
        self._silence = asyncio.get_running_loop().call_later(max(seconds, 0.001), self._wake)

    def _wake(self) -> None:
        left = self._written + self._interval - monotonic()
        if left > 0:
            self._wait(left)
            return
        self._written = monotonic()
        self._wait(self._interval)
        self._send(self._keepalive)

    def _send(self, frames: bytes) -> None:
        """Write beside the reply, unless that is writing just now."""
        # A client that hasn't read what was sent needs no sign of life, and this must never wait for one: the end of
        # the reply waits for it.
        transport = self._request.transport
        if transport is not None and not transport.get_write_buffer_size() and not self._turn.locked():
            task = asyncio.create_task(self._write_beside(frames))
            self._beside.add(task)
            task.add_done_callback(self._beside.discard)

    async def _write_beside(self, frames: bytes) -> None:
        # The reply itself finds out soon enough.
        with suppress(ClientGone):
            await self.write(frames)


def _is_framing(event: AnyEvent) -> bool:
    return type(event) in _FRAMING and not (type(event) is BlockStart and type(event.block) is ToolUse)


async def send_events(turn: Turn, reply: ReplyStream, wire: Wire) -> None:
    """Send a turn's events as they come, to the end; raise ``UpstreamError`` where they aren't a whole reply."""
    grammar = Grammar()
    async for event in turn.events:
        grammar.check(event)
        if type(event) in COUNTED:
            turn.used = turn.used.after(event)
        frames = reply.feed(event)
        if type(event) in _CLOSING:
            wire.hold(frames)
        elif _is_framing(event):
            wire.hold(frames, briefly=True)
        elif frames:
            await wire.write(frames)
    grammar.check_end()
    wire.hold(reply.finish())
