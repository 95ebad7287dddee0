"""The access log: one line for each finished request; never a body, a key or a query string."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from claude_proxy.server.exchange import Exchange

log = logging.getLogger("claude_proxy.access")


def log_finished(request: web.Request, status: int, exchange: Exchange) -> None:
    """Write the line of one request."""
    if not log.isEnabledFor(logging.INFO):
        return
    fields: dict[str, Any] = {
        "method": request.method,
        # As it came, still percent-encoded: a path can't break a line.
        "path": request.rel_url.raw_path,
        "status": status,
        "ms": round(exchange.elapsed() * 1000, 1),
    }
    optional = {
        "model": exchange.model,
        "backend": exchange.answered_by,
        "error": type(exchange.error).__name__ if exchange.error else "",
        "request_id": exchange.id,
    }
    fields |= {name: value for name, value in optional.items() if value}
    line = "{method} {path} {status} {ms}ms".format_map(fields)
    rest = [f"{name}={value}" for name, value in optional.items() if value]
    log.info("%s", " ".join([line, *rest]), extra={"fields": fields})
