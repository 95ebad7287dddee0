"""Schemas that clients send and draft 2020-12 doesn't take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli.schemas import repaired


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": True}, "additionalProperties": False},
        {"type": ["string", "null"], "enum": ["a", None], "minLength": 0, "uniqueItems": False, "multipleOf": 0.5},
        {"const": None, "default": None, "x-own": 2},
        {"anyOf": [{"$ref": "#/$defs/a"}, {"not": {"type": "null"}}], "$defs": {"a": {"title": "A"}}},
        {"prefixItems": [{}], "items": False, "examples": [1], "exclusiveMinimum": 3},
    ],
)
def test_a_valid_schema_is_left_alone(schema: Any) -> None:
    """Nothing is rewritten that needn't be."""
    assert repaired(schema) == (schema, False)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"required": None, "properties": None, "items": None, "type": None}, {}),
        (None, {}),
        ({"items": [{"type": "string"}]}, {"prefixItems": [{"type": "string"}]}),
        ({"items": [{}], "additionalItems": False}, {"prefixItems": [{}], "items": False}),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}),
        ({"type": "string", "required": True}, {"type": "string"}),
    ],
)
def test_what_has_an_equal_is_rewritten_without_loss(schema: Any, expected: Any) -> None:
    """Unset keywords and older drafts' words say nothing more than the rewritten schema does."""
    assert repaired(schema) == (expected, False)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "any", "description": "kept"}, {"description": "kept"}),
        ({"type": []}, {}),
        ({"properties": {"a": {"type": "bogus"}, "b": 4}}, {"properties": {"a": {}, "b": {}}}),
        ({"properties": [1]}, {}),
        ({"anyOf": []}, {}),
        ({"anyOf": "x"}, {}),
        ({"allOf": [{"minimum": "1"}]}, {"allOf": [{}]}),
        ({"additionalProperties": "yes"}, {"additionalProperties": {}}),
        ({"required": ["a", "a"]}, {}),
        ({"required": [1]}, {}),
        ({"minLength": -1, "maxItems": True, "multipleOf": 0}, {}),
        ({"title": 3, "enum": "x", "uniqueItems": "no"}, {}),
        ("string", {}),
    ],
)
def test_what_has_no_equal_is_taken_out_as_a_loss(schema: Any, expected: Any) -> None:
    """The tool stays, its schema says less, and that is told."""
    assert repaired(schema) == (expected, True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "properties", "items", "anyOf", "required", "minimum", "a"]), inner)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_repaired_once_and_for_all(value: Any) -> None:
    """It never raises, and a repaired schema needs no repair."""
    schema, _ = repaired(value)
    assert repaired(schema) == (schema, False)
