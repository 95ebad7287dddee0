"""The example value of a schema satisfies it."""

from __future__ import annotations

from typing import Any

import pytest

from claude_proxy.simulator.example import example

TREE = {
    "type": "object",
    "required": ["name", "child"],
    "properties": {"name": {"type": "string"}, "child": {"$ref": "#"}},
}

CASES: list[tuple[Any, Any]] = [
    ({"type": "string"}, "example"),
    ({"type": "string", "minLength": 9}, "examplexx"),
    ({"type": "string", "maxLength": 3}, "exa"),
    ({"type": "string", "format": "date"}, "2026-01-01"),
    ({"type": "string", "format": "unheard-of"}, "example"),
    ({"type": "integer"}, 1),
    ({"type": "integer", "minimum": 5}, 5),
    ({"type": "integer", "exclusiveMinimum": 5}, 6),
    ({"type": "integer", "maximum": -3}, -3),
    ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": ["null", "integer"]}, 1),
    ({"type": ["null"]}, None),
    ({"const": 4}, 4),
    ({"type": "integer", "default": 7}, 7),
    ({"enum": ["b", "a"]}, "b"),
    ({"type": "array", "items": {"type": "integer"}}, [1]),
    ({"type": "array", "minItems": 2}, ["example", "example"]),
    ({"items": {"type": "null"}}, [None]),
    ({"type": "object"}, {}),
    ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
    (
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["b", "c"]},
        {"b": "example", "c": "example"},
    ),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
    ({"oneOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "boolean"}}}, True),
    ({"$ref": "#/nowhere/at/all"}, "example"),
    (
        {
            "allOf": [
                {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "null"}}, "required": ["b"]},
                {"description": "x"},
            ]
        },
        {"a": 1, "b": None},
    ),
    ({"type": "array", "items": True}, ["example"]),
    (True, "example"),
    ({}, "example"),
]


@pytest.mark.parametrize(("schema", "value"), CASES)
def test_example(schema: Any, value: Any) -> None:
    """Each kind of schema gives the smallest value of it."""
    assert example(schema) == value


def test_words_fill_strings_in_order() -> None:
    """Strings are taken from the words while there are any."""
    schema = {"type": "array", "minItems": 3, "items": {"type": "string"}}
    assert example(schema, iter(["Paris", "Rome"])) == ["Paris", "Rome", "example"]


def test_schema_that_holds_itself_ends() -> None:
    """A recursive schema gives a finite value."""
    depth, value = 0, example(TREE)
    while value:
        depth, value = depth + 1, value["child"]
    assert 1 < depth < 20


def test_array_that_holds_itself_ends() -> None:
    """A recursive array is empty at some depth."""
    assert example({"type": "array", "items": {"$ref": "#"}})[0][0]


def test_reference_to_itself_ends() -> None:
    """A reference that only leads to itself is anything."""
    assert example({"$ref": "#"}) == "example"
