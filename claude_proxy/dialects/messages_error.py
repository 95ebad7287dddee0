"""Our errors as the Messages API writes them. Pure.

Source: https://docs.anthropic.com/en/api/errors.
"""

from __future__ import annotations

from claude_proxy.canon.blocks import Json
from claude_proxy.dialects.retry import retry_fields
from claude_proxy.errors import ProxyError


def error_object(error: ProxyError) -> Json:
    """Give an error's JSON object: what the API's has, and when to come back where that is known."""
    body: Json = {"type": error.kind, "message": error.message, **retry_fields(error)}
    if error.details is not None:
        body["details"] = error.details
    return {"type": "error", "error": body}
