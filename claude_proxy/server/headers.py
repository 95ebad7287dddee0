"""The response headers that tell what became of a request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

_MOST_LOSSES = 40
_LONGEST_LOSS = 100
_PLAIN = "[]._-/$@:+*! "

_HOP_BY_HOP = frozenset({"keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"})
_CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "cookie2"})
_THIS_REQUEST_S = frozenset(
    {"host", "content-length", "content-encoding", "accept-encoding", "origin", "referer", "forwarded", "via"}
)
_NOT_SENT_ON = _HOP_BY_HOP | _CREDENTIALS | _THIS_REQUEST_S
_NOT_SENT_ON_BEGINNINGS = ("proxy-", "sec-", "access-control-", "x-forwarded-", "x-real-", "x-claude-proxy-")


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


def sent_on(received: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give the request headers that an upstream of the client's own dialect gets, with lower-case names.

    All but those that belong to this connection, say who the client is to us, or describe a body that is read by now.
    """
    headers: dict[str, str] = {}
    for name, value in received:
        key = name.lower()
        if key not in _NOT_SENT_ON and not key.startswith(_NOT_SENT_ON_BEGINNINGS):
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
    for name in headers.pop("connection", "").split(","):
        headers.pop(name.strip().lower(), None)
    return headers


def renamed(losses: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Tell a backend's losses in the dialect's words."""
    return [names.get(name, name) for name in losses]
