"""A server on the real CLI and the simulator that has to live through one fault after the other."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest
import pytest_asyncio
from real_cli import running, until
from served import serving

from claude_proxy.backends.claude_cli.backend import ClaudeCli
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.policy import ChildState, Phase
from claude_proxy.config.schema import Config, Streaming
from claude_proxy.simulator import Simulator

SCALE = int(os.environ.get("CHAOS_SCALE", "1"))
"""How many times as many clients and refusals there are as in an ordinary run: ``make chaos`` sets it."""

DIALECTS = ("chat", "messages", "responses")
_PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
_ENDS = {"chat": "data: [DONE]", "messages": "event: message_stop", "responses": "event: response.completed"}
TOOL = {"name": "note", "description": "Take a note.", "parameters": {"type": "object", "properties": {}}}


def body_of(dialect: str, words: str, **fields: Any) -> dict[str, Any]:
    """Give a request for a turn as a client of the dialect makes it; ``fields`` are put over it."""
    messages = [{"role": "user", "content": words}]
    usual: dict[str, dict[str, Any]] = {
        "chat": {"messages": messages},
        "messages": {"messages": messages, "max_tokens": 500},
        "responses": {"input": words},
    }
    return {"model": "sonnet", **usual[dialect], **fields}


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    dialect: str
    status: int
    headers: dict[str, str]
    text: str

    @property
    def is_whole(self) -> bool:
        """Say whether it is a reply, complete to its end."""
        return self.status == 200 and (not self.is_stream or (_ENDS[self.dialect] in self.text and not self.failed))

    @property
    def is_stream(self) -> bool:
        """Say whether it came in events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def failed(self) -> str:
        """Give the message of the error, in the dialect's own shape and in no other; empty where there is none."""
        if self.is_stream:
            return self._stream_error()
        if self.status == 200:
            return ""
        told = json.loads(self.text)
        if self.dialect == "messages":
            assert told["type"] == "error"
            assert told["request_id"] == self.headers["request-id"]
            assert set(told["error"]) >= {"type", "message"}
        else:
            assert set(told["error"]) >= {"message", "type", "param", "code"}
        assert self.headers["content-type"].startswith("application/json")
        message: str = told["error"]["message"]
        return message

    def _stream_error(self) -> str:
        """Give the error that ended a stream: after it there may be nothing that looks like a good end."""
        events = [json.loads(line[6:]) for line in self.text.splitlines() if line.startswith("data: {")]
        match self.dialect, events[-1] if events else {}:
            case "chat", {"error": {"message": str(message)}}:
                found = message
            case "messages", {"type": "error", "error": {"message": str(message)}}:
                found = message
            case "responses", {"type": "response.failed", "response": {"error": {"message": str(message)}}}:
                found = message
            case _:
                return ""
        assert _ENDS[self.dialect] not in self.text
        return found


async def asked(
    http: aiohttp.ClientSession, url: str, dialect: str, words: str = "hi", *, key: str = "", **fields: Any
) -> Answer:
    """Ask for a turn and read the answer to its end."""
    body = body_of(dialect, words, **fields)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with http.post(url + _PATHS[dialect], json=body, headers=headers) as response:
        text = await response.text()
        return Answer(dialect, response.status, {name.lower(): value for name, value in response.headers.items()}, text)


def client() -> aiohttp.ClientSession:
    """Make a client that keeps no connection."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))


def open_files(pid: int) -> int:
    """Count what a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def processes() -> set[int | None]:
    """Give the pids of this process' children, zombies too."""
    return {one.pid for one in psutil.Process().children()}


@dataclass
class Stage:
    """Server, CLI and upstream, all of them real but the last, and a client."""

    url: str
    backend: ClaudeCli
    simulator: Simulator
    http: aiohttp.ClientSession
    strangers: set[int | None]
    """The processes of other tests, a server for all of them say."""
    open_files: int = 10_000
    """How many there are without any process, once that is known."""

    async def ask(self, dialect: str = "chat", words: str = "hi", **fields: Any) -> Answer:
        """Ask for a turn."""
        return await asked(self.http, self.url, dialect, words, **fields)

    def asking(self, dialect: str = "chat", words: str = "hi", **fields: Any) -> asyncio.Task[Answer]:
        """Ask for a turn, and don't wait for the answer."""
        return asyncio.create_task(self.ask(dialect, words, **fields))

    def children(self, phase: Phase, wanted: Callable[[ChildState, Child], bool] = lambda *_: True) -> list[int]:
        """Give the pids of the children in a phase, those that are ``wanted``."""
        return [
            child.pid
            for state, child in self.backend._pool.children()
            if state.phase is phase and child.pid is not None and wanted(state, child)
        ]

    async def signal(
        self, number: signal.Signals, phase: Phase, wanted: Callable[[ChildState, Child], bool] = lambda *_: True
    ) -> int:
        """Send a signal to a child as soon as there is one in this phase; give its pid."""
        await until(lambda: self.children(phase, wanted), 20)
        pid = self.children(phase, wanted)[0]
        os.kill(pid, number)
        return pid

    @contextmanager
    def configured(self, **fields: Any) -> Iterator[None]:
        """Run with another configuration inside, taken over as at a reload."""
        before = self.backend.config
        self.backend.adapt(msgspec.structs.replace(before, **fields))
        try:
            yield
        finally:
            self.backend.adapt(before)

    async def settled(self) -> None:
        """Hold what has to be true after any fault: nothing of it goes on, and every process is one that we know."""
        self.simulator.queue.clear()
        counts = self.backend._pool.counts
        await until(lambda: not (counts()["busy"] or counts()["leaving"] or counts()["waiting"]), 10)
        await until(lambda: not self.simulator.active, 5)
        await until(self._all_known, 5)
        async with self.http.get(f"{self.url}/api/status") as response:
            assert (await response.json())["requests"]["open"] == 0

    def _all_known(self) -> bool:
        """Say whether every process of ours is a child that the pool has: no orphan and no zombie."""
        return processes() - self.strangers <= {child.pid for _, child in self.backend._pool.children()}

    async def recovered(self) -> None:
        """Hold what has to be true after them all: the next request works, and with the processes all else goes."""
        await self.settled()
        assert (await self.ask("messages", "still there?")).is_whole
        with self.configured(warm=0):
            self.backend._pool.retire_idle()
            await until(lambda: not self.backend._pool.children(), 10)
            assert processes() <= self.strangers
            await until(lambda: open_files(os.getpid()) <= self.open_files, 10)


@asynccontextmanager
async def staged(folder: Path, *, answer: Any = None, **config: Any) -> AsyncIterator[Stage]:
    """Run a stage; ``config`` is the CLI backend's."""
    server = Config(port=0, shutdown_seconds=1, streaming=Streaming(keepalive_seconds=0.5))
    settings = {"max_processes": 3, "warm": 1, **config}
    strangers = processes()
    async with (
        Simulator(answer) as simulator,
        running(folder, simulator, start=False, **settings) as backend,
        serving(backend, server) as url,
        client() as http,
    ):
        stage = Stage(url, backend, simulator, http, strangers)
        # Once before it is counted: what is opened for good at the first request is open by then.
        await stage.recovered()
        stage.open_files = open_files(os.getpid())
        yield stage
        await stage.recovered()
    assert processes() <= strangers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Run a stage for the whole file."""
    async with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def stage(lasting_stage: Stage) -> AsyncIterator[Stage]:
    """Give the file's stage to one test: that it has lived through the one before is a part of each.

    That the next request works is shown by the next test, and at the end of the file.
    """
    yield lasting_stage
    await lasting_stage.settled()
