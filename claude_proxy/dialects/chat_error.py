"""Our errors as OpenAI writes them. Pure.

Source: https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

from claude_proxy.canon.blocks import Json
from claude_proxy.dialects.retry import retry_fields
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
        **retry_fields(error),
    }
    return {"error": body}
