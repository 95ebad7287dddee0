"""The response headers that tell what became of a request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

_MOST_LOSSES = 40
_LONGEST_LOSS = 100
_PLAIN = "[]._-/$@:+*! "


def lost(names: Iterable[str]) -> str:
    """Render the names of fields that couldn't be honoured, each once.

    They are the client's own words, so whatever a header can't carry is percent-encoded and the list has an end.
    """
    unique = list(dict.fromkeys(names))
    shown = [quote(name[:_LONGEST_LOSS], safe=_PLAIN, errors="replace") for name in unique[:_MOST_LOSSES]]
    if len(unique) > _MOST_LOSSES:
        shown.append(f"and {len(unique) - _MOST_LOSSES} more")
    return ", ".join(shown)


def server_timing(seconds: Mapping[str, float]) -> str:
    """Render named durations as ``server-timing`` wants them, in milliseconds."""
    return ", ".join(f"{name};dur={value * 1000:.1f}" for name, value in seconds.items())


def handed_on(upstream: Mapping[str, str]) -> dict[str, str]:
    """Give the upstream's headers that can be sent as they are."""
    return {
        name: value for name, value in upstream.items() if (name + value).isascii() and (name + value).isprintable()
    }


def renamed(losses: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Tell a backend's losses in the dialect's words."""
    return [names.get(name, name) for name in losses]
