"""The plan's limits as the CLI reports them, and as response headers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from claude_proxy.canon.blocks import Json

_SHORT = {"five_hour": "5h", "seven_day": "7d"}
"""The CLI's names of the windows to those in the API's headers."""

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


def limit_headers(limits: Limits | None) -> dict[str, str]:
    """Give ``anthropic-ratelimit-unified-*`` as reported, and ``x-ratelimit-*`` for the tightest window, in percent."""
    if limits is None:
        return {}
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
        headers["x-ratelimit-limit"] = "100"
        headers["x-ratelimit-remaining"] = str(max(0, round(100 - 100 * (tightest.utilization or 0.0))))
        if tightest.resets_at is not None:
            reset = datetime.fromtimestamp(tightest.resets_at, UTC)
            headers["x-ratelimit-reset"] = reset.isoformat().replace("+00:00", "Z")
    return headers
