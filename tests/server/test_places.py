"""How many turns there may be, and when who is sent away should come back."""

from __future__ import annotations

import pytest

from claude_proxy.errors import RateLimited
from claude_proxy.server.places import Places


def full(limit: int, *, seconds: float = 0.0) -> Places:
    """Give places that are all taken, after turns that took so long."""
    places = Places()
    for _ in range(20 if seconds else 0):
        places.take(limit)
        places.leave(seconds)
    for _ in range(limit):
        places.take(limit)
    return places


def wait(places: Places, limit: int) -> float:
    """Give what one more is told."""
    with pytest.raises(RateLimited) as caught:
        places.take(limit)
    assert caught.value.retry_after is not None
    return caught.value.retry_after


def test_a_place_that_came_free_is_given_again() -> None:
    """Never more than the limit at once."""
    places = full(2)
    wait(places, 2)
    places.leave(1.0)
    places.take(2)
    assert places.taken == 2


def test_who_is_sent_away_hears_when_a_place_is_likely_to_be_free() -> None:
    """Two turns of a minute each: one ends every half a minute."""
    assert wait(full(2, seconds=60.0), 2) == pytest.approx(30.0)


def test_who_is_sent_away_next_comes_later() -> None:
    """Not all at once for the one place; each that comes free is somebody's."""
    places = full(4, seconds=8.0)
    assert [wait(places, 4) for _ in range(3)] == pytest.approx([2.0, 4.0, 6.0])
    places.leave(8.0)
    places.leave(8.0)
    places.take(4)
    places.take(4)
    assert wait(places, 4) == pytest.approx(4.0)


@pytest.mark.parametrize(("seconds", "told"), [(0.0, 1.0), (0.01, 1.0), (3600.0, 60.0)])
def test_the_wait_is_one_that_clients_understand(seconds: float, told: float) -> None:
    """Never at once, also where no turn has ended yet; never longer than SDKs wait."""
    assert wait(full(2, seconds=seconds), 2) == told


def test_turns_of_late_count_most() -> None:
    """After long ones, short ones soon shorten the wait."""
    places = full(1, seconds=50.0)
    for _ in range(30):
        places.leave(2.0)
        places.take(1)
    assert wait(places, 1) < 5.0
