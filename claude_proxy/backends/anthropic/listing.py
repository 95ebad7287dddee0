"""A page of an upstream's ``GET /v1/models`` as our models. Pure.

Source: https://docs.anthropic.com/en/api/models-list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from claude_proxy.backends.base import Model
from claude_proxy.backends.parameters import Abilities
from claude_proxy.canon.blocks import Json
from claude_proxy.errors import UpstreamError

_LEVELS = ("low", "medium", "high", "xhigh", "max")
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Listed:
    """A model, and what is known of it."""

    model: Model
    abilities: Abilities


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer lists; ``next`` is where the next page begins, ``None`` where this is the last one."""

    models: tuple[Listed, ...]
    next: str | None


def query(after: str) -> str:
    """Give the query that asks for the page behind the model ``after``; empty: for the first one."""
    return f"limit={_PAGE}" + (f"&after_id={quote(after, safe='')}" if after else "")


def parse(data: bytes) -> Page:
    """Read a page; raise ``UpstreamError`` where it isn't one. What a model doesn't say is unknown."""
    try:
        raw: Any = msgspec.json.decode(data)
        entries = [entry for entry in raw["data"] if isinstance(entry.get("id"), str) and entry["id"]]
        following = raw.get("last_id") if raw.get("has_more") is True and entries else None
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UpstreamError("the upstream's list of models can't be read") from error
    return Page(tuple(map(_listed, entries)), following if isinstance(following, str) else None)


def _listed(entry: Json) -> Listed:
    thinking = _at(entry, "capabilities", "thinking", "types")
    effort = _at(entry, "capabilities", "effort")
    efforts = tuple(level for level in _LEVELS if _supported(effort.get(level))) if effort else None
    most = _count(entry.get("max_tokens"))
    name = entry.get("display_name")
    model = Model(
        id=entry["id"],
        display_name=name if isinstance(name, str) and name else entry["id"],
        effort_levels=efforts or (),
        context_window=_count(entry.get("max_input_tokens")),
        max_output_tokens=most,
    )
    abilities = Abilities(
        thinking_off=_supported(thinking.get("disabled")),
        adaptive=_supported(thinking.get("adaptive")),
        efforts=efforts,
        max_output=most,
    )
    return Listed(model, abilities)


def _at(entry: Json, *path: str) -> Json:
    value: Any = entry
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _supported(value: Any) -> bool | None:
    said = value.get("supported") if isinstance(value, dict) else None
    return said if isinstance(said, bool) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
