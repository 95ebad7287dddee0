"""Numbers as people read them: how long, how many, how much. Pure."""

from __future__ import annotations

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_FULL = 99.95
"""From here on a figure has no decimal: ``99.9`` and then ``100``."""

UNKNOWN = "-"


def duration(seconds: float) -> str:
    """Give a length of time in its two largest units: ``45 s``, ``13 m``, ``2 h 13 m``, ``3 d 4 h``."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    for unit, name, smaller, smaller_name in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m")):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name} {rest} {smaller_name}" if rest else f"{whole // unit} {name}"
    return f"{whole // _MINUTE} m"


def count(number: float | None) -> str:
    """Give a number in three or four characters: ``950``, ``12.3k``, ``200k``, ``1M``."""
    if number is None:
        return UNKNOWN
    for unit, name in _UNITS:
        # What would be rounded up to a thousand of the smaller unit is one of this.
        if number >= unit * 0.9995:
            return f"{_figure(number / unit)}{name}"
    return f"{number:.0f}"


def megabytes(number: float | None) -> str:
    """Give an amount of memory."""
    if number is None:
        return UNKNOWN
    return f"{number:.0f} MB" if number < 999.5 else f"{_figure(number / 1000)} GB"  # noqa: PLR2004  (as it is rounded)


def dollars(amount: float | None) -> str:
    """Give a price; what is less than a cent says so."""
    if amount is None:
        return UNKNOWN
    return "<$0.01" if 0 < amount < 0.01 else f"${amount:,.2f}"  # noqa: PLR2004  (a cent)


def percent(number: float | None) -> str:
    """Give a share, 0 to 100, without decimals; what is begun isn't nothing, and what isn't full isn't 100."""
    if number is None:
        return UNKNOWN
    if 0 < number < 1:
        return "<1%"
    return f"{int(number)}%"


def _figure(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0") if number < _FULL else f"{number:.0f}"
