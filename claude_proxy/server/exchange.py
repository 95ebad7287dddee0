"""One request and its answer under way, and all of them: what is logged, what is limited, what shutdown waits for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from uuid import uuid4

from aiohttp import web

from claude_proxy.backends.base import Backend, Relayed, Turn
from claude_proxy.config.schema import Config
from claude_proxy.errors import ProxyError, Unavailable
from claude_proxy.ledger.store import Ledger
from claude_proxy.routing import Names
from claude_proxy.server.leaving import Leaving
from claude_proxy.server.metrics import Metrics
from claude_proxy.server.places import Places
from claude_proxy.store.responses import ResponseStore


@dataclass(slots=True)
class Excerpt:
    """The first ``limit`` bytes of something, and how long it is."""

    limit: int
    total: int = 0
    kept: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.total += len(data)
        self.kept += data[: self.limit - len(self.kept)]


@dataclass(slots=True, eq=False)
class Exchange:
    """What is known of one request so far. Everything that is logged or told in headers is read from here."""

    id: str = field(default_factory=lambda: f"req_{uuid4().hex}")
    started: float = field(default_factory=monotonic)
    client: str = ""
    """A digest of the client's key; empty where no keys are set."""
    origin: str | None = None
    """The foreign browser origin that was let in."""
    dialect: str = ""
    """Of a request for a turn; empty for all others."""
    model: str = ""
    backend: str = ""
    losses: Sequence[str] = ()
    """What the dialect couldn't honour, in the client's words."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Our field names in the client's words, for what the backend couldn't honour."""
    reading: bool = False
    """The body isn't all here yet."""
    turn: Turn | Relayed | None = None
    received: bytes | None = None
    """The request's body, kept only where ``request-log`` asks for it; as ``sent``."""
    sent: Excerpt | None = None
    """The beginning of a streamed answer."""
    client_gone: bool = False
    error: ProxyError | None = None
    """How it failed, also where the status said 200 already."""
    _stopped: bool = False
    _scope: asyncio.Timeout | None = None

    def elapsed(self) -> float:
        """Give the seconds since the request came."""
        return monotonic() - self.started

    @property
    def answered_by(self) -> str:
        """Who answers: the one of a backend's upstreams that it names, else the backend."""
        return (self.turn.answered_by if self.turn is not None else "") or self.backend

    @asynccontextmanager
    async def stoppable(self) -> AsyncIterator[None]:
        """Raise ``Unavailable`` inside as soon as :meth:`stop` is called."""
        if self._stopped:
            raise _stopping()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scope = scope
                yield
        except TimeoutError:
            if not scope.expired():
                raise
            raise _stopping() from None
        finally:
            self._scope = None

    def stop(self) -> None:
        """End what runs inside :meth:`stoppable` now, and let nothing in any more."""
        if self._scope is not None and not self._stopped:
            self._scope.reschedule(0)
        self._stopped = True


def _stopping() -> Unavailable:
    return Unavailable("the server is stopping", retry_after=5)


CURRENT: ContextVar[Exchange] = ContextVar("exchange")
"""The exchange of the running task: the server runs each request in a task of its own."""


@dataclass(slots=True)
class Exchanges:
    """All requests under way."""

    _open: set[Exchange] = field(default_factory=set)
    _places: Places = field(default_factory=Places)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _awaited: list[tuple[set[Exchange], asyncio.Event]] = field(default_factory=list)
    """Those whose end somebody waits for together, and how that is told."""

    @contextmanager
    def track(self, exchange: Exchange) -> Iterator[None]:
        """Count one request, and make it the task's current one.

        It stays that after the end: the headers of a whole answer are made when it is sent, a moment later.
        """
        self._open.add(exchange)
        self._idle.clear()
        CURRENT.set(exchange)
        try:
            yield
        finally:
            self._open.discard(exchange)
            if not self._open:
                self._idle.set()
            if self._awaited:
                self._tell_ended(exchange)

    def end_of_open(self) -> asyncio.Event:
        """Give what is set once all requests that are under way now have ended, whatever comes after them."""
        over = asyncio.Event()
        if self._open:
            self._awaited.append((set(self._open), over))
        else:
            over.set()
        return over

    def _tell_ended(self, exchange: Exchange) -> None:
        for left, over in self._awaited:
            left.discard(exchange)
            if not left:
                over.set()
        self._awaited = [(left, over) for left, over in self._awaited if left]

    @property
    def turns(self) -> int:
        """How many turns are under way."""
        return self._places.taken

    @contextmanager
    def place(self, limit: int) -> Iterator[None]:
        """Hold one of ``limit`` places; raise ``RateLimited`` at once where all are taken."""
        self._places.take(limit)
        began = monotonic()
        try:
            yield
        finally:
            self._places.leave(monotonic() - began)

    async def drain(self, seconds: float, hurry: asyncio.Event, *, grace_seconds: float) -> None:
        """Give what is open ``seconds`` to end (less when ``hurry`` is set), then fail it, and let that be told.

        Call it when connections read no more: who is still sending a body is failed at once.
        """
        for exchange in [exchange for exchange in self._open if exchange.reading]:
            exchange.stop()
        if await self._idle_within(seconds, hurry):
            return
        for exchange in list(self._open):
            exchange.stop()
        await self._idle_within(grace_seconds, asyncio.Event())

    async def _idle_within(self, seconds: float, hurry: asyncio.Event) -> bool:
        if not self._open:
            return True
        async with asyncio.TaskGroup() as tasks:
            waits = [tasks.create_task(event.wait()) for event in (self._idle, hurry)]
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        return not self._open


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed. ``message`` is one line without secrets, ``at`` in Unix seconds."""

    at: float
    status: int
    type: str
    message: str
    model: str
    backend: str
    request_id: str


_MOST_FAILURES = 10


@dataclass(slots=True)
class Server:
    """What every handler needs. ``config`` and ``backends`` may change while the server runs: see :meth:`now`."""

    config: Config
    backends: Sequence[Backend]
    demo: bool = False
    store: ResponseStore = field(default_factory=ResponseStore)
    ledger: Ledger = field(default_factory=Ledger)
    config_path: Path | None = None
    """The configuration's file, where there is one."""
    started_at: float = field(default_factory=time.time)
    began: float = field(default_factory=monotonic)
    """As ``started_at``, by a clock that nobody sets."""
    metrics: Metrics = field(default_factory=Metrics)
    failures: deque[Failure] = field(default_factory=lambda: deque(maxlen=_MOST_FAILURES))
    """The last ones, the latest first; in memory only."""
    exchanges: Exchanges = field(default_factory=Exchanges)
    names: Names = field(default_factory=Names)
    listed: set[str] = field(default_factory=set)
    """The backends that know by now which models they have."""
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody asked twice to stop: nothing is waited for any more."""
    leaving: Leaving = field(default_factory=Leaving)

    def now(self) -> Server:
        """Give what a request begins with, and keeps to its end: all that is counted and known stays shared."""
        return replace(self)

    def change(self, config: Config, backends: Sequence[Backend]) -> None:
        """Let the requests that come from now on have these. Who isn't among the backends any more is seen off.

        New backends have been started; it never awaits, so that no request sees half of it.
        """
        staying = {id(backend) for backend in backends}
        gone = [backend for backend in self.backends if id(backend) not in staying]
        self.config, self.backends = config, backends
        self.store.days = config.responses_days
        self.listed.difference_update(backend.name for backend in gone)
        for backend in gone:
            self.leaving.see_off(backend, self.exchanges.end_of_open())


SERVER = web.AppKey("server", Server)
