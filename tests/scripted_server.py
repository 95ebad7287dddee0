"""A scripted backend and a real server on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from claude_proxy.backends.base import Backend, Call, Health, Model, Original, Relayed, Turn
from claude_proxy.canon.blocks import Text
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    MessageDelta,
    MessageStart,
    MessageStop,
    TextDelta,
    Usage,
)
from claude_proxy.config.schema import Config
from claude_proxy.ledger.store import Ledger
from claude_proxy.server.app import Beside, serve_forever
from claude_proxy.server.listen import Listening
from claude_proxy.store.responses import ResponseStore

MODELS = (
    Model("claude-sonnet-5-5", "Sonnet 5.5", aliases=("sonnet",), effort_levels=("low", "high"), context_window=1000),
    Model("claude-opus-5-5", "Opus 5.5", aliases=("opus",)),
)

Step = AnyEvent | Exception | asyncio.Event


def reply(*texts: str) -> list[AnyEvent]:
    """Give the events of a reply that says ``texts``, a delta each."""
    return [
        MessageStart(id="msg_1", model="claude-sonnet-5-5", usage=Usage(input_tokens=3)),
        BlockStart(index=0, block=Text(text="")),
        *(TextDelta(index=0, text=text) for text in texts),
        BlockStop(index=0),
        MessageDelta(stop_reason="end_turn", usage=Usage(output_tokens=5)),
        MessageStop(),
    ]


@dataclass
class ScriptedBackend:
    """Does what ``script`` says: gives its events, waits for its ``asyncio.Event`` objects, raises its exceptions.

    ``entry`` are steps on entering the turn, before there is any.
    """

    name: str = "scripted"
    kind: str = "claude-cli"
    script: Sequence[Step] = field(default_factory=lambda: reply("Hello", " world"))
    entry: Sequence[Exception | asyncio.Event] = ()
    losses: Sequence[str] = ()
    timings: dict[str, float] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    answered_by: str = ""
    tokens: int | Exception = 42
    offered: Sequence[Model] | Exception = MODELS
    state: Health | Exception = field(default_factory=lambda: Health(ready=True, detail="fine"))
    calls: list[Call] = field(default_factory=list)
    sent: int = 0
    started: bool = False
    closed: bool = False
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    events_closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Note it."""
        self.started = True

    async def close(self) -> None:
        """Note it."""
        self.closed = True

    async def models(self) -> Sequence[Model]:
        """Give ``offered``."""
        if isinstance(self.offered, Exception):
            raise self.offered
        return self.offered

    async def health(self) -> Health:
        """Give ``state``."""
        if isinstance(self.state, Exception):
            raise self.state
        return self.state

    async def reached(self, calls: int) -> None:
        """Wait until so many turns have begun."""
        while len(self.calls) < calls:
            self.entered.clear()
            await self.entered.wait()

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[Turn]:
        """Run the script."""
        self.calls.append(call)
        self.entered.set()
        try:
            for step in self.entry:
                await _take(step)
            yield Turn(self._events(), list(self.losses), dict(self.timings), dict(self.headers), self.answered_by)
        finally:
            self.left.set()

    async def count_tokens(self, call: Call) -> int:
        """Give ``tokens``."""
        self.calls.append(call)
        if isinstance(self.tokens, Exception):
            raise self.tokens
        return self.tokens

    async def _events(self) -> AsyncIterator[AnyEvent]:
        try:
            for step in self.script:
                if isinstance(step, Exception | asyncio.Event):
                    await _take(step)
                else:
                    self.sent += 1
                    yield step
        finally:
            self.events_closed.set()


@dataclass
class NativeBackend(ScriptedBackend):
    """Speaks a dialect: ``chunks`` are what it hands on, with exceptions and events to wait for among them."""

    name: str = "native"
    kind: str = "claude-api-key"
    speaks: str = "messages"
    chunks: Sequence[bytes | Exception | asyncio.Event] = (b"event: a\ndata: {}\n\n", b"event: b\ndata: {}\n\n")
    content_type: str = "application/json"
    originals: list[Original] = field(default_factory=list)

    @asynccontextmanager
    async def relay(self, original: Original) -> AsyncIterator[Relayed]:
        """Hand ``chunks`` on."""
        self.originals.append(original)
        self.entered.set()
        try:
            for step in self.entry:
                await _take(step)
            relayed = Relayed(self.content_type, self._chunks(), dict(self.timings), dict(self.headers))
            relayed.answered_by = self.answered_by
            yield relayed
        finally:
            self.left.set()

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            for step in self.chunks:
                if isinstance(step, bytes):
                    yield step
                else:
                    await _take(step)
        finally:
            self.events_closed.set()


async def _take(step: Exception | asyncio.Event) -> None:
    if isinstance(step, Exception):
        raise step
    await step.wait()


@dataclass
class Running:
    """A server under test: where it is, how to stop it, and when it has ended."""

    where: Listening
    stop: asyncio.Event
    task: asyncio.Task[None]
    http: aiohttp.ClientSession
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its base URL."""
        return self.where.urls[0]

    async def end(self) -> None:
        """Stop it, and wait until it has."""
        self.stop.set()
        await asyncio.wait_for(asyncio.shield(self.task), 20)

    def chat(self, *, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        """Post a chat completion; gives aiohttp's request context."""
        body = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}], **fields}
        return self.http.post(f"{self.url}/v1/chat/completions", json=body, headers=headers)

    def message(self, *, headers: dict[str, str] | None = None, query: str = "", **fields: Any) -> Any:
        """Post a message; gives aiohttp's request context."""
        body = {"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
        return self.http.post(f"{self.url}/v1/messages{query}", json=body, headers=headers)

    def respond(self, *, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        """Post a request for a response; gives aiohttp's request context."""
        body = {"model": "sonnet", "input": "hi", **fields}
        return self.http.post(f"{self.url}/v1/responses", json=body, headers=headers)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a bare connection. Whoever doesn't close it, the fixture does."""
        reader, writer = await asyncio.open_connection(self.where.host, self.where.port)
        self.writers.append(writer)
        return reader, writer


Serve = Callable[..., Awaitable[Running]]


@pytest.fixture
def backend() -> ScriptedBackend:
    """Give a backend that answers "Hello world"."""
    return ScriptedBackend()


@pytest.fixture
async def serve(backend: ScriptedBackend) -> AsyncIterator[Serve]:
    """Start real servers with any config; all are stopped at the end."""
    running: list[Running] = []

    async def start(
        *backends: Backend,
        demo: bool = False,
        store: ResponseStore | None = None,
        ledger: Ledger | None = None,
        beside: Beside | None = None,
        **config: Any,
    ) -> Running:
        ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        settings = Config(**{"port": 0, "shutdown_seconds": 0, **config})
        task = asyncio.create_task(
            serve_forever(
                settings,
                backends or (backend,),
                demo=demo,
                store=store,
                ledger=ledger,
                on_ready=ready.set_result,
                beside=beside,
                stop=stop,
            )
        )
        task.add_done_callback(lambda ended: ready.done() or ready.cancel() or None)
        try:
            await ready
        except asyncio.CancelledError:
            await task
        session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        running.append(Running(ready.result(), stop, task, session))
        return running[-1]

    yield start
    for server in running:
        for writer in server.writers:
            writer.transport.abort()
        await server.http.close()
        await server.end()
