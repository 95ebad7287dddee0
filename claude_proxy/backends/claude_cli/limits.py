"""The plan's limits as the CLI reports them, and as response headers. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

from claude_proxy.canon.blocks import Json
from claude_proxy.errors import RateLimited

_SHORT = {"five_hour": "5h", "seven_day": "7d"}
"""The CLI's names of the windows to those in the API's headers."""

_FAMILIES = ("opus", "sonnet", "haiku", "fable")
"""Families of models that have a window of their own, ``seven_day_opus`` say."""

_UNKNOWN_RESET_SECONDS = 300.0
"""How long a limit is believed whose end nobody told."""

_LAST_SECOND = 253_402_300_799
"""Of the year 9999: no date comes after it."""


@dataclass(frozen=True, slots=True)
class Window:
    """One of the plan's windows. ``utilization`` is 0 to 1, ``resets_at`` in Unix seconds."""

    utilization: float | None = None
    resets_at: float | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The plan as the CLI last reported it. ``binding`` names the window that counts."""

    status: str = "allowed"
    resets_at: float | None = None
    binding: str | None = None
    overage: bool = False
    windows: dict[str, Window] = field(default_factory=dict)

    @classmethod
    def parse(cls, info: Json) -> Limits:
        """Read ``rate_limit_info``; what isn't there stays ``None``."""
        raw = info.get("unifiedWindows")
        windows = {
            name: Window(_number(entry.get("utilization")), _number(entry.get("resetsAt")), _word(entry.get("status")))
            for name, entry in (raw.items() if isinstance(raw, dict) else ())
            if isinstance(entry, dict)
        }
        return cls(
            status=_word(info.get("status")) or "allowed",
            resets_at=_number(info.get("resetsAt")),
            binding=_word(info.get("rateLimitType")),
            overage=bool(info.get("isUsingOverage")),
            windows=windows,
        )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= _LAST_SECOND else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def limit_headers(limits: Limits) -> dict[str, str]:
    """Give ``anthropic-ratelimit-unified-*`` as reported, and ``x-ratelimit-*`` for the tightest window, in percent."""
    prefix = "anthropic-ratelimit-unified-"
    headers = {f"{prefix}status": limits.status}
    if limits.resets_at is not None:
        headers[f"{prefix}reset"] = f"{limits.resets_at:.0f}"
    if limits.binding is not None:
        headers[f"{prefix}representative-claim"] = limits.binding
    for name, window in limits.windows.items():
        short = _SHORT.get(name, name)
        values = {"utilization": window.utilization, "status": window.status}
        headers.update({f"{prefix}{short}-{key}": str(value) for key, value in values.items() if value is not None})
        if window.resets_at is not None:
            headers[f"{prefix}{short}-reset"] = f"{window.resets_at:.0f}"
    used = [window for window in limits.windows.values() if window.utilization is not None]
    if used:
        tightest = max(used, key=lambda window: window.utilization or 0.0)
        headers.update(_percent(tightest.utilization or 0.0, tightest.resets_at))
    elif limits.status == "rejected":
        headers.update(_percent(1.0, limits.resets_at))
    return headers


def _percent(used: float, resets_at: float | None) -> dict[str, str]:
    headers = {"x-ratelimit-limit": "100", "x-ratelimit-remaining": str(max(0, round(100 - 100 * used)))}
    return headers if resets_at is None else {**headers, "x-ratelimit-reset": _rfc3339(resets_at)}


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def refusal(limits: Limits | None, model: str, *, reported_at: float, now: float) -> RateLimited | None:
    """Give why the plan doesn't pay for ``model`` now, or ``None``. Times are in Unix seconds.

    A window of one family of models holds up no other. A limit without an end is believed for a while only: else
    nothing would ever be asked again, and so its end never be seen.
    """
    if limits is None or not (limits.overage or limits.status == "rejected"):
        return None
    bound = next((family for family in _FAMILIES if (limits.binding or "").endswith(f"_{family}")), "")
    reset = _reset(limits)
    until = reported_at + _UNKNOWN_RESET_SECONDS if reset is None else reset
    if now >= until or bound not in model:
        return None
    why = "goes on at extra cost" if limits.overage else "is used up"
    when = "" if reset is None else f" until {_rfc3339(reset)}"
    return RateLimited(
        f"the plan {why}{when}; with `claude-cli.plan-only: false` requests pass all the same",
        retry_after=float(math.ceil(until - now)),
        reset_at=reset,
    )


def _reset(limits: Limits) -> float | None:
    """Give the end of the window that counts; where it isn't said, the last end of those that are used up."""
    if limits.resets_at is not None:
        return limits.resets_at
    spent = [window for window in limits.windows.values() if window.status == "rejected"]
    return max((window.resets_at for window in spent if window.resets_at is not None), default=None)
