"""Which model stands in for an old one that an upstream has no more: its family's current one, for a day. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from claude_proxy.backends.base import Model
from claude_proxy.errors import NotFound, ProxyError

_DAY = 86_400.0
_MOST_REMEMBERED = 1000
_FAMILY = re.compile(r"claude-(?:[0-9]+-)*([a-z]+)(?:-|$)")


def family(name: str) -> str | None:
    """Give the family that a name is of (``sonnet`` of ``claude-sonnet-4``), ``None`` for one of no family."""
    match = _FAMILY.match(name)
    return match[1] if match else None


def current(name: str, models: Sequence[Model], prefix: str) -> str | None:
    """Give the id of the current model of a name's family: upstreams list their newest first."""
    wanted = family(name)
    if wanted is None:
        return None
    return next(
        (one.id for one in models if one.prefix == prefix and one.id != name and family(one.id) == wanted), None
    )


def is_of_model(error: ProxyError, name: str) -> bool:
    """Say whether it is the model that the upstream doesn't have, not the path that it was asked at."""
    return isinstance(error, NotFound) and (name in error.message or error.code == "model_not_found")


@dataclass(slots=True)
class Missing:
    """Names that upstreams answered 404 to, by prefix and name, and until when that is believed, in seconds."""

    _until: dict[tuple[str, str], float] = field(default_factory=dict)

    def holds(self, prefix: str, name: str, now: float) -> bool:
        """Say whether a name is believed to be missing."""
        return self._until.get((prefix, name), now) > now

    def learn(self, prefix: str, name: str, now: float) -> None:
        """Believe it for a day."""
        if len(self._until) >= _MOST_REMEMBERED:
            self._until.clear()
        self._until[prefix, name] = now + _DAY
