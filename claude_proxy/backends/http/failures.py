"""An upstream's refusal, as the error that a client deserves: its own words, kind and time to wait. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.errors import BadRequest, ContextTooLong, ProxyError, RateLimited, Unauthorized, from_status

_LONGEST_MESSAGE = 2000
_SHORTEST_SECRET = 8
"""A key that is shorter keeps nothing secret (``none``, ``x``), and would blot out common words."""

_LAST_SECOND = 253_402_300_799
"""Of the year 9999: no date comes after it, and no wait ends there."""

_RATE_LIMITED = 429
_TOO_LONG = re.compile(
    r"prompt is too long|maximum context length|context_length_exceeded|exceeds? (the )?context (window|limit|length)",
    re.IGNORECASE,
)
_RESET = re.compile(r"anthropic-ratelimit-([a-z0-9-]+)-reset")


def from_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, secret: str = "", owner: str = ""
) -> ProxyError:
    """Give the error for an answer that isn't a success.

    ``headers`` are looked up in lower case, ``now`` is in Unix seconds. ``secret`` never shows in the message;
    ``owner`` is said where it is our key that was refused, since the client has nothing to do with that one.
    """
    raw = _error(body)
    message = (
        str(raw.get("message") or "").strip() or _plain(body) or f"the upstream answered {status} without a reason"
    )
    if len(secret) >= _SHORTEST_SECRET:
        message = message.replace(secret, "***")
    if "location" in headers and status < 400:  # noqa: PLR2004
        message = "the upstream wants to send us elsewhere: mend its `base-url`"
    wait, reset_at = retry_after(headers, now), None
    if status == _RATE_LIMITED:
        reset_at = _reset_at(headers, now)
        wait = wait if wait is not None or reset_at is None else max(0.0, reset_at - now)
    error = from_status(status, message, retry_after=wait, reset_at=reset_at)
    if isinstance(error, BadRequest) and _TOO_LONG.search(message):
        error = ContextTooLong(message)
    if isinstance(error, Unauthorized) and owner:
        error.message = f"{owner} refused the API key that is configured for it: {message}"
    _take_over(error, raw)
    return error


def _take_over(error: ProxyError, raw: Json) -> None:
    """Keep what the upstream says beside its message: which field, and OpenAI's code."""
    if isinstance(raw.get("param"), str):
        error.param = raw["param"]
    if isinstance(raw.get("code"), str) and not isinstance(error, RateLimited | Unauthorized):
        error.code = raw["code"]


def _error(body: bytes) -> Json:
    """Give the error object of an Anthropic, an OpenAI or a like body; ``{}`` where there is none."""
    try:
        raw: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    if isinstance(raw, list) and raw:
        raw = raw[0]  # one well-known upstream sends its errors in a list
    if not isinstance(raw, dict):
        return {}
    inner = raw.get("error")
    if isinstance(inner, dict):
        return inner
    detail = next((raw[name] for name in ("message", "error", "detail") if isinstance(raw.get(name), str)), None)
    return {"message": detail}


def _plain(body: bytes) -> str:
    """Give a body that is no error object as one line of text; a page for people is nothing to show."""
    text = " ".join(body.decode(errors="replace").split())
    return "" if text.startswith(("<", "{", "[")) else text[:_LONGEST_MESSAGE]


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Give the seconds that the upstream says to wait, by ``retry-after-ms`` or ``retry-after`` in either form."""
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return millis / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - now)


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) and number <= _LAST_SECOND else None


def _reset_at(headers: Mapping[str, str], now: float) -> float | None:
    """Give when the limits that are used up reset: the latest of them, in Unix seconds; ``None`` where nobody says."""
    used_up = []
    for header, value in headers.items():
        match = _RESET.fullmatch(header.lower())
        if match is None:
            continue
        left = headers.get(f"anthropic-ratelimit-{match[1]}-remaining")
        state = headers.get(f"anthropic-ratelimit-{match[1]}-status")
        at = _moment(value)
        if at is not None and at > now and (left == "0" or state == "rejected"):
            used_up.append(at)
    return max(used_up, default=None)


def _moment(value: str) -> float | None:
    """Read a time in Unix seconds or as RFC 3339 writes it."""
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return min(at.replace(tzinfo=at.tzinfo or UTC).timestamp(), float(_LAST_SECOND))
