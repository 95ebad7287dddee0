"""What the CLI offers, and what is learnt of it."""

from __future__ import annotations

from typing import Any

import pytest

from claude_proxy.backends.base import Model
from claude_proxy.backends.claude_cli.catalog import Catalog, Knowledge, parse
from claude_proxy.backends.claude_cli.parameters import Abilities

ABLE = {
    "supportsEffort": True,
    "supportedEffortLevels": ["low", "medium", "high"],
    "supportsAdaptiveThinking": True,
    "supportsThinkingOff": False,
}
ENTRIES: list[dict[str, Any]] = [
    {"value": "default", "resolvedModel": "claude-sonnet-5-5", "displayName": "Default (recommended)", **ABLE},
    {"value": "sonnet", "resolvedModel": "claude-sonnet-5-5", "displayName": "Sonnet", **ABLE},
    {"value": "sonnet[1m]", "resolvedModel": "claude-sonnet-5-5", "displayName": "Sonnet (1M)", **ABLE},
    {"value": "opus", "resolvedModel": "claude-opus-5-5", "displayName": "Opus", **ABLE},
    {"value": "claude-relic-3", "displayName": "Relic", "supportsEffort": False},
]
CATALOG = parse(ENTRIES)
SONNET, OPUS, RELIC = "claude-sonnet-5-5", "claude-opus-5-5", "claude-relic-3"


def test_several_names_of_one_model_are_one_model() -> None:
    """L01: the exact id, every name that leads to it, and the name that says most."""
    assert CATALOG.models[0] == Model(
        id=SONNET,
        display_name="Sonnet",
        aliases=("default", "sonnet", "sonnet[1m]"),
        effort_levels=("low", "medium", "high"),
    )


def test_a_model_without_a_resolved_name_is_its_own() -> None:
    """L01: older versions of the CLI don't tell more."""
    assert CATALOG.models[2] == Model(id=RELIC, display_name="Relic")


def test_the_order_is_the_clis() -> None:
    """L01: nothing is hard-coded, the order neither."""
    assert [model.id for model in CATALOG.models] == [SONNET, OPUS, RELIC]


def test_a_first_name_that_is_not_the_default_stays() -> None:
    """The name of a later alias isn't better."""
    entries = [{"value": "opus", "resolvedModel": OPUS, "displayName": "Opus"}, {"value": OPUS, "displayName": "Other"}]
    (model,) = parse(entries).models
    assert (model.display_name, model.aliases) == ("Opus", ("opus",))


def test_an_entry_without_a_name_is_no_model() -> None:
    """There would be nothing to ask for."""
    assert parse([{"displayName": "?"}, {"value": None}]) == Catalog()


def test_a_model_without_a_shown_name_is_shown_by_its_id() -> None:
    """A list without names would be no use."""
    assert parse([{"value": "x"}]).models[0].display_name == "x"


@pytest.mark.parametrize(
    ("entry", "abilities"),
    [
        (ABLE, Abilities(thinking_off=False, adaptive=True, efforts=("low", "medium", "high"))),
        ({}, Abilities()),
        ({"supportsThinkingOff": "no", "supportsEffort": None}, Abilities()),
        ({"supportsEffort": True}, Abilities(efforts=None)),
        ({"supportsEffort": False, "supportedEffortLevels": ["low"]}, Abilities(efforts=())),
        (
            {"supportsThinkingOff": True, "supportsAdaptiveThinking": False},
            Abilities(thinking_off=True, adaptive=False),
        ),
    ],
)
def test_abilities_are_what_the_cli_says(entry: dict[str, Any], abilities: Abilities) -> None:
    """C09b: said, denied and not mentioned are three things."""
    assert parse([{"value": "x", **entry}]).abilities == {"x": abilities}


@pytest.mark.parametrize(
    ("name", "exact"),
    [("sonnet", SONNET), ("default", SONNET), (SONNET, SONNET), ("opus", OPUS), ("claude-new-9", "claude-new-9")],
)
def test_a_listed_name_leads_to_the_exact_model(name: str, exact: str) -> None:
    """L02: any other name stays as it is."""
    assert CATALOG.exact(name) == exact


@pytest.mark.parametrize(
    ("exact", "name"), [(SONNET, "sonnet"), (OPUS, "opus"), (RELIC, RELIC), ("claude-new-9", "claude-new-9")]
)
def test_the_shortest_name_is_the_familys(exact: str, name: str) -> None:
    """One name for the pool, so that two names of one model don't mean two children."""
    assert CATALOG.shortest(exact) == name


@pytest.mark.parametrize(
    ("name", "model"),
    [("claude-sonnet-4", SONNET), ("claude-3-opus-20240229", OPUS), ("claude-relic-2", None), (OPUS, None)],
)
def test_an_old_name_has_its_familys_current_model(name: str, model: str | None) -> None:
    """L02: but a current model doesn't stand in for itself."""
    assert CATALOG.current(name) == model


def test_sizes_are_known_after_a_turn() -> None:
    """L01: the CLI tells them with its first result; what it doesn't tell stays."""
    first = CATALOG.with_sizes({SONNET: 128_000}, {SONNET: 1_000_000, "other": 5})
    second = first.with_sizes({OPUS: 64_000}, {})
    sizes = [(model.max_output_tokens, model.context_window) for model in second.models]
    assert sizes == [(128_000, 1_000_000), (64_000, None), (None, None)]


def test_refusals_are_remembered_by_model() -> None:
    """C09b: what one model refuses says nothing of another."""
    known = Knowledge(CATALOG)
    known.learn_refusal(SONNET, frozenset({"top_k"}))
    known.learn_refusal(SONNET, frozenset({"temperature"}))
    assert known.able(SONNET).refused == {"top_k", "temperature"}
    assert known.able(SONNET).adaptive is True
    assert known.able(OPUS).refused == frozenset()


def test_nothing_is_known_of_an_unlisted_model() -> None:
    """C09b: so everything is tried."""
    assert Knowledge(CATALOG).able("claude-new-9") == Abilities()


def test_a_name_that_the_upstream_does_not_know_is_replaced_for_a_day() -> None:
    """L02: the family's current model answers, until it is time to look again."""
    known = Knowledge(CATALOG)
    assert known.resolve("claude-sonnet-4", 0.0) == "claude-sonnet-4"
    assert known.learn_missing("claude-sonnet-4", 0.0)
    assert known.resolve("claude-sonnet-4", 86_399.0) == SONNET
    assert known.resolve("claude-sonnet-4", 86_400.0) == "claude-sonnet-4"


def test_a_name_without_a_family_is_not_replaced() -> None:
    """L01: an unknown name stays a 404."""
    known = Knowledge(CATALOG)
    assert not known.learn_missing("gpt-9", 0.0)
    assert known.resolve("gpt-9", 1.0) == "gpt-9"


def test_a_refused_stand_in_is_not_tried_for_ever() -> None:
    """L02: learning the same twice says that there is nothing more to try."""
    known = Knowledge(CATALOG)
    assert known.learn_missing("claude-sonnet-4", 0.0)
    assert not known.learn_missing("claude-sonnet-4", 1.0)


def test_a_missing_name_whose_family_has_gone_stays_itself() -> None:
    """L02: the catalog may change within the day."""
    known = Knowledge(CATALOG)
    assert known.learn_missing("claude-sonnet-4", 0.0)
    known.catalog = Catalog()
    assert known.resolve("claude-sonnet-4", 1.0) == "claude-sonnet-4"


def test_what_is_learnt_of_made_up_names_is_bounded() -> None:
    """Clients can make up any number of them; what was learnt last is known."""
    known = Knowledge(CATALOG)
    for number in range(1000):
        name = f"claude-sonnet-{number}-0"
        known.learn_missing(name, 0.0)
        known.learn_refusal(name, frozenset({"top_k"}))
        known.learn_yardstick(name, number)
    assert {len(known._missing), len(known._refused), len(known.yardsticks)} == {256}
    assert known.resolve("claude-sonnet-999-0", 1.0) == SONNET
    assert known.able("claude-sonnet-999-0").refused == {"top_k"}
    assert known.yardsticks["claude-sonnet-999-0"] == 999
