"""Error objects in answers that began well, as the error a client deserves. Pure.

They come as ``{"error": {…}}``, as ``{"error": "words"}``, as ``[{"error": {…}}]`` and as ``{"object": "error", …}``.
"""

from __future__ import annotations

import re
from typing import Any

from claude_proxy.errors import (
    BadRequest,
    ContextTooLong,
    Forbidden,
    NotFound,
    Overloaded,
    ProxyError,
    RateLimited,
    Unauthorized,
    UnknownModel,
    UpstreamError,
    UpstreamTimeout,
    from_status,
)

_NO_REASON = "the upstream gave no reason"
_TOO_LONG = re.compile(r"context[ _](length|window|limit)|prompt is too long|too many (input )?tokens", re.IGNORECASE)
_KINDS: dict[str, type[ProxyError]] = {
    "invalid_request_error": BadRequest,
    "context_length_exceeded": ContextTooLong,
    "authentication_error": Unauthorized,
    "invalid_api_key": Unauthorized,
    "permission_error": Forbidden,
    "not_found_error": NotFound,
    "model_not_found": UnknownModel,
    "insufficient_quota": RateLimited,
    "rate_limit_error": RateLimited,
    "rate_limit_exceeded": RateLimited,
    "timeout_error": UpstreamTimeout,
    "overloaded_error": Overloaded,
}


def find_error(document: Any) -> Any:
    """Give the error object that a JSON document holds; ``None`` where it holds none."""
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return None
    if document.get("error"):
        return document["error"]
    return document if document.get("object") == "error" else None


def from_object(error: Any) -> ProxyError:
    """Give the error for an error object, by the HTTP status that it has as its code, else by its kind."""
    fields = error if isinstance(error, dict) else {"message": error}
    message = fields.get("message")
    text = message if isinstance(message, str) and message.strip() else _NO_REASON
    codes = [str(fields.get(name)) for name in ("code", "type", "status") if fields.get(name)]
    status = next((int(code) for code in codes if re.fullmatch(r"[45]\d\d", code)), None)
    kind = next((_KINDS[code] for code in codes if code in _KINDS), None)
    param = fields.get("param")
    if kind is ContextTooLong or (status in {400, 413} and _TOO_LONG.search(text)):
        return ContextTooLong(text, param="messages")
    made = from_status(status, text) if status else (kind or UpstreamError)(text)
    made.param = param if isinstance(param, str) else None
    return made
