"""Every failure the server can answer with: one exception tree, each class with the status it deserves.

::

    ProxyError                      500  api_error
    ├── BadRequest                  400  invalid_request_error
    │   └── ContextTooLong          400  invalid_request_error    code context_length_exceeded
    ├── Unauthorized                401  authentication_error
    │   └── NotSignedIn             401  authentication_error     code not_signed_in
    ├── Forbidden                   403  permission_error
    ├── NotFound                    404  not_found_error
    │   └── UnknownModel            404  not_found_error          code model_not_found
    ├── TooLarge                    413  request_too_large
    ├── RateLimited                 429  rate_limit_error         retry_after, reset_at
    ├── UpstreamError               502  api_error
    ├── Unavailable                 503  api_error
    ├── UpstreamTimeout             504  timeout_error
    └── Overloaded                  529  overloaded_error
    ConfigError                     never sent to a client: exit code 2

``kind`` is the Anthropic error type (https://docs.anthropic.com/en/api/errors); the OpenAI dialects map it to theirs.
"""

from __future__ import annotations

from collections.abc import Mapping


class ProxyError(Exception):
    """A failure with what a client needs to know of it.

    ``message`` says what went wrong and what to do, ``param`` names the request field at fault, ``retry_after`` is in
    seconds, ``reset_at`` in Unix seconds, ``details`` is what an Anthropic client's program reads (``error.details``).
    """

    status = 500
    kind = "api_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        reset_at: float | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        # It may quote a header, which needn't be Unicode: what can't be sent would be another failure.
        message = message if message.isascii() else message.encode("utf-8", "replace").decode()
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.reset_at = reset_at
        self.details = details
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.status}, {self.message!r})"


class BadRequest(ProxyError):
    """The request itself is at fault: asking again unchanged can't help."""

    status = 400
    kind = "invalid_request_error"


class ContextTooLong(BadRequest):
    """The conversation doesn't fit the model's context window."""

    code = "context_length_exceeded"


class Unauthorized(ProxyError):
    """The client's key is missing or wrong, or the upstream refused ours."""

    status = 401
    kind = "authentication_error"
    code = "invalid_api_key"


class NotSignedIn(Unauthorized):
    """Nobody is signed in to the official CLI."""

    code = "not_signed_in"


class Forbidden(ProxyError):
    """The caller is known or recognised, and not allowed to do this."""

    status = 403
    kind = "permission_error"


class NotFound(ProxyError):
    """No such thing here."""

    status = 404
    kind = "not_found_error"


class UnknownModel(NotFound):
    """No backend has a model of this name."""

    code = "model_not_found"


class TooLarge(ProxyError):
    """The body is over ``body-limit-mb``."""

    status = 413
    kind = "request_too_large"


class RateLimited(ProxyError):
    """The plan's or the key's limit is reached, or we have as many requests as we take at once."""

    status = 429
    kind = "rate_limit_error"
    code = "rate_limit_exceeded"


class UpstreamError(ProxyError):
    """The upstream, or the CLI in between, failed or spoke nonsense."""

    status = 502


class Unavailable(ProxyError):
    """No backend can take the request now."""

    status = 503


class UpstreamTimeout(ProxyError):
    """The upstream didn't answer within the deadline."""

    status = 504
    kind = "timeout_error"


class Overloaded(ProxyError):
    """The upstream says that it is overloaded."""

    status = 529
    kind = "overloaded_error"


class ConfigError(Exception):
    """The configuration can't be used. ``str()`` is one line that says where and how to mend it."""


_BY_STATUS: dict[int, type[ProxyError]] = {
    400: BadRequest,
    401: Unauthorized,
    402: BadRequest,
    403: Forbidden,
    404: NotFound,
    408: UpstreamTimeout,
    413: TooLarge,
    429: RateLimited,
    503: Unavailable,
    504: UpstreamTimeout,
    529: Overloaded,
}


def from_status(
    status: int, message: str, *, retry_after: float | None = None, reset_at: float | None = None
) -> ProxyError:
    """Give the error for an upstream's HTTP status: the same where it has a class, else 400 or 502 by its hundred."""
    cls = _BY_STATUS.get(status) or (BadRequest if 400 <= status < 500 else UpstreamError)  # noqa: PLR2004
    return cls(message, status=status if status in _BY_STATUS else None, retry_after=retry_after, reset_at=reset_at)
