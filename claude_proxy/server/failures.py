"""Every failure as a response in the shape that its client understands; nothing of our insides leaks."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from difflib import get_close_matches

import msgspec
from aiohttp import web

from claude_proxy.dialects.chat import CHAT
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.errors import BadRequest, NotFound, ProxyError
from claude_proxy.server.guard import Headers

log = logging.getLogger(__name__)

Shape = Callable[[ProxyError, str], bytes]
"""Renders an error's JSON body; the second argument is the request id."""

_RETRYABLE_4XX = (408, 409, 429)
_LONGEST_WAIT_SECONDS = 60
"""What SDKs wait out by themselves; where it takes longer, asking again at once is only noise."""


def wants_anthropic(headers: Headers) -> bool:
    """Tell whether the client of an endpoint that both APIs have is an Anthropic one."""
    return "anthropic-version" in headers or "x-api-key" in headers


def shape_for(path: str, headers: Headers) -> Shape:
    """Choose by the path, and by the headers where both APIs share it."""
    if path.startswith("/v1/messages") or (path.startswith("/v1/models") and wants_anthropic(headers)):
        return MESSAGES.error
    return CHAT.error


def for_anyone(error: ProxyError, request_id: str) -> bytes:
    """Render an error for a client whose API isn't known: in both shapes at once, which each of the two can read."""
    openai, anthropic = (msgspec.json.decode(shape(error, request_id)) for shape in (CHAT.error, MESSAGES.error))
    return msgspec.json.encode({**anthropic, "error": {**openai["error"], **anthropic["error"]}})


def as_proxy_error(failure: Exception, path: str = "", known_paths: Collection[str] = ()) -> ProxyError:
    """Give the error that a client sees for any exception; log those that nobody foresaw.

    ``path`` is the request's, and ``known_paths`` what it may have meant.
    """
    match failure:
        case ProxyError():
            return failure
        case web.HTTPNotFound():
            near = get_close_matches(path, known_paths, n=1)
            return NotFound(f"there is nothing at {path[:200]!a}" + (f"; did you mean {near[0]}?" if near else ""))
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(failure.allowed_methods))
            return BadRequest(f"{failure.method} is not for {path[:200]!a}: use {allowed}", status=405)
        case RecursionError():
            log.warning("a request was refused: it is nested too deeply")
            return BadRequest("the request is nested too deeply")
        case _:
            log.error("unexpected failure", exc_info=failure)
            return ProxyError("something went wrong inside the proxy; its log says more under this request's id")


def forget_frames(error: BaseException | None) -> None:
    """Take the tracebacks off an error that has been told, and off those behind it.

    Their frames hold the request with its body, and those hold the error: what the garbage collector alone would find,
    when it comes to it, which is late where the objects are few and large.
    """
    left, seen = [error], set[int]()
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = None
            left += [one.__cause__, one.__context__]


def respond(error: ProxyError, shape: Shape, request_id: str, *, allow: str | None = None) -> web.Response:
    """Make the response of a failed request."""
    headers = {"Content-Type": "application/json"}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(0, math.ceil(error.retry_after)))
    if _is_final(error):
        headers["x-should-retry"] = "false"
    if error.status == web.HTTPUnauthorized.status_code:
        headers["WWW-Authenticate"] = "Bearer"
    if allow is not None:
        headers["Allow"] = allow
    return web.Response(status=error.status, body=shape(error, request_id), headers=headers)


def _is_final(error: ProxyError) -> bool:
    refused = 400 <= error.status < 500 and error.status not in _RETRYABLE_4XX  # noqa: PLR2004 - HTTP's own hundred
    return refused or (error.retry_after or 0) > _LONGEST_WAIT_SECONDS
