"""What turns add up to, by model: the ``usage`` object of ``/api/status`` and of the ``status`` command. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from claude_proxy.ledger.entry import Group
from claude_proxy.ledger.prices import Prices

Json = dict[str, Any]

OFF: Json = {"enabled": False}
"""What there is to say where nothing is counted."""

_COUNTS = ("requests", "failed", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
_CENTS = 6
"""Digits of a dollar that are given."""


def usage(groups_since: Callable[[float], Sequence[Group]], prices: Prices, now: float) -> Json:
    """Give today's and this month's usage; ``groups_since`` gives all turns from a moment on, and ``now`` is one."""
    today, month = _beginnings(now)
    return {
        "enabled": True,
        "prices_date": prices.date.isoformat(),
        "today": {"since": today, **summary(groups_since(today), prices)},
        "month": {"since": month, **summary(groups_since(month), prices)},
    }


def summary(groups: Iterable[Group], prices: Prices) -> Json:
    """Give a row for each model and backend, those that were asked most first, and all of them together."""
    rows: dict[tuple[str, str], Json] = {}
    for group in groups:
        empty = {"model": group.model, "backend": group.backend, **dict.fromkeys(_COUNTS, 0), "list_price_usd": None}
        row = rows.setdefault((group.model, group.backend), empty)
        for name in _COUNTS:
            row[name] += getattr(group, name)
        row["list_price_usd"] = _plus(row["list_price_usd"], prices.cost(group))
    total: Json = {name: sum(row[name] for row in rows.values()) for name in _COUNTS}
    # Where a model has no price, the sum is that of the others.
    price: float | None = None if rows else 0.0
    for row in rows.values():
        price = _plus(price, row["list_price_usd"])
    models = sorted(rows.values(), key=lambda row: (-row["requests"], row["model"], row["backend"]))
    return {"models": models, "total": {**total, "list_price_usd": price}}


def _plus(so_far: float | None, more: float | None) -> float | None:
    return so_far if more is None else round((so_far or 0.0) + more, _CENTS)


def _beginnings(now: float) -> tuple[float, float]:
    """Give when the day and the month began, by the clock on the wall here."""
    # Without a zone: midnight may have been before the clocks were changed.
    local = datetime.fromtimestamp(now, UTC).astimezone().replace(tzinfo=None)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return day.timestamp(), day.replace(day=1).timestamp()
