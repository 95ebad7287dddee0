"""What the pool should do: spawn, lend or retire a child. Pure: state and time in, actions out.

A child is *warm* (blank, nobody's), *busy* (a turn runs), *kept* (its conversation may go on) or *leaving* (being
ended; it counts until it is gone). Requests wait in order; only one that finds its own conversation's child overtakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto


class Phase(Enum):
    """What a child is doing."""

    WARM = auto()
    BUSY = auto()
    KEPT = auto()
    LEAVING = auto()


@dataclass(frozen=True, slots=True)
class ChildState:
    """One child. ``key`` is a kept conversation's fingerprint, ``since`` when its phase began, in seconds."""

    id: int
    model: str
    phase: Phase = Phase.WARM
    key: str | None = None
    holds_calls: bool = False
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request that wants a child: of the conversation ``key`` if there is one, else a warm one of its model."""

    id: int
    model: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What was configured. ``max_children`` counts leaving ones too."""

    max_children: int = 4
    warm_models: tuple[str, ...] = ()
    warm: int = 1
    idle_seconds: float = 300.0
    call_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a warm child for ``model``."""

    model: str


@dataclass(frozen=True, slots=True)
class Lend:
    """Give the child to the waiter."""

    child: int
    waiter: int


@dataclass(frozen=True, slots=True)
class Retire:
    """End the child."""

    child: int


Action = Spawn | Lend | Retire


def decide(
    children: Iterable[ChildState], waiters: Sequence[Waiter], rules: Rules, now: float, *, refill: bool = True
) -> list[Action]:
    """Give what to do now, in order. After a ``Spawn`` is carried out the pool asks again.

    ``refill``: whether children may be started that nobody waits for (not while starting them fails).
    """
    plan = _Plan({child.id: child for child in children}, rules)
    blocked = [waiter for waiter in waiters if not plan.lend_own(waiter)]
    for child in list(plan.children.values()):
        if plan.expires(child) <= now:
            plan.retire(child)
    starved = [waiter for waiter in blocked if not plan.lend_warm(waiter)]
    for waiter in starved:
        if not plan.spawn(waiter.model):
            plan.make_room(waiter.model)
    if refill and not starved:
        for model in rules.warm_models:
            plan.refill(model)
    return plan.actions


def next_deadline(children: Iterable[ChildState], rules: Rules) -> float | None:
    """Give the time at which a child expires and ``decide`` must be asked again."""
    plan = _Plan({child.id: child for child in children}, rules)
    times = [plan.expires(child) for child in plan.children.values()]
    return min((time for time in times if time != float("inf")), default=None)


class _Plan:
    """The state as it will be once the actions so far are carried out."""

    def __init__(self, children: dict[int, ChildState], rules: Rules) -> None:
        self.children = children
        self.rules = rules
        self.actions: list[Action] = []
        self.starting: list[str] = []
        self.coming = sum(child.phase is Phase.LEAVING for child in children.values())
        """Places that will be free without our doing more."""

    def _in(self, phase: Phase) -> list[ChildState]:
        return sorted((c for c in self.children.values() if c.phase is phase), key=lambda c: c.since)

    def expires(self, child: ChildState) -> float:
        if child.phase is Phase.KEPT:
            return child.since + (self.rules.call_seconds if child.holds_calls else self.rules.idle_seconds)
        surplus = len([c for c in self._in(Phase.WARM) if c.model == child.model]) > self._wanted(child.model)
        return child.since + self.rules.idle_seconds if child.phase is Phase.WARM and surplus else float("inf")

    def _wanted(self, model: str) -> int:
        return self.rules.warm if model in self.rules.warm_models else 0

    def retire(self, child: ChildState) -> None:
        self.actions.append(Retire(child.id))
        self.children[child.id] = replace(child, phase=Phase.LEAVING)
        self.coming += 1

    def _lend(self, child: ChildState, waiter: Waiter) -> bool:
        self.actions.append(Lend(child.id, waiter.id))
        self.children[child.id] = replace(child, phase=Phase.BUSY, key=None)
        return True

    def lend_own(self, waiter: Waiter) -> bool:
        own = [c for c in self._in(Phase.KEPT) if waiter.key is not None and c.key == waiter.key]
        return bool(own) and self._lend(own[-1], waiter)

    def lend_warm(self, waiter: Waiter) -> bool:
        warm = [c for c in self._in(Phase.WARM) if c.model == waiter.model]
        return bool(warm) and self._lend(warm[0], waiter)

    def spawn(self, model: str) -> bool:
        if len(self.children) + len(self.starting) >= self.rules.max_children:
            return False
        self.actions.append(Spawn(model))
        self.starting.append(model)
        return True

    def make_room(self, model: str) -> None:
        """End the child that is missed least, unless a place is coming anyway."""
        if self.coming > 0:
            self.coming -= 1
            return
        kept = self._in(Phase.KEPT)
        idle = [c for c in kept if not c.holds_calls]
        other = [c for c in self._in(Phase.WARM) if c.model != model]
        for candidate in (*idle, *other, *kept):
            self.retire(candidate)
            self.coming -= 1
            return

    def refill(self, model: str) -> None:
        have = sum(c.phase is Phase.WARM and c.model == model for c in self.children.values())
        for _ in range(self._wanted(model) - have - self.starting.count(model)):
            if self.spawn(model):
                continue
            # A place for the next conversation is worth more than the oldest idle one, but never the last.
            idle = [c for c in self._in(Phase.KEPT) if not c.holds_calls]
            if len(idle) > 1 and self.coming == 0:
                self.retire(idle[0])
            return
