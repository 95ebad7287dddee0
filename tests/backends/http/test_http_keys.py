"""Which key is next, and how long a failed one is left alone."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.http.keys import Choice, Credential, Keys, wants_another_key, worth_another_try
from claude_proxy.config.schema import ModelName


def key(label: str, **fields: Any) -> Credential:
    """Make a key."""
    return Credential(label=label, owner=label, base_url="http://127.0.0.1", **fields)


def keys(*labels: str, **fields: Any) -> Keys:
    """Make keys that all serve everything."""
    return Keys([key(label) for label in labels], **fields)


def order(pool: Keys, times: int, now: float = 0.0) -> str:
    """Give the labels that are chosen one after the other."""
    chosen = [pool.choose("m", "", now) for _ in range(times)]
    return "".join(choice.credential.label for choice in chosen if choice)


def test_round_robin_takes_turns() -> None:
    """Each is asked as often as the others."""
    assert order(keys("a", "b", "c"), 7) == "abcabca"


def test_fill_first_stays_with_the_first() -> None:
    """Until it fails."""
    pool = keys("a", "b", strategy="fill-first")
    assert order(pool, 3) == "aaa"
    pool.failed(pool.credentials[0], "m", 429, 5, 0)
    assert order(pool, 2) == "bb"
    assert order(pool, 1, now=5) == "a"


def test_a_lone_key_is_never_blacked_out() -> None:
    """Its real error is what a client gets, so it is asked at once."""
    pool = keys("a")
    pool.failed(pool.credentials[0], "m", 429, 3600, 0)
    assert pool.choose("m", "", 1) == Choice(pool.credentials[0], 0)


def test_where_all_cool_down_the_one_free_soonest_is_asked_at_once() -> None:
    """Several keys are no worse than one."""
    pool = keys("a", "b")
    pool.failed(pool.credentials[0], "m", 429, 60, 0)
    pool.failed(pool.credentials[1], "m", 429, 30, 0)
    assert pool.choose("m", "", 0) == Choice(pool.credentials[1], 0)


def test_the_second_attempt_waits_for_the_key_that_is_free_soonest() -> None:
    """A retry is no hammering."""
    pool = keys("a", "b")
    pool.failed(pool.credentials[0], "m", 503, None, 0)
    pool.failed(pool.credentials[1], "m", 503, 7, 0)
    assert pool.choose("m", "", 0.25, asked={"a", "b"}) == Choice(pool.credentials[0], 0.75)


def test_a_barred_key_is_not_asked() -> None:
    """It was refused by this very request."""
    assert keys("a").choose("m", "", 0, asked={"a"}, barred={"a"}) is None


def test_cooling_down_is_by_model() -> None:
    """A limit of one model says nothing of another."""
    pool = keys("a", "b", strategy="fill-first")
    pool.failed(pool.credentials[0], "m", 429, 60, 0)
    choice = pool.choose("other", "", 0)
    assert choice is not None
    assert choice.credential.label == "a"


@pytest.mark.parametrize("status", [401, None])
def test_a_refused_or_unreachable_key_cools_down_for_every_model(status: int | None) -> None:
    """Another model changes nothing about that."""
    pool = keys("a", "b")
    pool.failed(pool.credentials[0], "m", status, None, 0)
    assert pool.free_at(pool.credentials[0], "other") == 1


def test_failures_one_after_the_other_cool_down_longer() -> None:
    """1, 2, 4 … seconds up to the longest."""
    pool = keys("a", longest_cooldown=5)
    one, now, waits = pool.credentials[0], 0.0, []
    for _ in range(5):
        pool.failed(one, "m", 500, None, now)
        waits.append(pool.free_at(one, "m") - now)
        now = pool.free_at(one, "m")
    assert waits == [1, 2, 4, 5, 5]


def test_failures_at_once_are_one_failure() -> None:
    """A hundred requests that fail together mean no more than one."""
    pool = keys("a")
    for _ in range(100):
        pool.failed(pool.credentials[0], "m", 500, None, 0)
    assert pool.free_at(pool.credentials[0], "m") == 1


def test_a_success_ends_it() -> None:
    """The key is as good as new."""
    pool = keys("a")
    pool.failed(pool.credentials[0], "m", 500, None, 0)
    pool.failed(pool.credentials[0], "m", 401, None, 0)
    pool.succeeded(pool.credentials[0], "m")
    assert pool.free_at(pool.credentials[0], "m") == -math.inf


def test_what_is_remembered_has_an_end() -> None:
    """Clients name models as they like."""
    pool = keys("a")
    for place in range(3000):
        pool.failed(pool.credentials[0], f"m{place}", 500, 1, place)
    assert len(pool._cooling) <= 1001


@pytest.mark.parametrize(
    ("fields", "model", "serves"),
    [
        ({}, "anything", True),
        ({"models": (ModelName(name="Claude-A"),)}, "claude-a", True),
        ({"models": (ModelName(name="claude-a"),)}, "claude-b", False),
        ({"excluded_models": ("*-haiku-*",)}, "claude-HAIKU-4", False),
        ({"excluded_models": ("*-haiku-*",)}, "claude-haiku", True),
        ({"excluded_models": ("a.b*",)}, "axb1", True),
        ({"models": (ModelName(name="claude-*"),), "excluded_models": ("*",)}, "claude-b", False),
    ],
)
def test_which_models_a_key_serves(fields: Any, model: str, serves: bool) -> None:  # noqa: FBT001  # expected
    """What is listed, less what is excluded; ``*`` is anything, a dot is a dot, case doesn't matter."""
    assert key("a", **fields).serves(model) is serves


def test_a_prefix_keeps_to_its_own() -> None:
    """What is asked for with a prefix costs that key's money and nobody else's."""
    pool = Keys([key("a"), key("b", prefix="work")])
    assert [one.label for one in pool.serving("m", "work")] == ["b"]
    assert [one.label for one in pool.serving("m")] == ["a"]
    assert pool.choose("m", "nobody", 0) is None


def test_a_key_does_not_show() -> None:
    """Neither the secret, nor headers and proxies that may hold one."""
    shown = repr(key("a", secret="s3cret", headers={"x": "s3cret"}, proxy_url="http://u:s3cret@h:1"))
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("status", "again", "other"),
    [
        (None, True, False),
        (400, False, False),
        (401, True, True),
        (403, True, True),
        (404, False, False),
        (408, True, False),
        (413, False, False),
        (429, True, False),
        (500, True, False),
        (529, True, False),
    ],
)
def test_what_is_tried_again(status: int | None, again: bool, other: bool) -> None:  # noqa: FBT001  # expected
    """What may go better, and what another key may do better."""
    assert (worth_another_try(status), wants_another_key(status)) == (again, other)


STATUS = st.sampled_from([None, 401, 429, 500])
STEP = st.tuples(st.integers(0, 3), STATUS, st.none() | st.floats(0, 100), st.booleans(), st.floats(0, 20))


@given(st.lists(STEP, max_size=30), st.sampled_from(["round-robin", "fill-first"]))
def test_there_is_always_someone_to_ask(steps: Any, strategy: Literal["round-robin", "fill-first"]) -> None:
    """A first attempt never waits, one that cools down isn't asked while another is free, and a wait ends."""
    pool = keys("a", "b", "c", "d", strategy=strategy)
    now = 0.0
    for place, status, retry_after, well, passed in steps:
        one = pool.credentials[place]
        if well:
            pool.succeeded(one, "m")
        else:
            pool.failed(one, "m", status, retry_after, now)
        now += passed
        first, later = pool.choose("m", "", now), pool.choose("m", "", now, asked=set("abcd"))
        assert first is not None
        assert later is not None
        assert first.wait == 0
        free = [other for other in pool.credentials if pool.free_at(other, "m") <= now]
        assert not free or first.credential in free
        assert pool.free_at(later.credential, "m") <= now + later.wait + 1e-6
        assert later.wait <= 100
