"""``request-log``: whole bodies in the log, for debugging. One record a body, with what looks like a secret masked."""

from __future__ import annotations

import logging

from aiohttp import web

from claude_proxy.server.exchange import Excerpt, Exchange
from claude_proxy.server.logs import masked

MOST_BYTES = 1_000_000
"""What is logged of one body; of the rest, only its length."""

log = logging.getLogger("claude_proxy.bodies")


def log_bodies(request: web.Request, response: web.StreamResponse | None, exchange: Exchange) -> None:
    """Write what came and what was sent; ``None``: there was no answer any more."""
    if exchange.received is not None:
        received = Excerpt(MOST_BYTES)
        received.add(exchange.received)
        _log("request", request, received)
    sent = exchange.sent
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        sent = Excerpt(MOST_BYTES)
        sent.add(response.body)
    if sent is not None:
        _log("response", request, sent)


def _log(which: str, request: web.Request, body: Excerpt) -> None:
    # Masked here, not only where a handler formats it: no other handler may see what this one hides.
    text = masked(body.kept.decode("utf-8", "replace"))
    rest = f" … and {body.total - len(body.kept)} bytes more" if body.total > len(body.kept) else ""
    log.info("%s body of %s %s: %s%s", which, request.method, request.rel_url.raw_path, text, rest)
