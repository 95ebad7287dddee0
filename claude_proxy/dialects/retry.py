"""When a client may come back after a failure, as its error tells it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from claude_proxy.canon.blocks import Json
from claude_proxy.errors import ProxyError


def retry_fields(error: ProxyError) -> Json:
    """Give ``retry_after`` and ``reset_at``, each where it is known."""
    told: Json = {}
    if error.retry_after is not None:
        told["retry_after"] = error.retry_after
    if error.reset_at is not None:
        told["reset_at"] = rfc3339(error.reset_at)
    return told


def rfc3339(seconds: float) -> str:
    """Write Unix seconds as people and their programs read them: whole seconds, in UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
