"""What stays of a request that is over: a row in the ledger, its place in the metrics, and how it failed."""

from __future__ import annotations

import time

from claude_proxy.canon.events import Usage
from claude_proxy.ledger.entry import Entry, count, is_failure, name
from claude_proxy.routing import CLI
from claude_proxy.server.exchange import Exchange, Failure, Server
from claude_proxy.server.logs import masked

_LONGEST_MESSAGE = 200


def note_finished(server: Server, status: int, exchange: Exchange) -> None:
    """Take a request down. ``status`` is what its client got; a stream may have failed after it."""
    if exchange.error is not None:
        status = exchange.error.status
    if is_failure(status):
        server.failures.appendleft(_failure(status, exchange))
    if not exchange.dialect:
        return
    entry = _entry(status, exchange)
    server.metrics.note(entry._replace(model=exchange.model), is_listed=server.names.is_listed(exchange.model))
    # Who reached no backend was no turn.
    if exchange.backend and server.config.usage_statistics_enabled:
        server.ledger.note(entry)


def _entry(status: int, exchange: Exchange) -> Entry:
    backend, profile = exchange.answered_by, ""
    if exchange.backend.startswith(f"{CLI}/"):
        backend, _, profile = exchange.backend.partition("/")
    turn = exchange.turn
    model, usage = turn.used if turn is not None else ("", Usage())
    timings = turn.timings if turn is not None else {}
    return Entry(
        at=time.time(),
        dialect=exchange.dialect,
        backend=backend,
        profile=profile,
        model=name(model or exchange.model),
        status=status,
        total_seconds=exchange.elapsed(),
        queue_seconds=timings.get("queue"),
        first_byte_seconds=timings.get("first_byte"),
        input_tokens=count(usage.input_tokens),
        output_tokens=count(usage.output_tokens),
        cache_read_tokens=count(usage.cache_read_input_tokens),
        cache_write_tokens=count(usage.cache_creation_input_tokens),
        cache_write_1h_tokens=_for_an_hour(usage),
    )


def _for_an_hour(usage: Usage) -> int | None:
    by_time = usage.extra.get("cache_creation")
    return count(by_time.get("ephemeral_1h_input_tokens")) if isinstance(by_time, dict) else None


def _failure(status: int, exchange: Exchange) -> Failure:
    error = exchange.error
    message = masked(" ".join(error.message.split())) if error is not None else ""
    return Failure(
        at=time.time(),
        status=status,
        type=type(error).__name__ if error is not None else "",
        message=message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…",
        model=exchange.model,
        backend=exchange.answered_by,
        request_id=exchange.id,
    )
