"""Our errors as OpenAI writes them. Pure.

Source: https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

from datetime import UTC, datetime

from claude_proxy.canon.blocks import Json
from claude_proxy.errors import ProxyError

_TYPES = {
    "not_found_error": "invalid_request_error",
    "request_too_large": "invalid_request_error",
    "timeout_error": "server_error",
    "api_error": "server_error",
}
"""Our kinds to OpenAI's types, where they differ."""


def error_object(error: ProxyError) -> Json:
    """Give an error's JSON object: what OpenAI's has, and when to come back where that is known."""
    body: Json = {
        "message": error.message,
        "type": _TYPES.get(error.kind, error.kind),
        "param": error.param,
        "code": error.code,
    }
    if error.retry_after is not None:
        body["retry_after"] = error.retry_after
    if error.reset_at is not None:
        body["reset_at"] = rfc3339(error.reset_at)
    return {"error": body}


def rfc3339(seconds: float) -> str:
    """Write Unix seconds as people and their programs read them: whole seconds, in UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
