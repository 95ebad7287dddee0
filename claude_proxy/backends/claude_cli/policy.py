"""What the pool should do: spawn, lend or retire a child. Pure: state and time in, actions out.

A child is *warm* (nobody's yet: blank, or *prepared* with the system prompt and tools that its model was last asked
with), *busy* (a turn runs), *kept* (its conversation may go on) or *leaving* (being ended; it counts until it is gone).
Requests wait in the order in which they are given; only one that finds its own conversation's child overtakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

_TALKING_SECONDS = 30.0
"""For so long after a turn a conversation that has gone on before, or waits for tool results, is likely to go on."""


class Phase(Enum):
    """What a child is doing."""

    WARM = auto()
    BUSY = auto()
    KEPT = auto()
    LEAVING = auto()


@dataclass(frozen=True, slots=True)
class ChildState:
    """One child.

    ``key`` is a kept conversation's fingerprint, ``went_on`` whether it has had more than one turn, ``prepared`` what a
    warm child has been told already (``None``: nothing), ``since`` when its phase began, in seconds.
    """

    id: int
    model: str
    phase: Phase = Phase.WARM
    key: str | None = None
    prepared: str | None = None
    holds_calls: bool = False
    went_on: bool = False
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request that wants a child: the one that keeps conversation ``key``, or one ``prepared`` for it, or a blank."""

    id: int
    model: str
    key: str | None = None
    prepared: str | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """What was asked for within the last ``idle_seconds``: the models, latest first, and what each was last told."""

    models: tuple[str, ...] = ()
    preparations: Mapping[str, str] = field(default_factory=dict)


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
    """Start a warm child for ``model``, and tell it what ``prepared`` stands for."""

    model: str
    prepared: str | None = None


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
    children: Iterable[ChildState],
    waiters: Sequence[Waiter],
    rules: Rules,
    now: float,
    demand: Demand | None = None,
) -> list[Action]:
    """Give what to do now, in order. After a ``Spawn`` is carried out the pool asks again, after a ``Lend`` soon.

    ``demand`` ``None``: no child is to be started now that nobody waits for.
    """
    plan = _Plan(children, rules)
    blocked = [waiter for waiter in waiters if not plan.lend_own(waiter)]
    if plan.lent and not blocked:
        # A conversation goes on, and its client waits: all else has the time until the pool asks again.
        return plan.actions
    # Before any expires: where nothing is kept idle, one that was started for a request is too many at once.
    starved = [waiter for waiter in blocked if not plan.lend_warm(waiter)]
    for child in list(plan.children.values()):
        if plan.expires(child) <= now:
            plan.retire(child)
    plan.shrink()
    for waiter in starved:
        if not plan.spawn(waiter.model):
            plan.make_room(waiter.model)
    # Not in the moment in which a turn begins: a start takes as much of the processor as the turn does.
    if demand is not None and not starved and not plan.lent:
        plan.refill(demand, now)
    return plan.actions


def next_deadline(children: Iterable[ChildState], rules: Rules, now: float) -> float | None:
    """Give the time at which a child expires, or is worth less than a spare, and ``decide`` must be asked again."""
    plan = _Plan(children, rules)
    times = [plan.expires(child) for child in plan.children.values()]
    times += [calm for child in plan.children.values() if (calm := plan.calm(child)) > now]
    return min((time for time in times if time != float("inf")), default=None)


class _Plan:
    """The state as it will be once the actions so far are carried out."""

    def __init__(self, children: Iterable[ChildState], rules: Rules) -> None:
        self.children = {child.id: child for child in sorted(children, key=lambda child: child.since)}
        """Whose phase began first comes first."""
        self.rules = rules
        self.actions: list[Action] = []
        self.starting: list[tuple[str, bool]] = []
        """Model, and whether it is prepared."""
        self.lent = False
        """A turn begins now."""
        self.coming = len(self._in(Phase.LEAVING))
        """Places that will be free without our doing more."""

    def _in(self, phase: Phase) -> list[ChildState]:
        return [child for child in self.children.values() if child.phase is phase]

    def _warm(self, model: str, prepared: str | None) -> list[ChildState]:
        return [child for child in self._in(Phase.WARM) if child.model == model and child.prepared == prepared]

    def expires(self, child: ChildState) -> float:
        if child.phase is Phase.KEPT:
            return child.since + (self.rules.call_seconds if child.holds_calls else self.rules.idle_seconds)
        if child.phase is not Phase.WARM:
            return float("inf")
        wanted = self.rules.warm if child.model in self.rules.warm_models else 0
        surplus = child.prepared is not None or len(self._warm(child.model, None)) > wanted
        return child.since + self.rules.idle_seconds if surplus else float("inf")

    def calm(self, child: ChildState) -> float:
        """Give the time from which on a kept child's place may go to a spare."""
        talking = child.phase is Phase.KEPT and (child.went_on or child.holds_calls)
        return child.since + _TALKING_SECONDS if talking else 0.0

    def retire(self, child: ChildState) -> None:
        self.actions.append(Retire(child.id))
        self.children[child.id] = replace(child, phase=Phase.LEAVING)
        self.coming += 1

    def _lend(self, child: ChildState, waiter: Waiter) -> bool:
        self.lent = True
        self.actions.append(Lend(child.id, waiter.id))
        self.children[child.id] = replace(child, phase=Phase.BUSY, key=None)
        return True

    def lend_own(self, waiter: Waiter) -> bool:
        if waiter.key is None:
            return False
        own = [child for child in self._in(Phase.KEPT) if child.key == waiter.key]
        return bool(own) and self._lend(own[-1], waiter)

    def lend_warm(self, waiter: Waiter) -> bool:
        prepared = self._warm(waiter.model, waiter.prepared) if waiter.prepared is not None else []
        warm = [*prepared, *self._warm(waiter.model, None)]
        return bool(warm) and self._lend(warm[0], waiter)

    def spawn(self, model: str, prepared: str | None = None) -> bool:
        if len(self.children) + len(self.starting) >= self.rules.max_children:
            return False
        self.actions.append(Spawn(model, prepared))
        self.starting.append((model, prepared is not None))
        return True

    def shrink(self) -> None:
        """End who is too many, where fewer are allowed than were: those missed least, and never one that is busy."""
        excess = len(self.children) - self.coming - self.rules.max_children
        if excess > 0:
            for candidate in self._missed_least("")[:excess]:
                self.retire(candidate)

    def make_room(self, model: str) -> None:
        """End the child that is missed least, unless a place is coming anyway. No warm one is of use to the waiter."""
        if self.coming > 0:
            self.coming -= 1
            return
        for candidate in self._missed_least(model)[:1]:
            self.retire(candidate)
            self.coming -= 1

    def _missed_least(self, model: str) -> list[ChildState]:
        """Give who isn't busy, the one that is missed least first; a warm one of ``model`` is a wrong guess."""
        warm, kept = self._in(Phase.WARM), self._in(Phase.KEPT)
        wrong_guesses = [child for child in warm if child.model == model]
        idle = [child for child in kept if not child.holds_calls]
        return list({child.id: child for child in (*wrong_guesses, *idle, *warm, *kept)}.values())

    def refill(self, demand: Demand, now: float) -> None:
        """Start what the next conversations will want: of the configured models, then of those asked for lately."""
        if self.rules.warm == 0:
            return
        lately = [model for model in demand.models if model not in self.rules.warm_models]
        for model in dict.fromkeys(self.rules.warm_models):
            have = len(self._warm(model, None)) + self.starting.count((model, False))
            for _ in range(self.rules.warm - have):
                if not self.spawn(model):
                    self._make_place_for_a_spare(now)
        guesses = [model for model in (*self.rules.warm_models, *lately) if model in demand.preparations]
        for model in dict.fromkeys(guesses):
            if not self._has_prepared(model) and not self.spawn(model, demand.preparations[model]):
                self._make_place_for_a_spare(now)
        for model in lately:
            if not self._has_prepared(model) and not self._warm(model, None):
                self.spawn(model)

    def _has_prepared(self, model: str) -> bool:
        ready = any(child.model == model and child.prepared is not None for child in self._in(Phase.WARM))
        return ready or (model, True) in self.starting

    def _make_place_for_a_spare(self, now: float) -> None:
        """End the oldest idle conversation, else the one that has waited longest for its client's tool results.

        A place for the next one is worth more; but never the last one, nor one that has just gone on or begun to wait:
        where all places are such conversations', a new one has to wait for its start.
        """
        for holds_calls in (False, True):
            group = [child for child in self._in(Phase.KEPT) if child.holds_calls is holds_calls]
            calm = [child for child in group if self.calm(child) <= now]
            if calm and len(group) > 1 and self.coming == 0:
                self.retire(calm[0])
                return
