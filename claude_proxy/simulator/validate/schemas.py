"""JSON schemas: what a tool's input may be described with, and the smaller part that a reply can be held to. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from claude_proxy.simulator.script import Json
from claude_proxy.simulator.validate.fields import refuse

_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_ROOT_COMBINATIONS = ("oneOf", "allOf", "anyOf")
_PROPERTY = r"^[a-zA-Z0-9_.-]{1,64}$"
_INVALID = "JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12)."

_UNSUPPORTED = {
    "object": ("minProperties", "maxProperties", "patternProperties", "propertyNames"),
    "array": ("maxItems", "uniqueItems", "contains", "prefixItems"),
    "string": ("minLength", "maxLength"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def check_input_schema(schema: Json, path: str) -> None:
    """Refuse a tool's ``input_schema`` that the API refuses."""
    if "type" not in schema:
        refuse(f"{path}.type", "Field required")
    if schema["type"] != "object":
        refuse(f"{path}.type", "Input should be 'object'")
    if any(name in schema for name in _ROOT_COMBINATIONS):
        refuse(path, "input_schema does not support oneOf, allOf, or anyOf at the top level")
    for part in _parts(schema):
        _check_valid(part, path)
    for name in schema.get("properties") or {}:
        if not re.fullmatch(_PROPERTY, name):
            refuse(f"{path}.properties", f"Property keys should match pattern '{_PROPERTY}'")


def _check_valid(schema: Any, path: str) -> None:
    if isinstance(schema, bool):
        return
    kinds = schema.get("type", []) if isinstance(schema, dict) else [None]
    kinds = kinds if isinstance(kinds, list) else [kinds]
    required = (schema.get("required") or []) if isinstance(schema, dict) else []
    listed = isinstance(required, list) and all(isinstance(name, str) for name in required)
    if not listed or any(name not in _TYPES for name in kinds):
        refuse(path, _INVALID)


def _parts(schema: Any) -> Iterator[Any]:
    """Give a schema and all schemas within."""
    yield schema
    if not isinstance(schema, dict):
        return
    for name in ("properties", "$defs", "definitions"):
        inner = schema.get(name)
        for part in inner.values() if isinstance(inner, dict) else ():
            yield from _parts(part)
    for name in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(name) or ():
            yield from _parts(part)
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from _parts(schema[name])


def check_output_schema(schema: Json, path: str) -> None:
    """Refuse a schema that a reply can't be held to."""
    for part in _parts(schema):
        _check_valid(part, path)
        if isinstance(part, bool):
            continue
        kinds = part.get("type", "object" if "properties" in part else None)
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            _check_supported(part, kind, path)
        reference = part.get("$ref", "#")
        if not isinstance(reference, str) or not reference.startswith("#"):
            refuse(path, "External $ref is not supported")


def _check_supported(part: Json, kind: Any, path: str) -> None:
    if kind == "object" and part.get("additionalProperties") is not False:
        refuse(path, "For 'object' type, 'additionalProperties' must be explicitly set to false")
    found = next((name for name in _UNSUPPORTED.get(kind, ()) if name in part), None)
    if found:
        plural = f"property '{found}' is not supported"
        refuse(path, f"For '{kind}' type, {plural}")
    if kind == "array" and part.get("minItems", 0) not in (0, 1):
        refuse(path, "For 'array' type, 'minItems' values other than 0 or 1 are not supported")
