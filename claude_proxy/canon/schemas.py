"""JSON schemas as structured outputs take them. Pure.

Structured outputs know a part of JSON Schema: every object closed, no constraints on values. What ``closed`` leaves
out, a reply that follows the schema may still break. References are kept and never followed, so a schema that refers
to itself does no harm here.
Source: https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from claude_proxy.canon.blocks import Json

_KEPT = frozenset(("type", "enum", "const", "required", "$ref", "description", "title", "default"))
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
_NOTES = frozenset(("$schema", "$id", "$comment", "examples", "deprecated", "readOnly", "writeOnly"))
"""Keywords that neither allow nor forbid anything: leaving them out loses nothing."""


def closed(schema: Json) -> tuple[Json, bool]:
    """Give the schema that structured outputs take, and whether it allows other values than the one given."""
    lost: list[str] = []
    return _closed(schema, lost), bool(lost)


def _closed(schema: Json, lost: list[str]) -> Json:
    kept: Json = {}
    for keyword, value in schema.items():
        name = keyword
        if keyword == "oneOf" and "anyOf" not in schema:
            # The nearest there is: it differs where a value matches two of the variants.
            name = "anyOf"
            lost.append(keyword)
        if name in _NESTED:
            kept[name] = _NESTED[name](value, lost)
        elif name in _KEPT or _is_kept_value(name, value):
            kept[name] = value
        elif name not in _NOTES:
            lost.append(name)
    if _is_object(schema):
        kept.setdefault("type", "object")
        kept["additionalProperties"] = False
    return kept


def _is_kept_value(name: str, value: Any) -> bool:
    """Say whether this is a keyword of which only some values are known, with one of them."""
    return (
        (name == "format" and value in _FORMATS)
        or (name == "minItems" and value in (0, 1))
        or (name == "additionalProperties" and value is False)
    )


def _is_object(schema: Json) -> bool:
    kind = schema.get("type", "object" if "properties" in schema else None)
    return kind == "object" or (isinstance(kind, list) and "object" in kind)


def _one(value: Any, lost: list[str]) -> Any:
    """Close a schema; what is none (``true``, say) is for the upstream to judge."""
    return _closed(value, lost) if isinstance(value, dict) else value


def _list(value: Any, lost: list[str]) -> Any:
    return [_one(item, lost) for item in value] if isinstance(value, list) else value


def _map(value: Any, lost: list[str]) -> Any:
    return {name: _one(item, lost) for name, item in value.items()} if isinstance(value, dict) else value


_NESTED: dict[str, Callable[[Any, list[str]], Any]] = {
    "items": _one,
    "anyOf": _list,
    "allOf": _list,
    "properties": _map,
    "$defs": _map,
    "definitions": _map,
}
