"""Client tools: definitions in, results out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli.tools import (
    MAX_HELD_CHARACTERS,
    MAX_HELD_ERROR_CHARACTERS,
    answer,
    call_result,
    can_be_held,
    listing,
    plain_schema,
)
from claude_proxy.canon.blocks import Document, Image, Opaque, Source, Text, ToolResult
from claude_proxy.canon.request import Tool
from claude_proxy.errors import BadRequest

PNG = Image(source=Source(type="base64", media_type="image/png", data="aGk="))
STRING = {"type": "string"}

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYWORDS = st.sampled_from(["type", "properties", "required", "anyOf", "oneOf", "allOf", "$ref", "description"])
SCHEMAS = st.recursive(
    st.dictionaries(KEYWORDS, ODD, max_size=4),
    lambda inner: st.dictionaries(KEYWORDS, inner | st.lists(inner | ODD, max_size=3) | ODD, max_size=4),
    max_leaves=8,
)


# -- schemas ----------------------------------------------------------------------------------------------------------


def test_a_plain_schema_is_left_alone() -> None:
    """C39: with ``$schema``, descriptions and all else inside."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "description": "A place.",
        "properties": {"city": {"type": "string", "anyOf": [{"minLength": 1}]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    assert plain_schema(schema) == (schema, False)


@pytest.mark.parametrize("schema", [{}, {"properties": {}}, {"type": "object"}, {"type": "object", "properties": None}])
def test_what_says_nothing_becomes_an_empty_object(schema: dict[str, Any]) -> None:
    """C08: without a loss, as nothing was said."""
    assert plain_schema(schema) == ({"type": "object", "properties": {}}, False)


@pytest.mark.parametrize("kind", [["object", "null"], "string", 5])
def test_another_type_is_a_named_loss(kind: Any) -> None:
    """K12: the CLI would drop every tool for a list as type."""
    assert plain_schema({"type": kind}) == ({"type": "object", "properties": {}}, True)


@pytest.mark.parametrize("required", [None, True, "city", [1], ["city", None]])
def test_what_requires_in_no_known_shape_goes(required: Any) -> None:
    """K12: ``required: null`` alone makes all tools vanish without a word."""
    schema = {"type": "object", "properties": {"city": STRING}, "required": required}
    assert plain_schema(schema)[0] == {"type": "object", "properties": {"city": STRING}}


def test_a_property_that_is_no_schema_takes_anything() -> None:
    """``true`` and ``false`` are schemas, a number isn't."""
    properties = {"a": True, "b": False, "c": 5, "d": STRING}
    assert plain_schema({"properties": properties})[0]["properties"] == {**properties, "c": {}}


@pytest.mark.parametrize("combinator", ["anyOf", "oneOf"])
def test_alternatives_fold_into_one(combinator: str) -> None:
    """C08: all their properties, required only what each of them requires; the rewriting is a named loss."""
    schema = {
        combinator: [
            {"properties": {"id": STRING, "kind": STRING}, "required": ["kind", "id"]},
            {"properties": {"name": STRING, "kind": STRING}, "required": ["kind", "name"]},
        ]
    }
    plain, lossy = plain_schema(schema)
    assert lossy
    assert plain == {
        "type": "object",
        "properties": {"id": STRING, "kind": STRING, "name": STRING},
        "required": ["kind"],
    }


def test_parts_fold_into_one() -> None:
    """C08: what any part requires is required, beside the root's own."""
    schema = {
        "type": "object",
        "properties": {"a": STRING},
        "required": ["a"],
        "allOf": [{"properties": {"a": {"type": "integer"}, "b": STRING}, "required": ["b"]}, {}],
    }
    plain, _ = plain_schema(schema)
    assert plain["properties"] == {"a": STRING, "b": STRING}
    assert plain["required"] == ["a", "b"]


def test_an_alternative_that_allows_all_requires_nothing() -> None:
    """``true`` among the alternatives leaves no property required."""
    plain, _ = plain_schema({"anyOf": [True, {"required": ["a"]}]})
    assert "required" not in plain


def test_an_alternative_that_allows_nothing_is_none() -> None:
    """``false`` among the alternatives changes nothing."""
    plain, _ = plain_schema({"anyOf": [False, {"required": ["a"]}]})
    assert plain["required"] == ["a"]


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": 5},
        {"anyOf": {"a": 1}},
        {"allOf": "abc"},
        {"oneOf": [None, 5, []]},
        {"anyOf": [{"properties": ["a"]}]},
        {"anyOf": [{"properties": None, "required": None}]},
        {"anyOf": [{"required": [["a"], {"b": 1}, None]}]},
        {"allOf": [{"required": [1, "a"]}], "required": [2, "b"]},
        {"anyOf": [], "properties": ["a"], "required": 5},
    ],
)
def test_a_strange_combination_becomes_an_object_all_the_same(schema: dict[str, Any]) -> None:
    """K12: whatever a client sends, never a 500."""
    plain, lossy = plain_schema(schema)
    assert lossy
    assert plain["type"] == "object"
    assert plain["properties"] == {}


@given(SCHEMAS)
def test_any_schema_becomes_one_that_the_cli_takes(schema: dict[str, Any]) -> None:
    """K12: an object with schemas as properties and names as required, whatever came; that stays unchanged."""
    before = copy.deepcopy(schema)
    plain, _ = plain_schema(schema)
    assert plain["type"] == "object"
    assert all(isinstance(value, dict | bool) for value in plain["properties"].values())
    assert all(isinstance(name, str) for name in plain.get("required", []))
    assert not {"anyOf", "oneOf", "allOf"} & plain.keys()
    assert schema == before


@given(SCHEMAS)
def test_a_plain_schema_stays_as_it_is(schema: dict[str, Any]) -> None:
    """Once more changes nothing: both paths of a conversation list the same tools."""
    plain, _ = plain_schema(schema)
    assert plain_schema(plain) == (plain, False)


# -- listing ----------------------------------------------------------------------------------------------------------


def test_a_tool_is_listed_under_the_clients_name() -> None:
    """Read-only, so that calls run in parallel, and with the widest limit on results."""
    listed, losses = listing([Tool(name="Bash", description="Runs.", input_schema={"type": "object"})])
    assert losses == ()
    assert listed == [
        {
            "name": "Bash",
            "description": "Runs.",
            "inputSchema": {"type": "object", "properties": {}},
            "annotations": {"readOnlyHint": True},
            "_meta": {"anthropic/maxResultSizeChars": 500_000},
        }
    ]


def test_no_description_is_an_empty_one() -> None:
    """The CLI wants a string."""
    assert listing([Tool(name="a")])[0][0]["description"] == ""


def test_what_a_definition_loses_is_named_once() -> None:
    """Rewritten schemas, and settings that the CLI has no place for."""
    tools = [
        Tool(name="a", input_schema={"anyOf": [{}]}, extra={"strict": True, "defer_loading": False}),
        Tool(name="b", input_schema={"type": "string"}, extra={"strict": True, "input_examples": [{}], "x": None}),
    ]
    assert set(listing(tools)[1]) == {"tools.input_schema", "tools.strict", "tools.input_examples"}
    assert len(listing(tools)[1]) == 3


def test_a_cache_marker_on_a_tool_is_no_loss() -> None:
    """C20: the CLI sets its own."""
    assert listing([Tool(name="a", extra={"cache_control": {"type": "ephemeral"}})])[1] == ()


def test_the_same_tools_are_listed_once() -> None:
    """Reading twenty schemas takes longer than all else that a turn needs; others are others by whatever differs."""
    schema = {"type": "object", "properties": {"a": STRING}}
    first, again = (listing([Tool(name="a", input_schema=dict(schema))]) for _ in range(2))
    assert first[0] is again[0]
    assert listing([Tool(name="a", input_schema=dict(reversed(schema.items())))]) == first
    assert listing([Tool(name="a", input_schema={**schema, "required": ["a"]})]) != first
    assert listing([Tool(name="a", input_schema=schema, extra={"strict": True})])[1] == ("tools.strict",)


def test_two_tools_of_one_name_are_refused() -> None:
    """K12: one of the two would be dropped silently."""
    with pytest.raises(BadRequest, match="two tools are named 'a'") as caught:
        listing([Tool(name="a"), Tool(name="b"), Tool(name="a")])
    assert caught.value.param == "tools"


@pytest.mark.parametrize("argument", ["", "a b", "é", "$a", "x" * 65])
def test_an_argument_that_the_api_does_not_take_is_named(argument: str) -> None:
    """The CLI would drop the tool without a word."""
    odd = Tool(name="a", input_schema={"anyOf": [{"properties": {argument: STRING}}]})
    with pytest.raises(BadRequest, match="the tool 'a' has an argument") as caught:
        listing([Tool(name="b"), odd])
    assert caught.value.param == "tools"


def test_an_argument_deeper_down_may_have_any_name() -> None:
    """Only those of the tool itself are names to the API."""
    inner = {"type": "object", "properties": {"a b": STRING}}
    schema = {"type": "object", "properties": {"a.b-C_1": inner, "x" * 64: STRING}}
    assert listing([Tool(name="a", input_schema=schema)])[0][0]["inputSchema"] == schema


# -- the server's answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("params", "version"), [({"protocolVersion": "2025-11-25"}, "2025-11-25"), ({}, "2025-06-18")])
def test_the_handshake_speaks_the_childs_version(params: dict[str, Any], version: str) -> None:
    """Whatever the CLI speaks is fine with us."""
    result = answer("initialize", params, [])
    assert result["protocolVersion"] == version
    assert result["capabilities"] == {"tools": {"listChanged": True}}


def test_the_list_is_the_clients() -> None:
    """All of it, at once."""
    listed, _ = listing([Tool(name="a"), Tool(name="b")])
    assert answer("tools/list", {}, listed) == {"tools": listed}


@pytest.mark.parametrize("method", ["ping", "notifications/initialized", "what/ever"])
def test_all_else_gets_an_empty_answer(method: str) -> None:
    """No question is left open."""
    assert answer(method, {}, []) == {}


# -- results ----------------------------------------------------------------------------------------------------------


def result(*content: Any, is_error: bool = False) -> ToolResult:
    """Give a result; plain strings are text."""
    blocks = tuple(Text(text=item) if isinstance(item, str) else item for item in content)
    return ToolResult(tool_use_id="t", content=blocks, is_error=is_error)


@pytest.mark.parametrize(
    "content",
    [
        ("ok",),
        ("one", "two"),
        ("", "abc"),
        (" ", "a"),
        ("\n a \n",),
        (PNG,),
        (PNG, PNG),
        ("a", PNG, "b"),
        (" ", PNG),
        ("x" * MAX_HELD_CHARACTERS,),
        ("字" * MAX_HELD_CHARACTERS,),
    ],
)
def test_a_result_that_arrives_unchanged_can_be_held(content: tuple[Any, ...]) -> None:
    """K05: text and images, up to the CLI's limit."""
    assert can_be_held(result(*content))


@pytest.mark.parametrize(
    "content",
    [
        (),
        ("",),
        ("  ", "\n"),
        ("\ufeff",),
        ("x" * (MAX_HELD_CHARACTERS + 1),),
        ("x" * 300_000, "y" * 300_000),
        ("😀" * (MAX_HELD_CHARACTERS // 2 + 1),),
        ("a", Image(source=Source(type="url", url="https://example.org/a.png"))),
        (Image(source=Source(type="base64", data="aGk=")),),
        (Image(source=Source(type="base64", media_type="image/png")),),
        (Document(source=Source(type="text", media_type="text/plain", data="a")),),
        ("a", Opaque({"type": "search_result"})),
    ],
)
def test_a_result_that_the_cli_would_change_is_not_held(content: tuple[Any, ...]) -> None:
    """K05: blank ones become a placeholder, large ones a preview (an emoji counts twice), others have no MCP form."""
    assert not can_be_held(result(*content))


@pytest.mark.parametrize("content", ["bad", "a\nb", "<tool_use_error>x</tool_use_error>", "x" * 10_000])
def test_an_error_of_one_trimmed_text_can_be_held(content: str) -> None:
    """K12: it arrives as it is."""
    assert can_be_held(result(content, is_error=True))


@pytest.mark.parametrize(
    "content",
    [
        ("one", "two"),
        ("", "abc"),
        ("one", PNG),
        (PNG,),
        ("\n a \n",),
        ("a\ufeff",),
        ("x" * (MAX_HELD_ERROR_CHARACTERS + 1),),
        (),
    ],
)
def test_an_error_that_the_cli_would_change_is_not_held(content: tuple[Any, ...]) -> None:
    """K12: of an error it keeps the text only, joined, trimmed and cut."""
    assert not can_be_held(result(*content, is_error=True))


def test_a_result_becomes_a_calls_answer() -> None:
    """K05: in order, images included, markers not."""
    text = Text(text="a", cache_control={"type": "ephemeral"})
    assert call_result(result(text, PNG, "b")) == {
        "content": [
            {"type": "text", "text": "a"},
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
            {"type": "text", "text": "b"},
        ],
        "isError": False,
    }


def test_an_error_stays_one() -> None:
    """The model is told that the tool failed."""
    assert call_result(result("bad", is_error=True))["isError"] is True


def test_what_has_no_form_in_a_calls_answer_is_not_there() -> None:
    """Such a result is never held in the first place."""
    assert call_result(result("a", Opaque({"type": "search_result"})))["content"] == [{"type": "text", "text": "a"}]
