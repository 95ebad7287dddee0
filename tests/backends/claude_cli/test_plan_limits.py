"""The plan's limits, read and shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli.limits import Limits, Window, limit_headers, refusal

REJECTED = {
    "status": "rejected",
    "resetsAt": 1795500000,
    "rateLimitType": "five_hour",
    "isUsingOverage": False,
    "unifiedWindows": {
        "five_hour": {"utilization": 1, "resetsAt": 1795500000, "status": "rejected"},
        "seven_day": {"utilization": 0.25, "resetsAt": 1795900000, "status": "allowed"},
    },
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_a_full_report_is_read() -> None:
    """Status, the window that counts, and each window by itself."""
    assert Limits.parse(REJECTED) == Limits(
        status="rejected",
        resets_at=1795500000.0,
        binding="five_hour",
        windows={
            "five_hour": Window(1.0, 1795500000.0, "rejected"),
            "seven_day": Window(0.25, 1795900000.0, "allowed"),
        },
    )


def test_a_short_report_leaves_the_rest_unknown() -> None:
    """What the CLI doesn't say is not made up."""
    assert Limits.parse({"status": "allowed", "isUsingOverage": False}) == Limits()


def test_extra_usage_is_read() -> None:
    """It costs money, so it must be known."""
    assert Limits.parse({"isUsingOverage": True}).overage


@pytest.mark.parametrize(
    "info",
    [
        {"unifiedWindows": ["five_hour"]},
        {"unifiedWindows": {"five_hour": None}},
        {"status": ["rejected"], "rateLimitType": {}},
        {"resetsAt": "soon"},
        {"resetsAt": 10**400},
        {"resetsAt": -1},
    ],
)
def test_what_is_in_no_known_shape_is_unknown(info: dict[str, Any]) -> None:
    """The CLI changes weekly; a new shape is no failure."""
    assert Limits.parse(info) == Limits()


def test_the_upstreams_headers_are_given_again() -> None:
    """Clients that know ``anthropic-ratelimit-unified-*`` find them."""
    prefix = "anthropic-ratelimit-unified-"
    headers = limit_headers(Limits.parse(REJECTED))
    assert headers[f"{prefix}status"] == "rejected"
    assert headers[f"{prefix}reset"] == "1795500000"
    assert headers[f"{prefix}representative-claim"] == "five_hour"
    assert headers[f"{prefix}5h-utilization"] == "1.0"
    assert headers[f"{prefix}5h-status"] == "rejected"
    assert headers[f"{prefix}7d-reset"] == "1795900000"


def test_the_tightest_window_counts() -> None:
    """``x-ratelimit-*`` is in percent of the window that ends first to be used up."""
    windows = {"five_hour": Window(0.2, 1000.0), "seven_day": Window(0.875, 1795900000.0)}
    headers = limit_headers(Limits(windows=windows))
    assert headers["x-ratelimit-limit"] == "100"
    assert headers["x-ratelimit-remaining"] == "12"
    assert headers["x-ratelimit-reset"] == "2026-11-28T21:06:40Z"


def test_more_than_all_used_leaves_nothing() -> None:
    """With extra usage a window can be over its end; what remains is never negative."""
    headers = limit_headers(Limits(windows={"five_hour": Window(1.25)}))
    assert headers["x-ratelimit-remaining"] == "0"
    assert "x-ratelimit-reset" not in headers


def test_an_unknown_window_keeps_its_name() -> None:
    """A window that comes later isn't hidden."""
    headers = limit_headers(Limits(windows={"seven_day_opus": Window(status="allowed")}))
    assert headers["anthropic-ratelimit-unified-seven_day_opus-status"] == "allowed"
    assert "x-ratelimit-limit" not in headers


def test_without_windows_there_is_only_the_status() -> None:
    """No percent is made up."""
    assert limit_headers(Limits()) == {"anthropic-ratelimit-unified-status": "allowed"}


def test_a_rejected_plan_without_windows_has_nothing_left() -> None:
    """Older versions of the CLI tell no more than that, and when it ends."""
    headers = limit_headers(Limits(status="rejected", resets_at=1795500000.0))
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("100", "0")
    assert headers["x-ratelimit-reset"] == "2026-11-24T06:00:00Z"


@pytest.mark.parametrize("limits", [None, Limits(), Limits(status="allowed_warning", resets_at=2000.0)])
def test_a_plan_that_isnt_used_up_refuses_nothing(limits: Limits | None) -> None:
    """Nor does one of which nothing is known, or that only warns."""
    assert refusal(limits, "claude-sonnet-5-5", reported_at=1000.0, now=1000.0) is None


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(status="rejected", resets_at=1600.4), "is used up"),
        (Limits(status="allowed", overage=True, resets_at=1600.4), "extra cost"),
    ],
)
def test_a_used_up_plan_refuses_until_its_window_resets(limits: Limits, words: str) -> None:
    """Rejected or on extra usage: the same 429, with the time to come back."""
    error = refusal(limits, "claude-sonnet-5-5", reported_at=900.0, now=1000.0)
    assert error is not None
    assert words in error.message
    assert "claude-cli.plan-only" in error.message
    assert (error.status, error.retry_after, error.reset_at) == (429, 601.0, 1600.4)
    assert refusal(limits, "claude-sonnet-5-5", reported_at=900.0, now=1600.4) is None


def test_the_end_of_a_used_up_window_stands_in_for_the_end_that_isnt_told() -> None:
    """The last of those that are used up: before it nothing would be let through."""
    windows = {
        "five_hour": Window(1.0, 1500.0, "rejected"),
        "seven_day": Window(1.0, 1700.0, "rejected"),
        "other": Window(0.1, 9000.0, "allowed"),
        "odd": Window(1.0, None, "rejected"),
    }
    error = refusal(Limits(status="rejected", windows=windows), "claude-sonnet-5-5", reported_at=900.0, now=1000.0)
    assert error is not None
    assert error.reset_at == 1700.0


def test_a_limit_without_an_end_is_believed_for_five_minutes() -> None:
    """Then one request finds out how it stands."""
    limits = Limits(status="rejected")
    error = refusal(limits, "claude-sonnet-5-5", reported_at=1000.0, now=1100.0)
    assert error is not None
    assert (error.retry_after, error.reset_at) == (200.0, None)
    assert refusal(limits, "claude-sonnet-5-5", reported_at=1000.0, now=1300.0) is None


def test_a_familys_own_window_holds_up_no_other_family() -> None:
    """Opus used up leaves Sonnet."""
    limits = Limits(status="rejected", resets_at=2000.0, binding="seven_day_opus")
    assert refusal(limits, "claude-sonnet-5-5", reported_at=900.0, now=1000.0) is None
    assert refusal(limits, "claude-opus-5-5", reported_at=900.0, now=1000.0) is not None


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "status": JSON,
            "resetsAt": JSON,
            "rateLimitType": JSON,
            "isUsingOverage": JSON,
            "unifiedWindows": JSON
            | st.fixed_dictionaries({"five_hour": st.fixed_dictionaries({"utilization": JSON, "resetsAt": JSON})}),
        },
    )
)
def test_any_report_can_be_read_and_shown(info: dict[str, Any]) -> None:
    """A strange report must not cost anybody a reply."""
    headers = limit_headers(Limits.parse(info))
    assert all(isinstance(value, str) for value in headers.values())
