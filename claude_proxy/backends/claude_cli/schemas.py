"""Repairs JSON Schemas of tools, so that they are valid by draft 2020-12. Pure.

The CLI checks each tool's schema against it and drops *all* tools where one fails. Clients send a lot that fails:
``null`` for "not set", keywords of older drafts. What has an equal in the draft is rewritten, what hasn't is taken out.
Source: https://json-schema.org/draft/2020-12/schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from claude_proxy.canon.blocks import Json

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _is_types(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and _is_names(names) and _TYPES.issuperset(names)


def _keywords(names: str, check: Callable[[Any], bool]) -> dict[str, Callable[[Any], bool]]:
    return dict.fromkeys(names.split(), check)


_VALUES: Mapping[str, Callable[[Any], bool]] = {
    "type": _is_types,
    "required": _is_names,
    "multipleOf": lambda value: _is_number(value) and value > 0,
    **_keywords("maximum minimum exclusiveMaximum exclusiveMinimum", _is_number),
    **_keywords("maxLength minLength maxItems minItems maxProperties minProperties minContains maxContains", _is_count),
    **_keywords(
        "title description format pattern contentEncoding contentMediaType $ref $id $schema $anchor $comment",
        lambda value: isinstance(value, str),
    ),
    **_keywords("uniqueItems readOnly writeOnly deprecated", lambda value: isinstance(value, bool)),
    **_keywords("enum examples", lambda value: isinstance(value, list)),
}
"""What a keyword's value must be; one that isn't is taken out."""

_SCHEMAS = frozenset(
    {
        "additionalProperties",
        "unevaluatedProperties",
        "items",
        "unevaluatedItems",
        "contains",
        "not",
        "if",
        "then",
        "else",
        "propertyNames",
    }
)
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})


def repaired(schema: Any) -> tuple[Any, bool]:
    """Give a valid schema, and whether it says less than the given one did. What is no schema becomes ``{}``."""
    if isinstance(schema, bool):
        return schema, False
    if not isinstance(schema, dict):
        return {}, schema is not None
    plain: Json = {}
    lossy = False
    for keyword, value in _modern(schema).items():
        if value is None and keyword not in {"const", "default"}:
            continue  # a keyword that isn't set
        fixed, less, keep = _keyword(keyword, value)
        lossy = lossy or less
        if keep:
            plain[keyword] = fixed
    return plain, lossy


def _keyword(keyword: str, value: Any) -> tuple[Any, bool, bool]:
    """Give a keyword's repaired value, whether that says less, and whether there is anything to keep."""
    if keyword in _SCHEMAS:
        return (*repaired(value), True)
    if keyword in _MAPS:
        if not isinstance(value, dict):
            return None, True, False
        parts = {name: repaired(part) for name, part in value.items()}
        return {name: part for name, (part, _) in parts.items()}, any(less for _, less in parts.values()), True
    if keyword in _LISTS:
        branches = [repaired(part) for part in value] if isinstance(value, list) else []
        return [part for part, _ in branches], not branches or any(less for _, less in branches), bool(branches)
    check = _VALUES.get(keyword)
    good = check is None or check(value)
    return value, not good, good


def _modern(schema: Json) -> Json:
    """Say what older drafts said in the words of 2020-12, where it has such words."""
    modern = dict(schema)
    if isinstance(modern.get("items"), list):
        rest = modern.pop("additionalItems", None)
        modern["prefixItems"] = modern.pop("items")
        if rest is not None:
            modern["items"] = rest
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if modern.get(exclusive) is True and bound in modern:
            modern[exclusive] = modern.pop(bound)
        elif isinstance(modern.get(exclusive), bool):
            del modern[exclusive]
    if isinstance(modern.get("required"), bool):
        del modern["required"]  # draft 3 said it at the property; the object's own list is what counts
    return modern
