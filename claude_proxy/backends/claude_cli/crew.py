"""The children that there are: each is started, watched and reaped here, whatever becomes of it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from claude_proxy.backends.claude_cli.backoff import Backoff
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.policy import ChildState, Phase
from claude_proxy.backends.claude_cli.prediction import Preparation
from claude_proxy.canon.blocks import Json
from claude_proxy.errors import ProxyError, UpstreamError

_log = logging.getLogger("claude_proxy.cli")

_MEMORY_SECONDS = 5.0
_IDLE = (Phase.WARM, Phase.KEPT)


@dataclass(slots=True)
class Member:
    """A child, and what the policy knows of it."""

    state: ChildState
    child: Child
    stopping: bool = False


@dataclass(slots=True)
class Crew:
    """Runs each child as a task of ``group``, and sets ``changed`` whenever there is something new to decide.

    ``make`` creates a child for a model, without starting it; it may raise a ``ProxyError`` (no usable binary). A child
    above ``max_memory`` bytes is ended after its turn, one above twice that at once.
    """

    make: Callable[[str], Child]
    max_memory: float = math.inf
    clock: Callable[[], float] = time.monotonic
    members: dict[int, Member] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=Backoff)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    started: int = 0
    """How many there have been so far."""

    def states(self) -> list[ChildState]:
        """Say what all of them do."""
        return [member.state for member in self.members.values()]

    def put(self, member: Member, phase: Phase, *, key: str | None = None, holds_calls: bool = False) -> None:
        """Note that a child does something else from now on."""
        member.state = replace(member.state, phase=phase, key=key, holds_calls=holds_calls, since=self.clock())
        self.changed.set()

    def start(self, model: str, told: Preparation | None, settings: Json) -> None:
        """Start a child that is ``told`` and set beforehand; raise ``ProxyError`` where none can be made."""
        child = self._make(model)
        if told is not None:
            child.prepare(told.system, told.tools)
        child.apply(settings)
        self.started += 1
        state = ChildState(self.started, model, prepared=told.key if told else None, since=self.clock())
        member = self.members[self.started] = Member(state, child)
        self.group.create_task(self._live(member), name=f"child {state.id}")

    def _make(self, model: str) -> Child:
        if refused := self.backoff.refusal(self.clock()):
            raise refused
        try:
            return self.make(model)
        except ProxyError as error:
            self.backoff.failed(error.message, self.clock())
            raise

    async def _live(self, member: Member) -> None:
        try:
            await member.child.run()
        except Exception:  # noqa: BLE001  # one broken child must not take the pool with it
            _log.exception("a child's reader failed")
        finally:
            del self.members[member.state.id]
            if member.child.spoke:
                self.backoff.started()
            elif not member.stopping:
                self.backoff.failed(member.child.last_words, self.clock())
            self.changed.set()

    def stop(self, member: Member) -> None:
        """End a child; it counts until it is gone."""
        if member.stopping or member.child.gone:
            return
        member.stopping = True
        state = member.state
        # One that is still starting would first do all of that, and one that holds calls would ask the model again.
        idle = state.phase in _IDLE and not state.holds_calls and member.child.spoke and not member.child.spoiled
        self.put(member, Phase.LEAVING)
        self.group.create_task(member.child.stop(idle=idle), name=f"stop {state.id}")

    def stop_all(self) -> None:
        """End every child."""
        for member in list(self.members.values()):
            self.stop(member)

    def stop_idle(self) -> None:
        """End every child but the busy ones."""
        for member in list(self.members.values()):
            if member.state.phase in _IDLE:
                self.stop(member)

    async def watch_memory(self) -> None:
        """End those that have grown too large, every few seconds."""
        while True:
            await asyncio.sleep(_MEMORY_SECONDS)
            for member in list(self.members.values()):
                self.end_if_too_large(member)

    def end_if_too_large(self, member: Member) -> None:
        """End a child that has grown too large; for one whose turn isn't over that is twice as much."""
        size = member.child.memory()
        if size > self.max_memory * (2 if member.state.phase is Phase.BUSY else 1):
            _log.warning("child %s uses %d MB, ending it", member.child.pid, size / 1e6)
            member.child.fail(UpstreamError("the claude CLI process used too much memory and was ended"))
            self.stop(member)
