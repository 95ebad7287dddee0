"""What turns add up to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from ledger_entries import group

from claude_proxy.ledger.entry import Group, count, is_failure, name
from claude_proxy.ledger.store import list_prices
from claude_proxy.ledger.usage import summary, usage

Zone = Callable[[str], None]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """Let the clock on the wall be elsewhere."""

    def set_to(where: str) -> None:
        monkeypatch.setenv("TZ", where)
        time.tzset()

    yield set_to
    monkeypatch.undo()
    time.tzset()


def test_each_model_has_a_row_and_all_have_a_total() -> None:
    """Who was asked most comes first."""
    found = summary(
        [
            group("claude-opus-5-5", requests=1, failed=1, input_tokens=1_000_000),
            group("claude-sonnet-5-5", requests=5, output_tokens=1_000_000, cache_read_tokens=7),
        ],
        list_prices(),
    )

    assert [row["model"] for row in found["models"]] == ["claude-sonnet-5-5", "claude-opus-5-5"]
    assert found["models"][1] == {
        "model": "claude-opus-5-5",
        "backend": "claude-cli",
        "requests": 1,
        "failed": 1,
        "input_tokens": 1_000_000,
        "output_tokens": 0,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "list_price_usd": 4.0,
    }
    assert found["total"] == {
        "requests": 6,
        "failed": 1,
        "input_tokens": 1_000_000,
        "output_tokens": 1_000_000,
        "cache_read_tokens": 7,
        "cache_write_tokens": 0,
        "list_price_usd": 14.000001,
    }


def test_long_prompts_are_in_their_models_row() -> None:
    """Only their price is another one."""
    groups = [group("claude-haiku-5-5", input_tokens=1_000_000, long=long) for long in (0, 1)]
    (row,) = summary(groups, list_prices())["models"]

    assert (row["requests"], row["list_price_usd"]) == (2, 0.6)


def test_a_model_without_a_price_adds_none() -> None:
    """Its own is unknown, and so is that of all where there is no other."""
    unknown = group("gpt-4o", output_tokens=5)
    prices = list_prices()

    assert summary([unknown], prices)["models"][0]["list_price_usd"] is None
    assert summary([unknown], prices)["total"]["list_price_usd"] is None
    assert summary([unknown, group(output_tokens=1_000_000)], prices)["total"]["list_price_usd"] == 10.0
    assert summary([], prices)["total"]["list_price_usd"] == 0.0


@pytest.mark.parametrize(
    ("where", "day", "month"),
    [
        ("UTC0", "2026-03-29T00:00", "2026-03-01T00:00"),
        # The clocks were put forward that night.
        ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-28T23:00", "2026-02-28T23:00"),
        ("PST8", "2026-03-29T08:00", "2026-03-01T08:00"),
    ],
)
def test_days_and_months_begin_at_local_midnight(zone: Zone, where: str, day: str, month: str) -> None:
    """By the clock on the wall, also where it was changed meanwhile."""
    zone(where)
    asked: list[float] = []
    now = datetime(2026, 3, 29, 15, 30, tzinfo=UTC).timestamp()

    def groups_since(since: float) -> list[Group]:
        asked.append(since)
        return []

    found = usage(groups_since, list_prices(), now)

    begins = [datetime.fromisoformat(f"{one}+00:00").timestamp() for one in (day, month)]
    assert [found["today"]["since"], found["month"]["since"]] == asked == begins
    assert found["enabled"] is True
    assert found["prices_date"] == list_prices().date.isoformat()


@pytest.mark.parametrize(
    ("value", "kept"), [(0, 0), (7, 7), (None, None), (-1, None), (1 << 60, None), (True, None), ("3", None)]
)
def test_a_count_is_one_that_can_be_kept(value: object, kept: int | None) -> None:
    """Whatever else an upstream calls a count is as good as none."""
    assert count(value) == kept


def test_a_name_can_be_kept_whatever_is_in_it() -> None:
    """Half a character is none, and there is an end."""
    assert name("a\ud800" + "x" * 300) == "a?" + "x" * 198


@pytest.mark.parametrize(("status", "failed"), [(200, False), (400, True), (499, False), (502, True)])
def test_a_client_that_left_is_no_failure(status: int, failed: bool) -> None:  # noqa: FBT001 - a column of the table
    """All other statuses from 400 on are."""
    assert is_failure(status) is failed
