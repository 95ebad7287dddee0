"""What the CLI says when the upstream refuses, as the error a client deserves. Pure."""

from __future__ import annotations

import re

from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.parameters import refused_parameters
from claude_proxy.errors import (
    BadRequest,
    ContextTooLong,
    NotSignedIn,
    ProxyError,
    RateLimited,
    UnknownModel,
    UpstreamError,
    from_status,
)

__all__ = ["SIGN_IN", "Lost", "NotStarted", "failure", "refused_parameters"]

SIGN_IN = "run `claude-proxy login`"


def sign_in(profile: str) -> str:
    """Say what to do when nobody is signed in; ``profile`` is empty for the default one."""
    return f"run `claude-proxy login --profile {profile}`" if profile else SIGN_IN


class Lost(UpstreamError):
    """The child, or its connection upstream, went away before the reply was complete: another child may do better."""


class NotStarted(Lost):
    """The child never came to life: this machine has no memory, processes or files left for it."""

    status = 503


_NOT_SIGNED_IN = re.compile(
    r"not logged in|please run /login|invalid api key|oauth token|could not resolve authentication", re.IGNORECASE
)
_TOO_LONG = re.compile(r"prompt is too long|context (window|length|limit)|too many (input )?tokens", re.IGNORECASE)
_CONNECTION = re.compile(r"connection|econn|socket|network|timed? ?out|stream|terminated", re.IGNORECASE)
_PREFIX = re.compile(r"^(Failed to authenticate\. )?API Error:( \d{3})? ?")
_ADVICE = re.compile(r"\.? (This is a server-side issue|Check the gateway|If it persists|This is usually temporary).*$")


def failure(
    text: str, status: int | None, kind: str | None, limits: Limits | None, *, advice: str = SIGN_IN
) -> ProxyError:
    """Give the error for a ``result`` line that says ``is_error``.

    ``text`` is the CLI's own words, ``status`` the upstream's HTTP status where there was one, ``kind`` what the
    ``assistant`` line's ``error`` says (``rate_limit``, ``authentication_failed`` …), ``advice`` what to do when nobody
    is signed in.
    """
    message = _ADVICE.sub("", _PREFIX.sub("", text)).strip() or "the upstream gave no reason"
    if status == 401 or (status is None and (kind == "authentication_failed" or _NOT_SIGNED_IN.search(text))):  # noqa: PLR2004
        why = "" if status is None else f" (the upstream says: {message})"
        return NotSignedIn(f"the claude CLI isn't signed in{why}: {advice}")
    if status == 429 or (status is None and kind == "rate_limit"):  # noqa: PLR2004
        # A window that isn't used up has nothing to do with it: the upstream is only busy.
        return RateLimited(message, reset_at=limits.resets_at if limits and limits.status == "rejected" else None)
    if status == 404:  # noqa: PLR2004
        return UnknownModel("the upstream has no such model, or the account may not use it", param="model")
    if _TOO_LONG.search(text) and status in {None, 400, 413}:
        return ContextTooLong(message, param="messages")
    if status is not None:
        return from_status(status, message)
    if kind == "invalid_request":
        return BadRequest(message)
    return Lost(message) if _CONNECTION.search(text) else UpstreamError(message)
