"""Chat Completions tools and tool choice."""

from __future__ import annotations

from typing import Any

import pytest
from chat_asking import ask, call, function, refused, result

from claude_proxy.canon.request import Tool, ToolChoice

TOOLS = [function("f"), function("g")]
EMPTY = {"type": "object", "properties": {}}


def choice(given: Any, **fields: Any) -> ToolChoice | None:
    """Give what a tool choice becomes, with two tools there."""
    return ask(tools=TOOLS, tool_choice=given, **fields).request.tool_choice


def test_a_tool_is_taken_as_it_is() -> None:
    """Name, description and schema, in order."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    request = ask(tools=[function("f", description="does", parameters=schema), function("g")]).request
    assert request.tools == (Tool(name="f", description="does", input_schema=schema), Tool(name="g"))
    assert request.tool_choice is None


@pytest.mark.parametrize("fields", [{}, {"parameters": None}, {"description": "", "parameters": EMPTY}])
def test_c08_no_parameters_are_an_empty_object(fields: dict[str, Any]) -> None:
    """C08: the upstream needs a schema."""
    assert ask(tools=[function("f", **fields)]).request.tools == (Tool(name="f", input_schema=EMPTY),)


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [EMPTY, EMPTY]},
        {"oneOf": [EMPTY]},
        {"allOf": [EMPTY]},
        {"properties": {"a": {}}},
        {"type": ["object"], "required": None},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": False},
        {},
    ],
)
def test_c08_c39_odd_schemas_are_accepted_as_sent(schema: dict[str, Any]) -> None:
    """C08, C39: what a backend can't take, the backend mends and names."""
    parsed = ask(tools=[function("f", parameters=schema)])
    assert parsed.request.tools[0].input_schema == schema
    assert parsed.losses == ()


@pytest.mark.parametrize(("strict", "extra"), [(True, {"strict": True}), (False, {}), (None, {})])
def test_c39_strict_is_for_the_backend_to_honour(strict: Any, extra: dict[str, Any]) -> None:
    """C39: kept only where it asks for something."""
    assert ask(tools=[function("f", strict=strict)]).request.tools[0].extra == extra


def test_c20_a_tools_cache_marker_is_kept() -> None:
    """C20: on the tool, or in its function."""
    marker = {"type": "ephemeral"}
    tools = [{**function("f"), "cache_control": marker}, function("g", cache_control=marker)]
    assert [tool.extra for tool in ask(tools=tools).request.tools] == [{"cache_control": marker}] * 2


def test_a_tool_without_a_type_is_a_function() -> None:
    """What else could it be."""
    assert ask(tools=[{"function": {"name": "f"}}]).request.tools == (Tool(name="f"),)


def test_c39_other_fields_of_a_tool_are_named_losses() -> None:
    """Nothing is dropped in silence."""
    tools = [{**function("f", returns={"a": 1}), "defer_loading": True}]
    assert ask(tools=tools).losses == ("tools.defer_loading", "tools.function.returns")


def test_tools_that_the_server_would_run_are_a_named_loss() -> None:
    """The other tools work without them."""
    parsed = ask(tools=[{"type": "web_search"}, function("f"), {"type": "code_interpreter"}])
    assert parsed.request.tools == (Tool(name="f"),)
    assert parsed.losses == ("tools",)


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        (function("no spaces"), "tools[1].function.name"),
        (function("é"), "tools[1].function.name"),
        (function("x" * 129), "tools[1].function.name"),
        (function(""), "tools[1].function.name"),
        ({"type": "function"}, "tools[1].function"),
        ({"type": "function", "function": {}}, "tools[1].function"),
        ({"type": "custom", "custom": {"name": "f"}}, "tools[1].type"),
        (function("g", parameters="none"), "tools[1].function.parameters"),
        ("f", "tools[1]"),
        (function("f"), "tools"),
    ],
)
def test_a_tool_in_a_wrong_shape_is_refused_by_its_path(tool: Any, param: str) -> None:
    """Names that the upstream refuses, names used twice, and types that can't be called here."""
    assert refused(tools=[function("f"), tool]).param == param


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("auto", ToolChoice(type="auto")),
        ("none", ToolChoice(type="none")),
        ("required", ToolChoice(type="any")),
        ("any", ToolChoice(type="any")),
        ({"type": "auto"}, ToolChoice(type="auto")),
        ({"type": "function", "function": {"name": "g"}}, ToolChoice(type="tool", name="g")),
        ({"type": "function", "name": "g"}, ToolChoice(type="tool", name="g")),
        (None, None),
    ],
)
def test_c09_tool_choice(given: Any, expected: ToolChoice | None) -> None:
    """C09: each choice has its own; the tools are all still there."""
    request = ask(tools=TOOLS, tool_choice=given).request
    assert request.tool_choice == expected
    assert len(request.tools) == 2


@pytest.mark.parametrize(("mode", "kind"), [("auto", "auto"), ("required", "any")])
@pytest.mark.parametrize("wrapped", [True, False])
def test_c09_allowed_tools_are_a_subset(mode: str, kind: str, wrapped: bool) -> None:  # noqa: FBT001 - a parameter
    """C09: only those named are offered."""
    allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": "g"}}]}
    given = {"type": "allowed_tools", **({"allowed_tools": allowed} if wrapped else allowed)}
    request = ask(tools=TOOLS, tool_choice=given).request
    assert [tool.name for tool in request.tools] == ["g"]
    assert request.tool_choice is not None
    assert request.tool_choice.type == kind


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("sometimes", "tool_choice"),
        ({}, "tool_choice"),
        ({"type": ["auto"]}, "tool_choice"),
        ({"type": "custom", "custom": {"name": "f"}}, "tool_choice"),
        ({"type": "function", "function": {"name": "h"}}, "tool_choice"),
        ({"type": "function"}, "tool_choice"),
        ({"type": "allowed_tools"}, "tool_choice.allowed_tools"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, "tool_choice.allowed_tools"),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "maybe", "tools": [function("f")]}},
            "tool_choice.allowed_tools",
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [function("h")]}},
            "tool_choice.allowed_tools.tools[0]",
        ),
    ],
)
def test_c09_a_choice_that_makes_no_sense_is_refused(given: Any, param: str) -> None:
    """C09: an unknown choice, or one of a tool that isn't there."""
    assert refused(tools=TOOLS, tool_choice=given).param == param


@pytest.mark.parametrize("given", ["auto", "none", None])
def test_c09_without_tools_there_is_no_choice(given: Any) -> None:
    """C09: a choice that asks for nothing is left out, since the upstream refuses one without tools."""
    request = ask(tool_choice=given, parallel_tool_calls=False).request
    assert (request.tools, request.tool_choice) == ((), None)


def test_c09_a_required_call_needs_a_tool() -> None:
    """C09: what can't be done is refused, not ignored."""
    assert refused(tool_choice="required").param == "tool_choice"
    assert refused(tools=[], tool_choice={"type": "function", "function": {"name": "f"}}).param == "tool_choice"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ToolChoice(type="auto", disable_parallel_tool_use=True)),
        ("required", ToolChoice(type="any", disable_parallel_tool_use=True)),
        ("none", ToolChoice(type="none")),
    ],
)
def test_c10_parallel_tool_calls_false(given: Any, expected: ToolChoice) -> None:
    """C10: one call a turn, with whatever choice; where none is made there is nothing to forbid."""
    assert choice(given, parallel_tool_calls=False) == expected


@pytest.mark.parametrize("given", [True, None])
def test_c10_parallel_tool_calls_otherwise(given: Any) -> None:
    """C10: more than one is the upstream's own default."""
    assert choice(None, parallel_tool_calls=given) is None


def test_c11_functions_are_tools() -> None:
    """C11: one call at a time, since the older answer has room for one."""
    parsed = ask(functions=[{"name": "f", "description": "does"}, {"name": "g", "parameters": EMPTY}])
    assert parsed.request.tools == (Tool(name="f", description="does"), Tool(name="g"))
    assert parsed.request.tool_choice == ToolChoice(type="auto", disable_parallel_tool_use=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("auto", ToolChoice(type="auto", disable_parallel_tool_use=True)),
        ("none", ToolChoice(type="none")),
        ({"name": "f"}, ToolChoice(type="tool", name="f", disable_parallel_tool_use=True)),
    ],
)
def test_c11_function_call_is_the_choice(given: Any, expected: ToolChoice) -> None:
    """C11: by name, or not."""
    assert ask(functions=[{"name": "f"}], function_call=given).request.tool_choice == expected


def test_c11_functions_are_checked_as_tools_are() -> None:
    """C11: the path is the older API's."""
    assert refused(functions=[{"name": "a b"}]).param == "functions[0].name"
    assert refused(functions=[{"name": "f"}], function_call={"name": "g"}).param == "function_call"
    assert refused(functions=[{"name": "f"}], tools=[function("f")]).param == "tools"


def test_history_may_name_tools_that_are_no_longer_there() -> None:
    """A tool call of the history needs no tool."""
    called = {"role": "assistant", "tool_calls": [call("a", name="gone")]}
    assert ask({"role": "user", "content": "x"}, called, result("a")).request.tools == ()
