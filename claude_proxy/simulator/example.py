"""The smallest JSON value that satisfies a schema, with the caller's own words where a string is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from claude_proxy.simulator.script import Json

_DEEPEST = 12
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example(schema: Any, words: Iterator[str] | None = None) -> Any:
    """Give a value for a JSON schema; strings are taken from ``words`` while there are any."""
    root = schema if isinstance(schema, dict) else {}
    return _value(root, root, words or iter(()), 0)


def _value(schema: Any, root: Json, words: Iterator[str], depth: int) -> Any:
    schema = _resolved(schema, root)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type")
    kind = next((name for name in kind if name != "null"), "null") if isinstance(kind, list) else kind
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    match kind:
        case "object":
            return _object(schema, root, words, depth)
        case "array":
            wanted = 0 if depth > _DEEPEST else schema.get("minItems", 1)
            return [_value(schema.get("items", {}), root, words, depth + 1) for _ in range(wanted)]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema, words)


def _resolved(schema: Any, root: Json) -> Json:
    """Follow references and take the first alternative, until the schema itself says what it wants."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, dict):
            return {}
        if isinstance(schema.get("$ref"), str):
            schema = _looked_up(schema["$ref"], root)
            continue
        options = next((schema[name] for name in ("anyOf", "oneOf") if schema.get(name)), None)
        if options is not None:
            rest = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf")}
            schema = {**rest, **_resolved(options[0], root)}
            continue
        if schema.get("allOf"):
            rest = {name: value for name, value in schema.items() if name != "allOf"}
            schema = _merged([rest, *(_resolved(part, root) for part in schema["allOf"])])
            continue
        return schema
    return {}


def _looked_up(reference: str, root: Json) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(step, {}) if step and isinstance(found, dict) else found
    return found


def _merged(parts: list[Json]) -> Json:
    merged: Json = {}
    for part in parts:
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", ()), *part.get("required", ())]
        merged = {**merged, **part}
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = required
    return merged


def _object(schema: Json, root: Json, words: Iterator[str], depth: int) -> Json:
    properties = schema.get("properties") or {}
    required = schema.get("required") or ()
    # What isn't required is left out far down, so that a schema which holds itself comes to an end.
    names = dict.fromkeys([*required, *(properties if depth < 1 and not required else ())])
    if depth > _DEEPEST:
        return {}
    return {name: _value(properties.get(name, {}), root, words, depth + 1) for name in names}


def _number(schema: Json) -> int | float:
    if "exclusiveMinimum" in schema:
        low: int | float = schema["exclusiveMinimum"] + 1
    else:
        low = schema.get("minimum", min(1, schema.get("maximum", 1)))
    step = schema.get("multipleOf")
    return -(-low // step) * step if step else low


def _string(schema: Json, words: Iterator[str]) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    word = next(words, "example")
    word = word.ljust(schema.get("minLength", 0), "x")
    return word[: schema["maxLength"]] if "maxLength" in schema else word
