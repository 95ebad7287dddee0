"""The price list, and what it makes of token counts."""

from __future__ import annotations

from typing import Any

import pytest
from ledger_entries import group

from claude_proxy.ledger.prices import parse
from claude_proxy.ledger.store import list_prices
from claude_proxy.simulator.models import MODELS

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("claude-fable-5-2", 8),
        ("claude-fable-5-1", 10),
        ("claude-fable-5", 10),
        ("claude-opus-5-5", 4),
        ("claude-opus-5", 5),
        ("claude-opus-4-5-20251101", 5),
        ("claude-opus-4-8", 5),
        ("claude-opus-4-1-20250805", 15),
        ("claude-opus-4-20250514", 15),
        ("claude-3-opus-latest", 15),
        ("claude-sonnet-5-5", 2),
        ("claude-sonnet-5-5[1m]", 2),
        ("claude-sonnet-4-6", 3),
        ("claude-sonnet-4@20250514", 3),
        ("claude-3-7-sonnet-20250219", 3),
        ("anthropic/claude-sonnet-4.5", 3),
        ("claude-haiku-5-5", 0.1),
        ("Claude-Haiku-4-5", 1),
        ("claude-3-5-haiku-20241022", 0.8),
        ("claude-3-haiku-20240307", 0.25),
    ],
)
def test_input_costs_what_the_list_says(model: str, dollars: float) -> None:
    """Whatever date or place stands around a model's name."""
    assert list_prices().cost(group(model, input_tokens=MILLION)) == pytest.approx(dollars)


@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-9", "claude-opus-5-7", "my-claude-opus-5", "", "sonnet"])
def test_a_model_that_isnt_listed_has_no_price(model: str) -> None:
    """No price is better than that of another model."""
    assert list_prices().cost(group(model, input_tokens=MILLION)) is None


def test_each_kind_of_token_has_its_price() -> None:
    """Output, what was read from the cache, and what was written there."""
    kinds = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    each: list[dict[str, Any]] = [{kind: MILLION} for kind in kinds]
    costs = [list_prices().cost(group(**fields)) for fields in each]

    assert costs == pytest.approx([2, 10, 0.1, 2.5])


def test_what_is_cached_for_an_hour_costs_more() -> None:
    """It is a part of all that was written, and never more than that."""
    prices = list_prices()

    assert prices.cost(group(cache_write_tokens=MILLION, cache_write_1h_tokens=MILLION // 2)) == pytest.approx(3.25)
    assert prices.cost(group(cache_write_tokens=MILLION, cache_write_1h_tokens=9 * MILLION)) == pytest.approx(4)


def test_a_long_prompt_may_have_a_price_of_its_own() -> None:
    """Where the list says from which size on."""
    prices = list_prices()
    sizes = [prices.cost(group("claude-haiku-5-5", input_tokens=MILLION, long=long)) for long in (0, 1)]

    assert prices.limits == (100_000,)
    assert sizes == pytest.approx([0.1, 0.5])
    assert prices.cost(group(input_tokens=MILLION, long=1)) == pytest.approx(2)


def test_the_list_has_its_date_and_no_rate_out_of_line() -> None:
    """Reading from the cache is the cheapest, then input, writing, and output."""
    prices = list_prices()

    assert prices.date.year >= 2026
    for model in prices.models:
        rates = [model.cache_read, model.input, model.cache_write_5m, model.cache_write_1h, model.output]
        assert rates == sorted(rates), model.names


@pytest.mark.parametrize("model", list(MODELS))
def test_the_simulators_models_have_prices(model: str) -> None:
    """So that the demo shows what the page will look like."""
    assert list_prices().cost(group(model)) is not None


def test_several_limits_are_told_apart() -> None:
    """Each model's own counts."""
    rates = "input = 1\noutput = 1\ncache-read = 1\ncache-write-5m = 1\ncache-write-1h = 1\n"
    dear = rates.replace("\n", ", ").replace("= 1", "= 2").rstrip(", ")
    models = [
        f'[[models]]\nnames = ["{name}"]\n{rates}long = {{ above = {above}, {dear} }}\n'
        for name, above in (("claude-a", 200), ("claude-b", 100))
    ]
    prices = parse(("date = 2026-01-01\n" + "".join(models)).encode())

    assert prices.limits == (100, 200)
    assert [prices.cost(group("claude-a", output_tokens=MILLION, long=long)) for long in (0, 1, 2)] == [1, 1, 2]
    assert [prices.cost(group("claude-b", output_tokens=MILLION, long=long)) for long in (0, 1, 2)] == [1, 2, 2]
