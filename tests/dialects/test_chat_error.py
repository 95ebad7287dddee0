"""Errors as OpenAI writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_asking import STAMP, ask

from claude_proxy import errors
from claude_proxy.dialects.chat import CHAT


def body(error: errors.ProxyError) -> Any:
    """Give the error object of an error's body."""
    whole = json.loads(CHAT.error(error, "req_1"))
    assert list(whole) == ["error"]
    return whole["error"]


@pytest.mark.parametrize(
    ("cls", "kind", "code"),
    [
        (errors.ProxyError, "server_error", None),
        (errors.BadRequest, "invalid_request_error", None),
        (errors.ContextTooLong, "invalid_request_error", "context_length_exceeded"),
        (errors.Unauthorized, "authentication_error", "invalid_api_key"),
        (errors.NotSignedIn, "authentication_error", "not_signed_in"),
        (errors.Forbidden, "permission_error", None),
        (errors.NotFound, "invalid_request_error", None),
        (errors.UnknownModel, "invalid_request_error", "model_not_found"),
        (errors.TooLarge, "invalid_request_error", None),
        (errors.RateLimited, "rate_limit_error", "rate_limit_exceeded"),
        (errors.UpstreamError, "server_error", None),
        (errors.Unavailable, "server_error", None),
        (errors.UpstreamTimeout, "server_error", None),
        (errors.Overloaded, "overloaded_error", None),
    ],
)
def test_each_kind_has_its_type(cls: type[errors.ProxyError], kind: str, code: str | None) -> None:
    """OpenAI's type and code for each of ours; the four fields are always there."""
    assert body(cls("what happened", param="p")) == {
        "message": "what happened",
        "type": kind,
        "param": "p",
        "code": code,
    }


def test_an_error_tells_when_to_come_back() -> None:
    """A limit's reset is told in seconds and as a time (K10)."""
    told = body(errors.RateLimited("later", retry_after=1.5, reset_at=1_800_000_000.9))
    assert (told["retry_after"], told["reset_at"]) == (1.5, "2027-01-15T08:00:00Z")


def test_c35_a_stream_that_fails_tells_it_and_ends_without_done() -> None:
    """C35: one frame with the error's own shape, and never a clean end after it."""
    error = errors.RateLimited("later", retry_after=7, reset_at=1_800_000_000)
    frame = CHAT.stream(ask(stream=True), STAMP).fail(error)
    assert frame.startswith(b"data: {")
    assert frame.endswith(b"}\n\n")
    assert frame.count(b"\n\n") == 1
    assert json.loads(frame.removeprefix(b"data: ")) == json.loads(CHAT.error(error, "req_1"))
