"""An upstream's refusal as the error that a client deserves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_proxy.backends.http.failures import from_answer, retry_after
from claude_proxy.errors import ContextTooLong, UpstreamError

NOW = 1_790_000_000.0


def failed(status: int = 400, body: Any = b"", headers: dict[str, str] | None = None, **options: Any) -> Any:
    """Give the error for an answer."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_answer(status, headers or {}, raw, now=NOW, **options)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, "no"),
        ({"error": {"message": "no", "code": None}}, "no"),
        ({"error": "no"}, "no"),
        ({"message": "no"}, "no"),
        ({"detail": "no"}, "no"),
        ([{"error": {"message": "no"}}], "no"),
        (b"no such\n thing", "no such thing"),
        (b"<html>Bad Gateway</html>", "the upstream answered 400 without a reason"),
        ({"error": {"message": ""}}, "the upstream answered 400 without a reason"),
        ([], "the upstream answered 400 without a reason"),
        (b'"text"', '"text"'),
        (b"\xff", "�"),
    ],
)
def test_the_upstreams_own_words_are_kept(body: Any, message: str) -> None:
    """Whatever shape they come in; a page for people is left out."""
    assert failed(body=body).message == message


@pytest.mark.parametrize(
    ("status", "ours"), [(400, 400), (401, 401), (404, 404), (422, 400), (429, 429), (500, 502), (503, 503), (529, 529)]
)
def test_a_status_is_kept_where_it_means_something(status: int, ours: int) -> None:
    """K10: 429, 529, 400 and 401 as they are, what is broken upstream is 502."""
    assert failed(status).status == ours


def test_what_openai_says_beside_is_kept() -> None:
    """Programs read the code."""
    error = failed(body={"error": {"message": "x", "param": "tools", "code": "invalid_value"}})
    assert (error.param, error.code) == ("tools", "invalid_value")


@pytest.mark.parametrize(
    "message",
    ["prompt is too long: 5 tokens > 4 maximum", "This model's maximum context length is 4 tokens"],
)
def test_a_conversation_that_is_too_long_is_told_apart(message: str) -> None:
    """Clients compact on that code."""
    error = failed(body={"error": {"message": message}})
    assert isinstance(error, ContextTooLong)
    assert error.code == "context_length_exceeded"


def test_a_refused_key_says_whose_it_is_and_never_which() -> None:
    """The client's own key has nothing to do with it."""
    error = failed(401, {"error": {"message": "bad key sk-12345"}}, secret="sk-12345", owner="upstream")
    assert error.message == "upstream refused the API key that is configured for it: bad key ***"


def test_a_redirect_is_not_followed() -> None:
    """A key goes where it was meant to go."""
    error = failed(308, b"moved", {"location": "https://elsewhere"})
    assert isinstance(error, UpstreamError)
    assert "base-url" in error.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1e300"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:30 GMT"}, 10),
        ({"retry-after": "Mon, 21 Sep 2020 14:13:30 GMT"}, 0),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds or a date."""
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"tokens-reset": "2026-09-21T14:14:20Z", "tokens-remaining": "0"}, 60),
        ({"tokens-reset": "2026-09-21T14:14:20", "tokens-remaining": "0"}, 60),
        ({"tokens-reset": "2026-09-21T14:14:20Z", "tokens-remaining": "5"}, None),
        ({"tokens-reset": "2020-09-21T14:14:20Z", "tokens-remaining": "0"}, None),
        ({"tokens-reset": "later", "tokens-remaining": "0"}, None),
        ({"tokens-reset": "1e300", "tokens-remaining": "0"}, None),
        ({"tokens-reset": "9999-12-31T23:59:59-12:00", "tokens-remaining": "0"}, 253_402_300_799 - NOW),
        ({"unified-reset": "1790000030", "unified-status": "rejected"}, 30),
        (
            {
                "unified-5h-reset": "1790000030",
                "unified-5h-status": "rejected",
                "unified-7d-reset": "1790000090",
                "unified-7d-status": "rejected",
            },
            90,
        ),
    ],
)
def test_a_used_up_limit_says_when_it_resets(headers: dict[str, str], wait: float | None) -> None:
    """K10: where there is no ``retry-after``; the latest of those that are used up."""
    error = failed(429, b"", {f"anthropic-ratelimit-{name}": value for name, value in headers.items()})
    assert error.retry_after == wait
    assert error.reset_at == (None if wait is None else NOW + wait)


def test_retry_after_outweighs_the_limits() -> None:
    """It is meant for this very request."""
    limits = {"anthropic-ratelimit-tokens-reset": "1790000030", "anthropic-ratelimit-tokens-remaining": "0"}
    error = failed(429, b"", {"retry-after": "2", **limits})
    assert (error.retry_after, error.reset_at) == (2, NOW + 30)


def test_a_key_that_is_none_blots_out_nothing() -> None:
    """Upstreams that ask for no key get ``x``."""
    assert failed(400, {"error": {"message": "example"}}, secret="x").message == "example"
