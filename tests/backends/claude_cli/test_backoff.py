"""When children may be started."""

from __future__ import annotations

from claude_proxy.backends.claude_cli.backoff import Backoff


def test_a_start_waits_a_moment_after_a_child_was_lent() -> None:
    """The turn that has just begun needs the processor; those after it don't put the start off for ever."""
    backoff = Backoff()
    backoff.lent(10.0)
    due = backoff.due
    assert 10.0 < due < 11.0
    backoff.lent(10.1)
    assert backoff.due == due


def test_the_first_event_ends_the_wait() -> None:
    """It is told once that something has changed."""
    backoff = Backoff()
    backoff.lent(10.0)
    assert backoff.answered(10.1)
    assert backoff.due == 10.1
    assert not backoff.answered(10.2)


def test_failed_starts_are_tried_ever_less_often_up_to_a_limit() -> None:
    """No storm of starts."""
    backoff = Backoff()
    waits = []
    for _ in range(12):
        backoff.failed("no luck", 0.0)
        waits.append(backoff.due)
    assert waits == sorted(waits)
    assert waits[0] == 0.5
    assert waits[-1] == 30.0
    assert not backoff.answered(0.0)


def test_after_some_failures_requests_are_refused_until_the_next_try() -> None:
    """They are told the reason and when to come again; then one may try."""
    backoff = Backoff()
    for _ in range(2):
        backoff.failed("no luck", 0.0)
        assert backoff.refusal(0.0) is None
    backoff.failed("no luck", 0.0)
    refused = backoff.refusal(0.5)
    assert refused is not None
    assert "no luck" in refused.message
    assert refused.retry_after == backoff.due - 0.5
    assert backoff.refusal(backoff.due) is None


def test_a_start_that_goes_well_ends_it() -> None:
    """All is forgotten."""
    backoff = Backoff()
    for _ in range(5):
        backoff.failed("no luck", 0.0)
    backoff.started()
    assert backoff.refusal(0.0) is None
