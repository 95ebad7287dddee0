"""JSON schemas as structured outputs take them (C18)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from claude_proxy.canon.schemas import closed

STRING = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": STRING}, "required": ["a"], "additionalProperties": False},
        {"type": ["string", "null"], "enum": ["a", None], "description": "d", "title": "t", "default": "a"},
        {"type": "array", "items": STRING, "minItems": 1},
        {"type": "string", "format": "date-time"},
        {"anyOf": [STRING, {"type": "null"}]},
        {"allOf": [STRING, {"const": "a"}]},
        {"$ref": "#/$defs/node", "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}}},
        {"definitions": {"a": STRING}, "type": "string"},
        {"type": "array", "items": True},
        {"anyOf": "nonsense", "properties": 3, "type": "string"},
        {},
    ],
)
def test_what_is_known_is_kept(schema: dict[str, Any]) -> None:
    """A schema of known keywords comes back equal, one that refers to itself too, and nothing is lost."""
    assert closed(schema) == (schema, False)


@pytest.mark.parametrize(
    ("schema", "result"),
    [
        ({"type": "object"}, {"type": "object", "additionalProperties": False}),
        (
            {"properties": {"a": {"type": "object"}}},
            {
                "properties": {"a": {"type": "object", "additionalProperties": False}},
                "type": "object",
                "additionalProperties": False,
            },
        ),
        ({"type": ["object", "null"]}, {"type": ["object", "null"], "additionalProperties": False}),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string", "examples": ["a"]}, STRING),
    ],
)
def test_objects_are_closed_and_notes_left_out(schema: dict[str, Any], result: dict[str, Any]) -> None:
    """Closing what was open by omission, and dropping keywords that constrain nothing, is no loss."""
    assert closed(schema) == (result, False)


@pytest.mark.parametrize(
    ("schema", "result"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9}, {"type": "integer"}),
        ({"type": "string", "maxLength": 3, "pattern": "^a"}, STRING),
        ({"type": "string", "format": "color"}, STRING),
        ({"type": "array", "items": STRING, "minItems": 2}, {"type": "array", "items": STRING}),
        ({"type": "object", "additionalProperties": STRING}, {"type": "object", "additionalProperties": False}),
        ({"oneOf": [STRING, {"type": "null"}]}, {"anyOf": [STRING, {"type": "null"}]}),
        ({"oneOf": [STRING], "anyOf": [STRING]}, {"anyOf": [STRING]}),
        ({"not": STRING}, {}),
    ],
)
def test_what_is_not_known_is_lost(schema: dict[str, Any], result: dict[str, Any]) -> None:
    """Constraints that can't be held go, and that is told."""
    assert closed(schema) == (result, True)


def test_constraints_are_found_at_any_depth() -> None:
    """In properties, items, variants and definitions alike."""
    deep = {"type": "string", "minLength": 1}
    for outer in (
        {"properties": {"a": deep}, "type": "object"},
        {"type": "array", "items": deep},
        {"anyOf": [{"type": "null"}, deep]},
        {"$ref": "#/$defs/a", "$defs": {"a": deep}},
    ):
        result, lost = closed(outer)
        assert lost
        assert "minLength" not in str(result)


def test_a_property_may_be_called_as_a_keyword_is() -> None:
    """``minimum`` as the name of a property is no constraint."""
    schema = {
        "type": "object",
        "properties": {"minimum": {"type": "integer"}, "pattern": STRING, "properties": STRING},
        "additionalProperties": False,
    }
    assert closed(schema) == (schema, False)


def test_the_given_schema_is_left_alone() -> None:
    """The caller's dict isn't changed."""
    schema = {"type": "object", "properties": {"a": {"type": "object", "minProperties": 1}}}
    before = deepcopy(schema)
    closed(schema)
    assert schema == before
