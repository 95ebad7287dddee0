"""The CLI's words for a failure, and the error that a client gets."""

from __future__ import annotations

import pytest

from claude_proxy.backends.claude_cli.failures import SIGN_IN, Lost, failure, refused_parameters, sign_in
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.claude_cli.parameters import BESIDE_TEMPERATURE
from claude_proxy.errors import (
    BadRequest,
    ContextTooLong,
    Forbidden,
    NotSignedIn,
    Overloaded,
    ProxyError,
    RateLimited,
    TooLarge,
    UnknownModel,
    UpstreamError,
)

ADVICE = (
    ". This is a server-side issue, usually temporary — try again in a moment. If it persists, check your inference"
    " gateway (127.0.0.1:1)."
)


@pytest.mark.parametrize(
    ("text", "status", "kind", "error"),
    [
        ("API Error: 400 `x` is bad", 400, "invalid_request", BadRequest),
        ("Failed to authenticate. API Error: 401 no", 401, "authentication_failed", NotSignedIn),
        ("Failed to authenticate. API Error: 403 no", 403, "authentication_failed", Forbidden),
        ("There's an issue with the selected model (x).", 404, "invalid_request", UnknownModel),
        ("Request too large (max 32MB).", 413, "invalid_request", TooLarge),
        ("You've hit your 5-hour limit · resets 6am (UTC)", 429, "rate_limit", RateLimited),
        ("API Error: 500 oh" + ADVICE, 500, "server_error", UpstreamError),
        ("API Error: Overloaded", 529, "server_error", Overloaded),
        ("API Error: 418 teapot", 418, None, BadRequest),
    ],
)
def test_the_upstreams_status_is_kept(text: str, status: int, kind: str, error: type[ProxyError]) -> None:
    """K10: 400, 401, 429, 529 and the others stay what they are."""
    assert type(failure(text, status, kind, None)) is error


@pytest.mark.parametrize(
    ("text", "kind", "error"),
    [
        ("Not logged in · Please run /login", None, NotSignedIn),
        ("Invalid API key · Fix external API key", None, NotSignedIn),
        ("something new", "authentication_failed", NotSignedIn),
        ("You've hit your limit", "rate_limit", RateLimited),
        ("Prompt is too long", "invalid_request", ContextTooLong),
        ("no such field", "invalid_request", BadRequest),
        ("API Error: Connection dropped (ECONNRESET).", "server_error", Lost),
        ("Request timed out", None, Lost),
        ("what is this", None, UpstreamError),
    ],
)
def test_without_a_status_the_words_decide(text: str, kind: str | None, error: type[ProxyError]) -> None:
    """Some failures never got as far as the upstream."""
    assert type(failure(text, None, kind, None)) is error


def test_not_signed_in_says_how_to_sign_in() -> None:
    """K10: the client shows the command to run."""
    assert SIGN_IN in failure("Not logged in", None, None, None).message


@pytest.mark.parametrize("status", [None, 400, 413])
@pytest.mark.parametrize(
    "text",
    [
        "Prompt is too long",
        "API Error: 400 prompt is too long: 1200000 tokens > 1000000 maximum",
        "API Error: 400 input length and `max_tokens` exceed context limit: 9 + 9 > 10",
    ],
)
def test_a_conversation_that_is_too_long_is_said_to_be(status: int | None, text: str) -> None:
    """Clients compact on that code; a 500 would make them ask again."""
    error = failure(text, status, "invalid_request", None)
    assert (error.status, error.code) == (400, "context_length_exceeded")


def test_an_overload_is_not_taken_for_a_long_prompt() -> None:
    """A status outweighs words."""
    assert type(failure("API Error: 529 too many tokens in flight", 529, None, None)) is Overloaded


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("API Error: 529 Overloaded" + ADVICE, "Overloaded"),
        ("API Error: 400 `temperature` is bad", "`temperature` is bad"),
        (
            "API Error: Connection dropped (ECONNRESET). Check the gateway set in X, then try again.",
            "Connection dropped (ECONNRESET)",
        ),
        ("API Error: Connection lost. This is usually temporary — try again.", "Connection lost"),
        ("", "the upstream gave no reason"),
    ],
)
def test_the_clis_own_advice_is_left_out(text: str, message: str) -> None:
    """It is about the CLI's settings, which aren't the client's."""
    assert failure(text, 400, None, None).message == message


def test_the_plans_limit_says_when_it_ends() -> None:
    """K10: what ``retry-after`` is made of."""
    error = failure("You've hit your limit", 429, "rate_limit", Limits(status="rejected", resets_at=1795500000.0))
    assert error.reset_at == 1795500000.0


@pytest.mark.parametrize("limits", [None, Limits(), Limits(status="allowed", resets_at=1795500000.0)])
def test_a_busy_upstream_does_not_end_with_the_plans_window(limits: Limits | None) -> None:
    """K10: a 429 while the plan has room left is over in seconds, not in hours."""
    assert failure("API Error: 429 slow down", 429, "rate_limit", limits).reset_at is None


@pytest.mark.parametrize(
    ("message", "sent", "refused"),
    [
        ("`temperature` may only be set to 1 when thinking is enabled", {"temperature", "thinking"}, "temperature"),
        ("`top_k` must be unset when thinking is enabled", {"top_k", "thinking"}, "top_k"),
        ("`top_p` must be greater than 0.95 or unset", {"top_p"}, "top_p"),
        ("Thinking may not be enabled when tool_choice forces tool use.", {"tool_choice", "thinking"}, "tool_choice"),
        ('"thinking.type.disabled" is not supported for this model', {"thinking"}, "thinking"),
        ("adaptive thinking is not supported on this model", {"adaptive"}, "adaptive"),
        ("This model does not support the effort parameter.", {"effort", "adaptive"}, "effort"),
        ("TEMPERATURE is deprecated for this model", {"temperature"}, "temperature"),
    ],
)
def test_a_refused_parameter_is_found(message: str, sent: set[str], refused: str) -> None:
    """C09b: one at a time, so that nothing is left out needlessly."""
    assert refused_parameters(BadRequest(message), frozenset(sent)) == {refused}


def test_of_two_that_exclude_each_other_only_the_pair_is_refused() -> None:
    """C16: the model takes either; what is remembered must not cost a client that sends ``top_p`` alone."""
    error = BadRequest("`temperature` and `top_p` cannot both be specified for this model.")
    assert refused_parameters(error, frozenset({"temperature", "top_p"})) == {BESIDE_TEMPERATURE}


@pytest.mark.parametrize(
    "error",
    [
        BadRequest("messages.0: temperature of the soup"),
        ContextTooLong("temperature prompt is too long"),
        BadRequest("temperature", status=422),
        UpstreamError("temperature"),
        RateLimited("temperature"),
    ],
)
def test_other_failures_name_no_parameter(error: ProxyError) -> None:
    """C09b: only a plain 400 about something that was sent is tried again."""
    sent = frozenset() if type(error) is BadRequest and error.status == 400 else frozenset({"temperature"})
    assert refused_parameters(error, sent) == frozenset()


@pytest.mark.parametrize(
    ("profile", "command"), [("", "`claude-proxy login`"), ("work", "`claude-proxy login --profile work`")]
)
def test_the_advice_is_for_the_profile_that_isnt_signed_in(profile: str, command: str) -> None:
    """K10: signing in to another one helps nobody."""
    error = failure("Not logged in · Please run /login", None, "authentication_failed", None, advice=sign_in(profile))
    assert command in error.message
