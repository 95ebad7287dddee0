"""The exception tree and what it tells."""

from __future__ import annotations

import pytest

from claude_proxy import errors
from claude_proxy.errors import BadRequest, ProxyError, RateLimited, UpstreamError, from_status


@pytest.mark.parametrize(
    ("cls", "status", "kind", "code"),
    [
        (errors.ProxyError, 500, "api_error", None),
        (errors.BadRequest, 400, "invalid_request_error", None),
        (errors.ContextTooLong, 400, "invalid_request_error", "context_length_exceeded"),
        (errors.Unauthorized, 401, "authentication_error", "invalid_api_key"),
        (errors.NotSignedIn, 401, "authentication_error", "not_signed_in"),
        (errors.Forbidden, 403, "permission_error", None),
        (errors.NotFound, 404, "not_found_error", None),
        (errors.UnknownModel, 404, "not_found_error", "model_not_found"),
        (errors.TooLarge, 413, "request_too_large", None),
        (errors.RateLimited, 429, "rate_limit_error", "rate_limit_exceeded"),
        (errors.UpstreamError, 502, "api_error", None),
        (errors.Unavailable, 503, "api_error", None),
        (errors.UpstreamTimeout, 504, "timeout_error", None),
        (errors.Overloaded, 529, "overloaded_error", None),
    ],
)
def test_each_class_has_the_status_it_deserves(cls: type[ProxyError], status: int, kind: str, code: str | None) -> None:
    """Status, kind and code are the class's own."""
    error = cls("what happened")
    assert (error.status, error.kind, error.code) == (status, kind, code)
    assert str(error) == error.message == "what happened"
    assert (error.param, error.retry_after, error.reset_at) == (None, None, None)


def test_one_error_can_differ_from_its_class() -> None:
    """Code and status can be told for one error alone; the class keeps its own."""
    error = BadRequest("no", param="n", code="odd", status=405)
    assert (error.param, error.code, error.status) == ("n", "odd", 405)
    assert (BadRequest.code, BadRequest.status) == (None, 400)


def test_repr_names_class_status_and_message() -> None:
    """What a log shows of an error is enough to find it."""
    assert repr(RateLimited("slow down")) == "RateLimited(429, 'slow down')"


@pytest.mark.parametrize(
    ("status", "cls", "told"),
    [
        (400, errors.BadRequest, 400),
        (401, errors.Unauthorized, 401),
        (402, errors.BadRequest, 402),
        (403, errors.Forbidden, 403),
        (404, errors.NotFound, 404),
        (408, errors.UpstreamTimeout, 408),
        (413, errors.TooLarge, 413),
        (422, errors.BadRequest, 400),
        (429, errors.RateLimited, 429),
        (500, errors.UpstreamError, 502),
        (302, errors.UpstreamError, 502),
        (503, errors.Unavailable, 503),
        (504, errors.UpstreamTimeout, 504),
        (529, errors.Overloaded, 529),
    ],
)
def test_from_status(status: int, cls: type[ProxyError], told: int) -> None:
    """An upstream's status is told on where we have its class, else as 400 or 502."""
    error = from_status(status, "said")
    assert (type(error), error.status, error.message) == (cls, told, "said")


def test_from_status_tells_when_to_come_back() -> None:
    """The upstream's retry hints are not lost."""
    error = from_status(429, "later", retry_after=7.5, reset_at=1_900_000_000)
    assert (error.retry_after, error.reset_at) == (7.5, 1_900_000_000)
    assert isinstance(UpstreamError("x"), ProxyError)
