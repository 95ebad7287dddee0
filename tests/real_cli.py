"""The real CLI, signed in to nothing, in front of the simulator."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_proxy.backends.base import Call, Turn
from claude_proxy.backends.claude_cli.backend import ClaudeCli
from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.backends.claude_cli.features import NAMES, Check, Report, to_json
from claude_proxy.canon.blocks import AnyBlock, Text, ToolResult, ToolUse
from claude_proxy.canon.collect import Reply, collect
from claude_proxy.canon.events import AnyEvent
from claude_proxy.canon.request import Message, Request
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.simulator import Simulator


def user(*content: str | AnyBlock) -> Message:
    """Give a user's turn; strings are text blocks."""
    return Message(role="user", content=tuple(Text(text=item) if isinstance(item, str) else item for item in content))


def assistant(*content: str | AnyBlock) -> Message:
    """Give an assistant's turn; strings are text blocks."""
    return msgspec.structs.replace(user(*content), role="assistant")


def results_for(reply: Reply, *texts: str) -> Message:
    """Give the turn that answers the reply's tool calls, in order."""
    calls = [block for block in reply.content if isinstance(block, ToolUse)]
    return user(
        *(ToolResult(tool_use_id=c.id, content=(Text(text=t),)) for c, t in zip(calls, texts, strict=True)),
    )


@dataclass
class Outcome:
    """A finished turn: its events, and what they make."""

    turn: Turn
    events: list[AnyEvent]

    @property
    def reply(self) -> Reply:
        """The whole reply; raises where the events aren't a legal one."""
        return collect(self.events)

    @property
    def text(self) -> str:
        """The reply's text."""
        return "".join(block.text for block in self.reply.content if isinstance(block, Text))

    @property
    def said(self) -> Message:
        """The reply as the next request's history holds it."""
        return Message(role="assistant", content=self.reply.content)


@dataclass
class Real:
    """A backend on the real CLI, and the simulator behind it."""

    backend: ClaudeCli
    simulator: Simulator
    folder: Path
    outcomes: list[Outcome] = field(default_factory=list)

    async def ask(self, *messages: Message, client: str = "", strict: bool = False, **fields: Any) -> Outcome:
        """Run one turn to its end."""
        request = Request(messages=messages, **{"model": "sonnet", **fields})
        return await self.run(request, client=client, strict=strict)

    async def run(self, request: Request, *, client: str = "", strict: bool = False) -> Outcome:
        """Run one turn to its end."""
        async with self.backend.turn(Call(request, client=client, strict=strict)) as turn:
            outcome = Outcome(turn, [])
            self.outcomes.append(outcome)
            async for event in turn.events:
                outcome.events.append(event)
        return outcome

    @property
    def upstream(self) -> list[dict[str, Any]]:
        """The bodies that arrived upstream."""
        return [seen.body for seen in self.simulator.seen]

    def pids(self) -> list[int]:
        """The children that run now."""
        members = self.backend._pool.crew.members.values()
        return [member.child.pid for member in members if member.child.pid is not None]


MakeReal = Callable[..., Any]

OLDER = "claude-sonnet-4-5-20250929"
"""A model that takes every parameter."""


@asynccontextmanager
async def running(
    folder: Path, simulator: Simulator, *, signed_in: bool = True, start: bool = True, **config: Any
) -> AsyncIterator[ClaudeCli]:
    """Run a backend whose CLI has a home of its own and asks the simulator.

    No child is warmed unless ``warm`` says so. ``start=False``: a server will start it, and close it.
    """
    for name in ("home", "config", "work"):
        (folder / name).mkdir(exist_ok=True)
    settings = {"warm": 0, "base_url": simulator.base_url, **config}
    env = {"HOME": str(folder / "home"), "CLAUDE_CONFIG_DIR": str(folder / "config"), "NO_PROXY": "127.0.0.1"}
    if signed_in:
        env["CLAUDE_CODE_OAUTH_TOKEN"] = "dummy"
    own = {name: value for name, value in os.environ.items() if name != "CLAUDE_CODE_OAUTH_TOKEN"}
    backend = ClaudeCli(ClaudeCliConfig(**settings), extra_env=env, environment=own, workdir=folder / "work")
    if start:
        await backend.start()
    try:
        yield backend
    finally:
        await backend.close()


@pytest.fixture
async def make_real(tmp_path: Path) -> AsyncIterator[MakeReal]:
    """Make backends on the real CLI; all are closed at the end, and no process may be left."""
    made: list[Real] = []
    async with AsyncExitStack() as stack:

        async def make(answer: Any = None, models: Any = None, *, demo: bool = False, **config: Any) -> Real:
            simulator = await stack.enter_async_context(Simulator(answer, models=models, demo=demo))
            backend = await stack.enter_async_context(running(tmp_path, simulator, **config))
            made.append(Real(backend, simulator, tmp_path))
            return made[-1]

        yield make
        pids = [pid for real in made for pid in real.pids()]
    assert not [pid for pid in pids if is_alive(pid)]


@pytest.fixture
async def real(make_real: MakeReal) -> Real:
    """Give one backend on the real CLI with an ordinary configuration."""
    made: Real = await make_real()
    return made


@pytest.fixture
async def older(make_real: MakeReal) -> Real:
    """Give one for turns of an older model: the process that lists the models is of this one, so they need no other."""
    made: Real = await make_real(warm_models=(OLDER,))
    return made


def seen_before(home: Path) -> None:
    """Leave in a home what an earlier start would have: nothing is wrong with this CLI. Finding out takes seconds."""
    version = find_binary().version
    report = Report(version, tuple(Check(name, passed=True) for name in NAMES))
    folder = home / ".cache" / "claude-proxy"
    folder.mkdir(parents=True)
    (folder / f"probe-{version}.json").write_bytes(to_json(report))


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie doesn't)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait until the condition holds; fail after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in other processes
            await asyncio.sleep(0.01)
