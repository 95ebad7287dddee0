"""The pool of children: it carries out what :mod:`policy` decides, and knows no more than that."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace

from claude_proxy.backends.claude_cli import policy
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.crew import Crew, Member
from claude_proxy.backends.claude_cli.fair_queue import FairQueue
from claude_proxy.backends.claude_cli.policy import ChildState, Lend, Phase, Retire, Rules, Spawn, Waiter
from claude_proxy.backends.claude_cli.prediction import Prediction, Preparation
from claude_proxy.errors import ProxyError, Unavailable

_log = logging.getLogger("claude_proxy.cli")


@dataclass(slots=True, eq=False)
class _Waiting:
    waiter: Waiter
    preparation: Preparation | None
    lease: asyncio.Future[Lease]


@dataclass(frozen=True, slots=True)
class Lease:
    """A child lent for one turn.

    ``continued``: it already holds the conversation. ``prepared``: it has been told the system prompt and the tools.
    """

    id: int
    child: Child
    continued: bool
    prepared: bool


@dataclass(slots=True)
class Pool:
    """Never more than ``rules.max_children`` processes; every one is reaped before :meth:`close` returns."""

    rules: Rules
    crew: Crew
    closed: str = ""
    """Why no child is lent any more."""
    _waiting: FairQueue[_Waiting] = field(default_factory=FairQueue)
    _ids: int = 0
    _prediction: Prediction = field(default_factory=Prediction)
    _runner: asyncio.Task[None] | None = None
    _started: asyncio.Event = field(default_factory=asyncio.Event)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; warm children are started in the background."""
        self._runner = asyncio.create_task(self._run(), name="pool")
        await self._started.wait()

    async def close(self) -> None:
        """End every child and every wait."""
        self._turn_away("the server is shutting down")
        self.crew.changed.set()
        if self._runner is not None:
            await self._runner

    def _turn_away(self, why: str) -> None:
        """Let nobody wait any more, nor come."""
        self.closed = self.closed or why
        self._started.set()
        for waiting in self._waiting:
            self._waiting.remove(waiting)
            if not waiting.lease.done():
                waiting.lease.set_exception(Unavailable(why))

    async def _run(self) -> None:
        try:
            await self._look_after()
        except Exception:  # noqa: BLE001  # nobody awaits this task before the end: it has to be told here
            _log.exception("the pool of claude CLI processes failed: restart the server")
            self._turn_away("the pool of claude CLI processes failed: restart the server")

    async def _look_after(self) -> None:
        crew = self.crew
        async with crew.group:
            watcher = crew.group.create_task(crew.watch_memory(), name="memory")
            self._started.set()
            while not self.closed:
                crew.changed.clear()
                self._decide()
                now = crew.clock()
                deadlines = [policy.next_deadline(crew.states(), self.rules, now)]
                if crew.backoff.due > now:
                    deadlines.append(crew.backoff.due)
                nearest = min((d for d in deadlines if d is not None), default=None)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if nearest is None else max(0.05, nearest - now)):
                        await crew.changed.wait()
            watcher.cancel()
            crew.stop_all()

    def adapt(self, rules: Rules, max_memory: float) -> None:
        """Go by other rules from now on. A child that is busy stays until its turn is over."""
        self.rules, self.crew.max_memory = rules, max_memory
        self.crew.changed.set()

    # -- use ----------------------------------------------------------------------------------------------------------

    async def claim(
        self, model: str, key: str | None = None, preparation: Preparation | None = None, *, client: str = ""
    ) -> Lease:
        """Wait for a child: the one that keeps conversation ``key``, else a warm one of ``model``.

        In order where ``client`` is the same, in turn where it isn't.
        """
        await self._started.wait()
        if self.closed:
            raise Unavailable(self.closed)
        self._ids += 1
        waiter = Waiter(self._ids, model, key, preparation.key if preparation else None)
        waiting = _Waiting(waiter, preparation, asyncio.get_running_loop().create_future())
        self._waiting.add(client, waiting)
        try:
            self._decide()
            return await asyncio.shield(waiting.lease)
        except BaseException:
            self._forget(waiting)
            raise

    def _forget(self, waiting: _Waiting) -> None:
        """The request went away: out of the queue, or give back what it has just got."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif waiting.lease.done() and not waiting.lease.cancelled() and waiting.lease.exception() is None:
            self.return_unused(waiting.lease.result())
        self.crew.changed.set()

    def return_unused(self, lease: Lease) -> None:
        """Take back a child that was told nothing since it was lent."""
        if lease.continued:
            self.retire(lease.id)
        else:
            self.give_back(lease.id)

    def turn_answered(self) -> None:
        """Say that a turn's client has its first delta, so that starting a spare is in nobody's way any more."""
        if self.crew.backoff.answered(self.crew.clock()):
            self.crew.changed.set()

    def give_back(self, number: int) -> None:
        """Return a lent child that is still blank."""
        self._turn_over(number, phase=Phase.WARM)

    def keep(self, number: int, key: str, *, holds_calls: bool) -> None:
        """Return a lent child that holds conversation ``key``, for its next turn."""
        self._turn_over(number, phase=Phase.KEPT, key=key, holds_calls=holds_calls)

    def _turn_over(self, number: int, *, phase: Phase, key: str | None = None, holds_calls: bool = False) -> None:
        member = self.crew.members.get(number)
        if member is not None and not member.child.spoiled:
            self.crew.put(member, phase, key=key, holds_calls=holds_calls)
        else:
            self.retire(number)

    def retire(self, number: int) -> None:
        """End a child; it is no error when it is gone already."""
        if member := self.crew.members.get(number):
            self.crew.stop(member)

    def forget(self, model: str) -> None:
        """Start no spare for a model that there isn't."""
        self._prediction.forget(model)

    def retire_idle(self) -> None:
        """End all children but the busy ones: the sign-in that they were started with is no good any more."""
        self.crew.stop_idle()

    @property
    def trouble(self) -> str:
        """Why nobody who needs a fresh child would get one now; empty: it would be started."""
        refused = self.crew.backoff.refusal(self.crew.clock())
        return self.closed or (refused.message if refused else "")

    def counts(self) -> dict[str, int]:
        """How many children are in each phase, and how many requests wait."""
        counts = {phase.name.lower(): 0 for phase in Phase}
        for member in self.crew.members.values():
            counts[member.state.phase.name.lower()] += 1
        return {**counts, "waiting": len(self._waiting)}

    def children(self) -> list[tuple[ChildState, Child]]:
        """Every child that there is now, and what it does."""
        return [(member.state, member.child) for member in self.crew.members.values()]

    # -- carrying out -------------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """Carry out actions until there are none. Never awaits, so nothing changes in between."""
        while not self.closed:
            waiters = [waiting.waiter for waiting in self._waiting]
            now = self.crew.clock()
            demand = self._prediction.demand(now - self.rules.idle_seconds) if now >= self.crew.backoff.due else None
            actions = policy.decide(self.crew.states(), waiters, self.rules, now, demand)
            for action in actions:
                self._carry_out(action)
            if not any(isinstance(action, Spawn) for action in actions):
                return

    def _carry_out(self, action: policy.Action) -> None:
        match action:
            case Spawn(model=model, prepared=prepared):
                self._spawn(model, is_prepared=prepared is not None)
            case Retire(child=number):
                self.crew.stop(self.crew.members[number])
            case Lend(child=number, waiter=waiter_id):
                waiting = next(waiting for waiting in self._waiting if waiting.waiter.id == waiter_id)
                lease = self._lend(number, self.crew.members[number], waiting)
                # A child that only goes on takes nothing from those who wait, so it is no turn of its client's.
                (self._waiting.remove if lease.continued else self._waiting.serve)(waiting)
                waiting.lease.set_result(lease)

    def _lend(self, number: int, member: Member, waiting: _Waiting) -> Lease:
        state = member.state
        lease = Lease(number, member.child, state.phase is Phase.KEPT, state.prepared is not None)
        busy = replace(state, phase=Phase.BUSY, key=None, holds_calls=False, since=self.crew.clock())
        member.state = replace(busy, went_on=waiting.waiter.key is not None)
        if not lease.continued:  # a child that only goes on changes nothing for others
            self.crew.changed.set()
            now = self.crew.clock()
            self.crew.backoff.lent(now)
            self._prediction.note(state.model, waiting.preparation, now)
        return lease

    def _spawn(self, model: str, *, is_prepared: bool) -> None:
        told = self._prediction.guess(model) if is_prepared else None
        try:
            self.crew.start(model, told, told.settings if told else self._prediction.settings(model))
        except ProxyError as error:
            for waiting in [w for w in self._waiting if w.waiter.model == model]:
                self._waiting.remove(waiting)
                waiting.lease.set_exception(error)
