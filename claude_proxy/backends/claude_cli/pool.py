"""The pool of children: it carries out what :mod:`policy` decides, and knows no more than that."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from claude_proxy.backends.claude_cli import policy
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.policy import ChildState, Lend, Phase, Retire, Rules, Spawn, Waiter
from claude_proxy.errors import ProxyError, Unavailable

_log = logging.getLogger("claude_proxy.cli")

_MAX_BACKOFF = 30.0
_HEALTHY_SECONDS = 2.0
"""A child that lived this long, or was lent, did start."""


@dataclass(slots=True)
class _Member:
    state: ChildState
    child: Child
    stopping: bool = False


@dataclass(slots=True)
class _Waiting:
    waiter: Waiter
    child: asyncio.Future[tuple[int, Child, bool]]


@dataclass(slots=True)
class Lease:
    """A child lent for one turn. ``continued``: it already holds the conversation."""

    id: int
    child: Child
    continued: bool


@dataclass(slots=True)
class Pool:
    """Never more than ``rules.max_children`` processes; every one is reaped before :meth:`close` returns.

    ``make`` creates a child for a model, without starting it; it may raise a ``ProxyError`` (no usable binary).
    """

    rules: Rules
    make: Callable[[str], Child]
    clock: Callable[[], float] = time.monotonic
    _members: dict[int, _Member] = field(default_factory=dict)
    _waiting: list[_Waiting] = field(default_factory=list)
    _ids: int = 0
    _failures: int = 0
    _refill_at: float = 0.0
    _group: asyncio.TaskGroup | None = None
    _runner: asyncio.Task[None] | None = None
    _started: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: bool = False

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; warm children are started in the background."""
        self._runner = asyncio.create_task(self._run(), name="pool")
        await self._started.wait()

    async def close(self) -> None:
        """End every child and every wait."""
        self._closing = True
        self._started.set()
        for waiting in self._waiting:
            if not waiting.child.done():
                waiting.child.set_exception(Unavailable("the server is shutting down"))
        self._waiting.clear()
        self._changed.set()
        if self._runner is not None:
            await self._runner

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as self._group:
            self._started.set()
            while not self._closing:
                self._changed.clear()
                self._decide()
                deadlines = [policy.next_deadline(self._states(), self.rules)]
                if self._refill_at > self.clock():
                    deadlines.append(self._refill_at)
                nearest = min((d for d in deadlines if d is not None), default=None)
                try:
                    async with asyncio.timeout(None if nearest is None else max(0.05, nearest - self.clock())):
                        await self._changed.wait()
                except TimeoutError:
                    pass
            for member in list(self._members.values()):
                self._stop(member)

    # -- use ----------------------------------------------------------------------------------------------------------

    async def claim(self, model: str, key: str | None = None) -> Lease:
        """Wait for a child: the one that keeps conversation ``key``, else a warm one of ``model``. In order."""
        await self._started.wait()
        if self._closing:
            raise Unavailable("the server is shutting down")
        self._ids += 1
        waiting = _Waiting(Waiter(self._ids, model, key), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            self._decide()
            number, child, continued = await asyncio.shield(waiting.child)
        except BaseException:
            self._forget(waiting)
            raise
        return Lease(number, child, continued)

    def _forget(self, waiting: _Waiting) -> None:
        """The request went away: out of the queue, or give back what it has just got."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif waiting.child.done() and not waiting.child.cancelled() and waiting.child.exception() is None:
            number, _, continued = waiting.child.result()
            if continued:
                self.retire(number)
            else:
                self.give_back(number)
        self._changed.set()

    def give_back(self, number: int) -> None:
        """Return a lent child that is still blank."""
        self._turn_over(number, phase=Phase.WARM)

    def keep(self, number: int, key: str, *, holds_calls: bool) -> None:
        """Return a lent child that holds conversation ``key``, for its next turn."""
        self._turn_over(number, phase=Phase.KEPT, key=key, holds_calls=holds_calls)

    def _turn_over(self, number: int, *, phase: Phase, key: str | None = None, holds_calls: bool = False) -> None:
        member = self._members.get(number)
        if member is None:
            return
        if member.child.spoiled:
            self.retire(number)
            return
        self._set(member, phase, key=key, holds_calls=holds_calls)

    def retire(self, number: int) -> None:
        """End a child; it is no error when it is gone already."""
        if member := self._members.get(number):
            self._stop(member)

    def retire_warm(self) -> None:
        """End all warm children: what they were started with (a sign-in, a binary) has changed."""
        for member in list(self._members.values()):
            if member.state.phase is Phase.WARM:
                self._stop(member)

    def counts(self) -> dict[str, int]:
        """How many children are in each phase, and how many requests wait."""
        counts = {phase.name.lower(): 0 for phase in Phase}
        for member in self._members.values():
            counts[member.state.phase.name.lower()] += 1
        return {**counts, "waiting": len(self._waiting)}

    # -- carrying out -------------------------------------------------------------------------------------------------

    def _states(self) -> list[ChildState]:
        return [member.state for member in self._members.values()]

    def _set(self, member: _Member, phase: Phase, *, key: str | None = None, holds_calls: bool = False) -> None:
        member.state = replace(member.state, phase=phase, key=key, holds_calls=holds_calls, since=self.clock())
        self._changed.set()

    def _decide(self) -> None:
        """Carry out actions until there are none. Never awaits, so nothing changes in between."""
        while not self._closing:
            waiters = [waiting.waiter for waiting in self._waiting]
            now = self.clock()
            actions = policy.decide(self._states(), waiters, self.rules, now, refill=now >= self._refill_at)
            for action in actions:
                self._carry_out(action)
            if not any(isinstance(action, Spawn) for action in actions):
                return

    def _carry_out(self, action: policy.Action) -> None:
        match action:
            case Spawn(model=model):
                self._spawn(model)
            case Retire(child=number):
                self._stop(self._members[number])
            case Lend(child=number, waiter=waiter_id):
                member = self._members[number]
                continued = member.state.phase is Phase.KEPT
                self._set(member, Phase.BUSY)
                waiting = next(waiting for waiting in self._waiting if waiting.waiter.id == waiter_id)
                self._waiting.remove(waiting)
                waiting.child.set_result((number, member.child, continued))

    def _spawn(self, model: str) -> None:
        assert self._group is not None
        try:
            child = self.make(model)
        except ProxyError as error:
            self._start_failed()
            for waiting in [w for w in self._waiting if w.waiter.model == model]:
                self._waiting.remove(waiting)
                waiting.child.set_exception(error)
            return
        self._ids += 1
        member = _Member(ChildState(self._ids, model, since=self.clock()), child)
        self._members[self._ids] = member
        self._group.create_task(self._live(self._ids, member), name=f"child {self._ids}")

    async def _live(self, number: int, member: _Member) -> None:
        started = self.clock()
        try:
            await member.child.run()
        except Exception:  # noqa: BLE001  # one broken child must not take the pool with it
            _log.exception("a child's reader failed")
        finally:
            del self._members[number]
            if member.stopping:
                self._failures = 0
            elif member.state.phase is Phase.WARM and self.clock() - started < _HEALTHY_SECONDS:
                self._start_failed()
            self._changed.set()

    def _start_failed(self) -> None:
        """Wait longer each time before a child is started that nobody asked for."""
        self._failures += 1
        self._refill_at = self.clock() + min(_MAX_BACKOFF, 2.0 ** min(self._failures, 10) / 2)

    def _stop(self, member: _Member) -> None:
        if member.stopping:
            return
        member.stopping = True
        self._set(member, Phase.LEAVING)
        assert self._group is not None
        self._group.create_task(member.child.stop(), name=f"stop {member.state.id}")
