"""Numbers as people read them."""

import pytest

from claude_proxy.cli import figures


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 m"),
        (3599, "59 m"),
        (3600, "1 h"),
        (7999, "2 h 13 m"),
        (86_399, "23 h 59 m"),
        (86_400, "1 d"),
        (300_000, "3 d 11 h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, words: str) -> None:
    """The smaller one is left out where there is none of it."""
    assert figures.duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (None, "-"),
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (10_432, "10.4k"),
        (99_950, "100k"),
        (200_000, "200k"),
        (999_499, "999k"),
        (999_500, "1M"),
        (1_048_576, "1M"),
        (2_500_000_000, "2.5G"),
    ],
)
def test_counts_are_short(number: float | None, words: str) -> None:
    """Four figures at most, and never a thousand of a smaller unit."""
    assert figures.count(number) == words


@pytest.mark.parametrize(("number", "words"), [(None, "-"), (0, "0 MB"), (612.4, "612 MB"), (1234, "1.2 GB")])
def test_memory_changes_its_unit(number: float | None, words: str) -> None:
    """A process that has grown is told in gigabytes."""
    assert figures.megabytes(number) == words


@pytest.mark.parametrize(
    ("amount", "words"), [(None, "-"), (0, "$0.00"), (0.004, "<$0.01"), (0.0123, "$0.01"), (1234.5, "$1,234.50")]
)
def test_prices_have_cents(amount: float | None, words: str) -> None:
    """What is less than one isn't nothing."""
    assert figures.dollars(amount) == words


@pytest.mark.parametrize(("share", "words"), [(None, "-"), (0, "0%"), (0.4, "<1%"), (37.5, "37%"), (99.9, "99%")])
def test_shares_are_never_more_than_they_are(share: float | None, words: str) -> None:
    """What isn't full isn't 100 %."""
    assert figures.percent(share) == words
