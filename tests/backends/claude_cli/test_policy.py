"""What the pool decides: checked by cases, and by carrying decisions out in a small model of a pool."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli.policy import (
    Action,
    ChildState,
    Demand,
    Lend,
    Phase,
    Retire,
    Rules,
    Spawn,
    Waiter,
    decide,
    next_deadline,
)

WARM, BUSY, KEPT, LEAVING = Phase.WARM, Phase.BUSY, Phase.KEPT, Phase.LEAVING


def child(number: int, phase: Phase = WARM, model: str = "a", key: str | None = None, **more: float) -> ChildState:
    """Give a child's state."""
    return ChildState(number, model, phase, key, holds_calls=bool(more.get("holds")), since=more.get("since", 0.0))


def asked(*waiters: Waiter, children: tuple[ChildState, ...] = (), now: float = 0.0, **rules: object) -> list[Action]:
    """Decide, with rules that start nothing unasked."""
    demand = rules.pop("demand", Demand())
    assert isinstance(demand, Demand)
    return decide(children, waiters, replace(Rules(), **rules), now, demand)  # type: ignore[arg-type]  # names of fields


# -- lending ----------------------------------------------------------------------------------------------------------


def test_a_request_gets_a_warm_child_of_its_model() -> None:
    """The one that has been ready longest."""
    children = (child(1, model="b"), child(2, since=5), child(3, since=4))
    assert asked(Waiter(9, "a"), children=children) == [Lend(3, 9)]


def test_a_conversation_gets_its_own_child() -> None:
    """The one that holds it, not a blank one."""
    children = (child(1), child(2, KEPT, key="k"))
    assert asked(Waiter(9, "a", "k"), children=children) == [Lend(2, 9)]


def test_of_two_children_of_one_conversation_the_newer_is_lent() -> None:
    """Its prompt cache is the warmer one."""
    children = (child(1, KEPT, key="k", since=2), child(2, KEPT, key="k", since=1))
    assert asked(Waiter(9, "a", "k"), children=children) == [Lend(1, 9)]


def test_two_requests_of_one_conversation_never_share_a_child() -> None:
    """K02: the second is told the conversation anew."""
    children = (child(1, KEPT, key="k"), child(2))
    assert asked(Waiter(8, "a", "k"), Waiter(9, "a", "k"), children=children) == [Lend(1, 8), Lend(2, 9)]


def test_a_conversation_gets_its_own_child_at_the_last_moment() -> None:
    """A child whose time is up just when its owner comes back is worth more than a fresh one."""
    children = (child(1, KEPT, key="k"),)
    assert asked(Waiter(9, "a", "k"), children=children, now=1e6) == [Lend(1, 9)]


@pytest.mark.parametrize("key", [None, "other"])
def test_a_kept_child_goes_to_nobody_else(key: str | None) -> None:
    """K02: nor to a request without a conversation."""
    children = (child(1, KEPT, key="k"),)
    assert asked(Waiter(9, "a", key), children=children) == [Spawn("a")]


@pytest.mark.parametrize("phase", [BUSY, LEAVING])
def test_a_child_in_use_or_on_its_way_out_is_not_lent(phase: Phase) -> None:
    """K02: whatever its key."""
    assert asked(Waiter(9, "a", "k"), children=(child(1, phase, key="k"),)) == [Spawn("a")]


def test_requests_are_served_in_order() -> None:
    """K11: the first of a model comes first."""
    assert asked(Waiter(8, "a"), Waiter(9, "a"), children=(child(1),), max_children=1) == [Lend(1, 8)]


def test_only_its_own_child_lets_a_request_overtake() -> None:
    """It takes nothing from those before it."""
    children = (child(1, KEPT, key="k"),)
    actions = asked(Waiter(8, "a"), Waiter(9, "a", "k"), children=children, max_children=1)
    assert actions == [Lend(1, 9)]


# -- starting and making room -----------------------------------------------------------------------------------------


def test_each_waiting_request_gets_a_child_started() -> None:
    """K11: as far as there are places."""
    actions = asked(Waiter(7, "a"), Waiter(8, "b"), Waiter(9, "a"), children=(child(1, BUSY),), max_children=3)
    assert actions == [Spawn("a"), Spawn("b")]


def test_a_child_that_leaves_still_counts() -> None:
    """K11: it is a process until it is reaped."""
    assert asked(Waiter(9, "a"), children=(child(1, LEAVING),), max_children=1) == []


def test_room_is_made_once_for_each_request() -> None:
    """Places that come free anyway are counted first."""
    children = (child(1, LEAVING), child(2, KEPT, key="k", since=1), child(3, KEPT, key="l", since=2))
    assert asked(Waiter(8, "a"), Waiter(9, "a"), children=children, max_children=3) == [Retire(2)]


@pytest.mark.parametrize(
    ("children", "retired"),
    [
        ((child(1, KEPT, key="k", since=2), child(2, KEPT, key="l", since=1), child(3, model="b")), 2),
        ((child(1, KEPT, key="k", holds=1), child(2, model="b"), child(3, BUSY)), 2),
        ((child(1, KEPT, key="k", holds=1), child(2, BUSY), child(3, BUSY)), 1),
    ],
    ids=["the oldest idle conversation", "a warm child of another model", "at last one that holds calls"],
)
def test_who_is_missed_least_makes_room(children: tuple[ChildState, ...], retired: int) -> None:
    """An idle conversation can be told anew cheaply, one that waits for a tool less so."""
    assert asked(Waiter(9, "a"), children=children, max_children=3) == [Retire(retired)]


def test_nobody_is_interrupted() -> None:
    """While all are busy the request waits."""
    assert asked(Waiter(9, "a"), children=(child(1, BUSY), child(2, BUSY)), max_children=2) == []


def test_where_fewer_are_allowed_than_were_who_is_missed_least_goes() -> None:
    """Idle conversations first, the oldest before the others; what leaves already counts as gone."""
    children = (child(1), child(2, KEPT, key="k", since=2), child(3, KEPT, key="l", since=1), child(4, LEAVING))
    assert asked(children=children, max_children=1, warm_models=("a",)) == [Retire(3), Retire(2)]


def test_where_fewer_are_allowed_than_were_nobody_is_interrupted() -> None:
    """A turn under way comes to its end; who has waited for it gets no place that there isn't."""
    children = (child(1, BUSY), child(2, BUSY), child(3, model="b"))
    assert asked(Waiter(9, "a"), children=children, max_children=1) == [Retire(3)]


# -- warm children ----------------------------------------------------------------------------------------------------


def test_warm_children_are_started_unasked() -> None:
    """So that the next request needn't wait."""
    assert asked(children=(child(1),), warm_models=("a", "b"), warm=2) == [Spawn("a"), Spawn("b"), Spawn("b")]


def test_a_model_named_twice_is_warmed_once() -> None:
    """A slip in the config costs nothing."""
    assert asked(warm_models=("a", "a")) == [Spawn("a")]


def test_nothing_is_warmed_while_starting_fails() -> None:
    """The pool says when to try again."""
    assert decide((), (), Rules(warm_models=("a",)), 0.0) == []


def test_nothing_is_warmed_while_a_request_waits() -> None:
    """It comes first."""
    children = (child(1, BUSY), child(2, LEAVING))
    assert asked(Waiter(9, "b"), children=children, max_children=2, warm_models=("a",)) == []


@pytest.mark.parametrize("lent", [child(2), child(2, KEPT, key="k")])
def test_nothing_is_warmed_in_the_moment_in_which_a_turn_begins(lent: ChildState) -> None:
    """Starting a process takes as much of the processor as the turn does, whose client waits."""
    waiter = Waiter(9, "a", "k")
    assert asked(waiter, children=(lent,), demand=Demand(("a",)), warm_models=("a", "b")) == [Lend(2, 9)]
    after = replace(lent, phase=BUSY, key=None)
    assert asked(children=(after,), demand=Demand(("a",)), warm_models=("a", "b")) == [Spawn("a"), Spawn("b")]


def test_an_idle_conversation_makes_room_for_a_spare() -> None:
    """Else every new conversation would be a cold start."""
    children = (child(1, KEPT, key="k", since=2), child(2, KEPT, key="l", since=1))
    assert asked(children=children, max_children=2, warm_models=("a",)) == [Retire(2)]


@pytest.mark.parametrize(
    "children",
    [
        (child(1, KEPT, key="k"),),
        (child(1, KEPT, key="k"), child(2, KEPT, key="l", holds=1)),
        (child(1, KEPT, key="k"), child(2, KEPT, key="l"), child(3, LEAVING)),
    ],
    ids=["the last conversation", "one that holds calls", "a place comes anyway"],
)
def test_a_spare_is_not_worth_more(children: tuple[ChildState, ...]) -> None:
    """The only conversation there is stays."""
    assert asked(children=children, max_children=len(children), warm_models=("a",)) == []


def test_conversations_that_go_on_keep_their_places_from_spares() -> None:
    """Four of them on four processes would push each other out in turn, for a spare that nobody asks for."""
    talking = tuple(replace(child(n, KEPT, key=f"k{n}", since=float(n)), went_on=True) for n in (1, 2, 3, 4))
    assert asked(children=talking, max_children=4, warm_models=("a",), now=30.0) == []
    assert asked(children=talking, max_children=4, warm_models=("a",), now=31.0) == [Retire(1)]


def test_conversations_that_wait_long_for_their_clients_tools_make_room_for_a_spare() -> None:
    """Abandoned ones would fill every place for ten minutes, and each new conversation would be a cold start."""
    held = tuple(child(n, KEPT, key=f"k{n}", holds=1, since=float(n)) for n in (1, 2))
    idle = (child(3, KEPT, key="k3", since=3.0), child(4, KEPT, key="k4", since=4.0))
    assert asked(children=held, max_children=2, warm_models=("a",), now=30.0) == []
    assert next_deadline(held, Rules(), 30.0) == 31.0
    assert asked(children=held, max_children=2, warm_models=("a",), now=31.0) == [Retire(1)]
    assert asked(children=held[:1], max_children=1, warm_models=("a",), now=31.0) == []
    assert asked(children=(*held, *idle), max_children=4, warm_models=("a",), now=40.0) == [Retire(3)]


def test_a_conversation_of_one_turn_goes_before_an_older_one_that_goes_on() -> None:
    """Many a client asks once and never again."""
    children = (replace(child(1, KEPT, key="k", since=1), went_on=True), child(2, KEPT, key="l", since=2))
    assert asked(children=children, max_children=2, warm_models=("a",), now=3.0) == [Retire(2)]


def test_the_pool_looks_again_when_a_conversation_has_grown_calm() -> None:
    """Then its place may go to a spare; once that is past, only its end is waited for."""
    children = (replace(child(1, KEPT, key="k", since=5), went_on=True),)
    assert next_deadline(children, Rules(), 6.0) == 35.0
    assert next_deadline(children, Rules(), 35.0) == 305.0


# -- prediction -------------------------------------------------------------------------------------------------------


PREDICTED = Demand(("a",), {"a": "p"})


def test_a_prepared_child_goes_to_the_request_it_was_prepared_for() -> None:
    """It knows the system prompt and the tools already; a blank one would take longer."""
    children = (child(1), replace(child(2), prepared="p"))
    assert asked(Waiter(9, "a", prepared="p"), children=children) == [Lend(2, 9)]


@pytest.mark.parametrize("prepared", [None, "other"])
def test_a_prepared_child_goes_to_no_other_request(prepared: str | None) -> None:
    """K02: what it was told is somebody else's, so a blank one is lent or started."""
    told = replace(child(2), prepared="p")
    assert asked(Waiter(9, "a", prepared=prepared), children=(child(1), told)) == [Lend(1, 9)]
    assert asked(Waiter(9, "a", prepared=prepared), children=(told,)) == [Spawn("a")]


def test_a_wrong_guess_makes_room_first() -> None:
    """It is missed less than a conversation."""
    children = (child(1, KEPT, key="k"), replace(child(2), prepared="p"))
    assert asked(Waiter(9, "a", prepared="q"), children=children, max_children=2) == [Retire(2)]


def test_the_next_conversation_is_prepared_for() -> None:
    """A blank one for whoever comes, and one told what was asked with last."""
    assert asked(warm_models=("a",), demand=PREDICTED) == [Spawn("a"), Spawn("a", "p")]


def test_one_guess_a_model_is_enough() -> None:
    """A guess that isn't the latest is kept: clients that take turns don't chase each other's children away."""
    children = (child(1), replace(child(2), prepared="older"))
    assert asked(children=children, warm_models=("a",), demand=PREDICTED) == []


def test_a_model_asked_for_lately_has_a_spare_too() -> None:
    """As far as there is room, after the configured ones."""
    demand = Demand(("c", "b", "a"), {"b": "p"})
    assert asked(warm_models=("a",), demand=demand) == [Spawn("a"), Spawn("b", "p"), Spawn("c")]
    assert asked(warm_models=("a",), demand=demand, max_children=1) == [Spawn("a")]


def test_no_spares_at_all_where_none_are_wanted() -> None:
    """``warm: 0`` means it."""
    assert asked(warm_models=("a",), warm=0, demand=PREDICTED) == []


def test_a_guess_is_given_up_in_time() -> None:
    """The pool shrinks to its warm children."""
    children = (child(1), replace(child(2), prepared="p"))
    assert asked(children=children, warm_models=("a",), now=300.0) == [Retire(2)]


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("holds", "seconds"), [(0, 300.0), (1, 600.0)])
def test_a_kept_child_is_ended_in_time(holds: int, seconds: float) -> None:
    """K05: idle ones sooner than those that wait for a tool."""
    children = (child(1, KEPT, key="k", holds=holds, since=10.0),)
    assert asked(children=children, now=10.0 + seconds - 0.1) == []
    assert next_deadline(children, Rules(), 100.0) == 10.0 + seconds
    assert asked(children=children, now=10.0 + seconds) == [Retire(1)]


def test_a_warm_child_too_many_is_ended_in_time() -> None:
    """One of a model that is no longer wanted warm."""
    children = (child(1, model="b"), child(2))
    assert asked(children=children, warm_models=("a",), now=300.0) == [Retire(1)]
    assert next_deadline(children, Rules(warm_models=("a",)), 0.0) == 300.0


def test_of_warm_children_too_many_the_wanted_ones_stay() -> None:
    """The surplus goes, no more."""
    assert len(asked(children=(child(1), child(2), child(3)), warm_models=("a",), now=300.0)) == 2


def test_where_nothing_is_kept_idle_a_request_gets_the_child_started_for_it() -> None:
    """Nobody may wait for ever for what is ended before it is lent."""
    assert asked(Waiter(9, "a"), children=(child(1),), idle_seconds=0.0) == [Lend(1, 9)]


def test_nothing_that_expires_is_no_deadline() -> None:
    """The pool needn't wake."""
    assert next_deadline((child(1, BUSY), child(2, LEAVING), child(3)), Rules(warm_models=("a",)), 0.0) is None


# -- a model of a pool ------------------------------------------------------------------------------------------------


@dataclass
class Pool:
    """Carries decisions out as the real one does, and holds every promise on the way."""

    rules: Rules
    children: dict[int, ChildState] = field(default_factory=dict)
    waiters: list[Waiter] = field(default_factory=list)
    now: float = 0.0
    ids: int = 0
    served: int = 0
    told: dict[str, str] = field(default_factory=dict)

    def decide(self) -> list[Action]:
        """Ask what to do now."""
        demand = Demand(tuple(self.told), {model: key for model, key in self.told.items() if key != "p0"})
        return decide(self.children.values(), self.waiters, self.rules, self.now, demand)

    def settle(self) -> None:
        """Decide until nothing is started or lent any more."""
        while True:
            actions = self.decide()
            for action in actions:
                self.carry_out(action)
                assert len(self.children) <= self.rules.max_children
            if not any(isinstance(action, Spawn | Lend) for action in actions):
                break
        assert self.decide() == []

    def carry_out(self, action: Action) -> None:
        """Do it."""
        match action:
            case Spawn(model=model, prepared=prepared):
                self.ids += 1
                self.children[self.ids] = ChildState(self.ids, model, prepared=prepared, since=self.now)
            case Retire(child=number):
                assert self.children[number].phase in {WARM, KEPT}
                self.children[number] = replace(self.children[number], phase=LEAVING)
            case Lend(child=number, waiter=waiter):
                self.lend(self.children[number], next(w for w in self.waiters if w.id == waiter))

    def lend(self, lent: ChildState, waiter: Waiter) -> None:
        """Lend: a kept child to its own conversation, a warm one to the first who waits for its model."""
        if lent.phase is KEPT:
            assert lent.key == waiter.key is not None
        else:
            assert lent.phase is WARM
            suited = (w for w in self.waiters if w.model == lent.model and lent.prepared in {None, w.prepared})
            assert waiter == next(suited)
        self.waiters.remove(waiter)
        self.served += 1
        self.children[lent.id] = replace(lent, phase=BUSY, key=None, holds_calls=False, since=self.now)

    def pick(self, phase: Phase, number: int) -> ChildState | None:
        """Choose one of the children in a phase."""
        found = [state for state in self.children.values() if state.phase is phase]
        return found[number % len(found)] if found else None

    def happen(self, what: str, number: int) -> None:
        """Let something happen to the pool."""
        model, key = "abc"[number % 3], f"k{number % 4}"
        if what in {"ask", "go on"}:
            self.ids += 1
            self.told[model] = prepared = f"p{number % 5}"
            self.waiters.append(Waiter(self.ids, model, key if what == "go on" else None, prepared))
        elif what == "leave queue" and self.waiters:
            del self.waiters[number % len(self.waiters)]
        elif what == "time":
            self.now += 50.0 * number
        elif what == "reaped" and (state := self.pick(LEAVING, number)):
            del self.children[state.id]
        elif what == "dies" and self.children:
            del self.children[list(self.children)[number % len(self.children)]]
        elif what in FINISHED and (state := self.pick(BUSY, number)):
            phase = FINISHED[what]
            kept = key if phase is KEPT else None
            self.children[state.id] = replace(
                state, phase=phase, key=kept, holds_calls=what == "holds calls", since=self.now
            )


FINISHED = {"kept": KEPT, "holds calls": KEPT, "given back": WARM, "retired": LEAVING}
HAPPENINGS = st.tuples(
    st.sampled_from(["ask", "ask", "go on", "leave queue", "time", "reaped", "dies", *FINISHED]), st.integers(0, 11)
)
RULES = st.builds(
    Rules,
    max_children=st.integers(1, 4),
    warm_models=st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
    warm=st.integers(0, 2),
)


@given(RULES, st.lists(HAPPENINGS, max_size=40))
def test_every_promise_holds_whatever_happens(rules: Rules, happenings: list[tuple[str, int]]) -> None:
    """K11, K02: never too many, in order, only to its own, nothing left to do once it is done."""
    pool = Pool(rules)
    for what, number in happenings:
        pool.happen(what, number)
        pool.settle()


@given(RULES, st.lists(HAPPENINGS, max_size=30), st.lists(st.sampled_from(sorted(FINISHED)), min_size=1, max_size=5))
def test_every_request_is_served_once_others_end(
    rules: Rules, happenings: list[tuple[str, int]], endings: list[str]
) -> None:
    """K11: no deadlock, however children end: each round some end and are reaped, and no one waits for ever."""
    pool = Pool(rules)
    for what, number in happenings:
        pool.happen(what, number)
        pool.settle()
    for turn in range(3 * len(pool.waiters)):
        pool.happen(endings[turn % len(endings)], turn)
        pool.settle()
        pool.happen("reaped", turn)
        pool.settle()
    assert pool.waiters == []


@given(RULES, st.lists(HAPPENINGS, max_size=30))
def test_a_request_is_served_though_others_keep_coming(rules: Rules, happenings: list[tuple[str, int]]) -> None:
    """K11: no starvation by those who come later, whichever model they ask for."""
    pool = Pool(rules)
    for what, number in happenings:
        pool.happen(what, number)
        pool.settle()
    pool.ids += 1
    mine = Waiter(pool.ids, "a")
    pool.waiters.append(mine)
    pool.settle()
    for turn in range(3 * len(pool.waiters)):
        # Keys that come never meet keys that are kept: a conversation goes on after its reply, never before.
        for what, number in (("ask", turn), ("kept", 2 * turn), ("go on", 2 * turn + 1), ("reaped", turn)):
            pool.happen(what, number)
            pool.settle()
    assert mine not in pool.waiters
