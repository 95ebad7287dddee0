"""The pool's decisions carried out while anything happens: also rules that change, and time that jumps."""

from __future__ import annotations

from dataclasses import replace

from fuzzing import EXAMPLES, tried
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from claude_proxy.backends.claude_cli.policy import (
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

MODELS, KEYS, PREPARED = st.sampled_from("abc"), st.sampled_from(["k1", "k2", "k3"]), st.sampled_from(["p1", "p2"])
RULES = st.builds(
    Rules,
    max_children=st.integers(1, 5),
    warm_models=st.lists(MODELS, max_size=3).map(tuple),
    warm=st.integers(0, 2),
    idle_seconds=st.sampled_from([0.0, 30.0, 300.0]),
    call_seconds=st.sampled_from([0.0, 600.0]),
)


class Machine(RuleBasedStateMachine):
    """A pool as it may be on its worst day."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Rules()
        self.children: dict[int, ChildState] = {}
        self.waiters: list[Waiter] = []
        self.asked: dict[str, str] = {}
        self.now = 0.0
        self.ids = 0
        self.starting_fails = False

    # -- what happens -------------------------------------------------------------------------------------------------

    @rule(rules=RULES)
    def other_rules(self, rules: Rules) -> None:
        """The configuration was written anew."""
        self.config = rules

    @rule(model=MODELS, key=st.none() | KEYS, prepared=st.none() | PREPARED)
    def ask(self, model: str, key: str | None, prepared: str | None) -> None:
        """A request comes."""
        self.ids += 1
        self.asked[model] = prepared or ""
        self.waiters.append(Waiter(self.ids, model, key, prepared))

    @precondition(lambda self: self.waiters)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A client doesn't wait any longer."""
        self.waiters.remove(data.draw(st.sampled_from(self.waiters)))

    @rule(seconds=st.sampled_from([0.0, 1.0, 31.0, 301.0, 1e6, -3600.0]))
    def time_passes(self, seconds: float) -> None:
        """Also backwards: whose clock it is isn't the policy's business."""
        self.now += seconds

    @rule()
    def starting_fails_or_works(self) -> None:
        """Whether children can be started unasked."""
        self.starting_fails = not self.starting_fails

    def _one(self, data: st.DataObject, *phases: Phase) -> ChildState | None:
        found = [child for child in self.children.values() if child.phase in phases]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(data=st.data(), key=KEYS, holds=st.booleans(), went_on=st.booleans())
    def turn_ends(self, data: st.DataObject, key: str, *, holds: bool, went_on: bool) -> None:
        """Its conversation may go on."""
        if busy := self._one(data, Phase.BUSY):
            kept = replace(busy, phase=Phase.KEPT, key=key, holds_calls=holds, went_on=went_on, since=self.now)
            self.children[busy.id] = kept

    @rule(data=st.data())
    def turn_fails(self, data: st.DataObject) -> None:
        """Its child can't be used again."""
        if busy := self._one(data, Phase.BUSY):
            self.children[busy.id] = replace(busy, phase=Phase.LEAVING)

    @rule(data=st.data())
    def gone(self, data: st.DataObject) -> None:
        """A child ends: those that should, sooner or later, and any other at any time."""
        if child := self._one(data, *Phase):
            del self.children[child.id]

    # -- what is done about it ----------------------------------------------------------------------------------------

    @rule()
    def settle(self) -> None:
        """Decide and carry out, until there is nothing to do."""
        for _ in range(50):
            actions = self._decide()
            if not actions:
                return
            for action in actions:
                self._carry_out(action)
        raise AssertionError("it never settles")

    def _decide(self) -> list[Spawn | Lend | Retire]:
        demand = Demand(tuple(self.asked), {model: told for model, told in self.asked.items() if told})
        return decide(
            self.children.values(), self.waiters, self.config, self.now, None if self.starting_fails else demand
        )

    def _carry_out(self, action: Spawn | Lend | Retire) -> None:
        match action:
            case Spawn(model=model, prepared=prepared):
                assert len(self.children) < self.config.max_children
                self.ids += 1
                self.children[self.ids] = ChildState(self.ids, model, prepared=prepared, since=self.now)
            case Retire(child=number):
                assert self.children[number].phase in {Phase.WARM, Phase.KEPT}
                self.children[number] = replace(self.children[number], phase=Phase.LEAVING)
            case Lend(child=number, waiter=waiter_id):
                (waiter,) = (one for one in self.waiters if one.id == waiter_id)
                lent = self.children[number]
                if lent.phase is Phase.KEPT:
                    assert lent.key == waiter.key is not None
                else:
                    assert lent.phase is Phase.WARM
                    assert (lent.model, lent.prepared in {None, waiter.prepared}) == (waiter.model, True)
                self.waiters.remove(waiter)
                self.children[number] = replace(lent, phase=Phase.BUSY, key=None, holds_calls=False, since=self.now)

    # -- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def it_decides_the_same_again(self) -> None:
        """It has no memory of its own."""
        assert self._decide() == self._decide()

    @invariant()
    def the_next_look_is_no_endless_loop(self) -> None:
        """Where nothing is to be done now, it isn't to be asked again at once, for ever."""
        if not self._decide():
            due = next_deadline(self.children.values(), self.config, self.now)
            assert due is None or due > self.now


def test_nobody_waits_for_ever_once_turns_end() -> None:
    """K11: the machine's own end, on one of its worst days: places come free, and each waiter has its turn."""
    machine = Machine()
    machine.config = Rules(max_children=2, warm_models=("a", "b", "c"))
    for number in range(9):
        machine.ask("abc"[number % 3], "k1" if number % 2 else None, "p1" if number % 4 else None)
    for _ in range(40):
        machine.settle()
        for child in list(machine.children.values()):
            if child.phase in {Phase.BUSY, Phase.LEAVING}:
                del machine.children[child.id]
    assert machine.waiters == []


TestMachine = Machine.TestCase
TestMachine.settings = tried(40, stateful_step_count=80 if EXAMPLES else 40)
