"""Responses tools and tool choice."""

from __future__ import annotations

from typing import Any

import pytest
from responses_asking import ask, custom, function, namespace, refused

from claude_proxy.canon.request import Tool, ToolChoice
from claude_proxy.dialects.responses_tools import CUSTOM_SCHEMA, Callee, upstream_name

EMPTY = {"type": "object", "properties": {}}
SEARCH = {"type": "web_search"}
TOOLS = [function("f"), custom("patch"), namespace("ns", function("f"), function("only"), custom("raw")), SEARCH]


def offered(given: Any, **fields: Any) -> tuple[list[str], ToolChoice | None]:
    """Give what a tool choice leaves of ``TOOLS``."""
    request = ask(tools=TOOLS, tool_choice=given, **fields).request
    return [tool.name for tool in request.tools], request.tool_choice


ALL = ["f", "patch", "ns__f", "ns__only", "ns__raw"]


def test_a_function_is_taken_as_it_is() -> None:
    """Name, description, schema and strictness."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    parsed = ask(tools=[function("f", description="does", parameters=schema, strict=True), function("g")])
    assert parsed.request.tools == (
        Tool(name="f", description="does", input_schema=schema, extra={"strict": True}),
        Tool(name="g"),
    )
    assert (parsed.request.tool_choice, parsed.losses) == (None, ())


@pytest.mark.parametrize("fields", [{}, {"parameters": None, "strict": None}, {"description": "", "strict": False}])
def test_c08_no_parameters_are_an_empty_object(fields: dict[str, Any]) -> None:
    """C08: the upstream needs a schema."""
    assert ask(tools=[function("f", **fields)]).request.tools == (Tool(name="f", input_schema=EMPTY),)


def test_a_tools_cache_marker_is_kept() -> None:
    """It is for the backend to honour."""
    marker = {"type": "ephemeral"}
    tools = ask(tools=[function("f", cache_control=marker), custom("c", cache_control=marker)]).request.tools
    assert [tool.extra for tool in tools] == [{"cache_control": marker}] * 2


def test_r03_a_custom_tool_is_a_function_of_one_text() -> None:
    """R03: whose text goes on unchanged."""
    parsed = ask(tools=[custom("c", description="runs it", format={"type": "text"}), custom("d")])
    first, second = parsed.request.tools
    assert (first.input_schema, first.description) == (
        CUSTOM_SCHEMA,
        "runs it\n\n`input` is passed on exactly as written.",
    )
    assert second.description == "`input` is passed on exactly as written."
    assert parsed.options.callees["c"] == Callee("c", custom=True)
    assert parsed.losses == ()


def test_r03_a_grammar_is_told_and_named_as_lost() -> None:
    """R03: nothing makes the model keep to it."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: A"}
    parsed = ask(tools=[custom("c", format=grammar)])
    assert parsed.losses == ("tools.format",)
    assert (parsed.request.tools[0].description or "").endswith("follow this lark grammar:\nstart: A")


def test_r10_a_namespace_goes_into_its_tools_names() -> None:
    """R10: what is said of all of them stands with the first."""
    tools = [namespace("ns", function("f", description="does"), custom("g"), function("h"), description="All of it.")]
    parsed = ask(tools=tools)
    assert [tool.name for tool in parsed.request.tools] == ["ns__f", "ns__g", "ns__h"]
    assert [tool.description for tool in parsed.request.tools] == [
        "does\n\nOf all tools in ns: All of it.",
        "`input` is passed on exactly as written.",
        None,
    ]
    assert parsed.options.callees == {
        "ns__f": Callee("f", "ns"),
        "ns__g": Callee("g", "ns", custom=True),
        "ns__h": Callee("h", "ns"),
    }


@pytest.mark.parametrize(
    ("name", "space", "expected"),
    [
        ("f", None, "f"),
        ("f", "", "f"),
        ("f", "ns", "ns__f"),
        ("f", "mcp__x__", "mcp__x__f"),
        ("_f", "mcp__x", "mcp__x___f"),
    ],
)
def test_r10_names_are_joined_legally(name: str, space: str | None, expected: str) -> None:
    """R10: and always in the same way."""
    assert upstream_name(name, space) == expected


def test_r10_names_that_cant_be_joined_get_a_digest() -> None:
    """R10: two that differ in illegal characters alone, or behind a limit, stay two."""
    long = "x" * 120
    joined = [
        upstream_name("f.g", "n s"),
        upstream_name("f g", "n s"),
        upstream_name(long, "a"),
        upstream_name(long, "b"),
    ]
    assert len(set(joined)) == 4
    assert all(len(name) <= 128 for name in joined)
    parsed = ask(tools=[namespace("n s", function("f.g"))])
    assert parsed.options.callees == {joined[0]: Callee("f.g", "n s")}


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        (function("no way"), "tools[0].name"),
        (function(""), "tools[0].name"),
        ({"type": "custom"}, "tools[0].name"),
        ({"type": "local_shell"}, "tools[0].type"),
        ({"type": "shell"}, "tools[0].type"),
        ({"type": "apply_patch"}, "tools[0].type"),
        ({"type": "computer_use_preview"}, "tools[0].type"),
        (namespace("", function("f")), "tools[0].name"),
        (namespace("n", function("")), "tools[0].tools[0].name"),
        (namespace("n", SEARCH), "tools[0].tools[0].type"),
        (function("f", parameters=[]), "tools[0].parameters"),
        ("f", "tools[0]"),
    ],
)
def test_r03_a_tool_that_cant_work_is_refused(tool: Any, param: str) -> None:
    """R03: built-in tools that the client runs too: their calls are of a kind that no model here makes."""
    assert refused(tools=[tool]).param == param


@pytest.mark.parametrize(
    "tools",
    [[function("f"), function("f")], [custom("f"), function("f")], [namespace("n", function("f")), function("n__f")]],
)
def test_two_tools_of_one_name_are_refused(tools: list[Any]) -> None:
    """A call of it would be nobody's."""
    assert refused(tools=tools).param == "tools"


@pytest.mark.parametrize("kind", ["web_search", "file_search", "code_interpreter", "mcp", "image_generation", "new"])
def test_r10_a_tool_that_the_server_would_run_is_a_named_loss(kind: str) -> None:
    """R10: the others work without it."""
    parsed = ask(tools=[{"type": kind}, function("f")])
    assert (parsed.losses, [tool.name for tool in parsed.request.tools]) == ((f"tools.{kind}",), ["f"])


def test_what_a_tool_loses_is_named() -> None:
    """In functions, custom tools and namespaces; what is only about who may call it when is none."""
    tools = [
        function("f", mood="good", defer_loading=True, output_schema={"type": "string"}),
        custom("c", mode="x", allowed_callers=["direct"]),
        namespace("n", function("g"), kind="y"),
    ]
    assert ask(tools=tools).losses == ("tools.mood", "tools.mode", "tools.kind")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("auto", ToolChoice()),
        ("none", ToolChoice(type="none")),
        ("required", ToolChoice(type="any")),
        ({"type": "function", "name": "f"}, ToolChoice(type="tool", name="f")),
        ({"type": "function", "name": "f", "namespace": "ns"}, ToolChoice(type="tool", name="ns__f")),
        ({"type": "function", "name": "only"}, ToolChoice(type="tool", name="ns__only")),
        ({"type": "custom", "name": "patch"}, ToolChoice(type="tool", name="patch")),
    ],
)
def test_r07_a_choice_among_all_tools(given: Any, expected: ToolChoice | None) -> None:
    """R07: all of them are offered."""
    assert offered(given) == (ALL, expected)


def test_r07_some_tools_are_allowed() -> None:
    """R07: only those are offered, a whole namespace too; what isn't here is a named loss."""
    named = [{"type": "function", "name": "f"}, {"type": "namespace", "name": "ns"}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": named}
    assert offered(choice) == (["f", "ns__f", "ns__only", "ns__raw"], ToolChoice(type="any"))
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [SEARCH, {"name": "patch"}]}
    assert offered(choice) == (["patch"], ToolChoice())
    assert "tool_choice" in ask(tools=TOOLS, tool_choice=choice).losses


def test_r07_where_only_what_isnt_here_is_allowed_nothing_may_be_called() -> None:
    """R07: the history may still hold calls, so the tools stay."""
    choice = {"type": "allowed_tools", "tools": [SEARCH]}
    assert offered(choice) == (ALL, ToolChoice(type="none"))
    assert ask(tools=[SEARCH], tool_choice=choice).request.tool_choice is None


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("sometimes", "tool_choice"),
        ({"type": "web_search"}, "tool_choice"),
        ({"type": "mcp", "server_label": "x"}, "tool_choice"),
        ({"type": "shell"}, "tool_choice"),
        ({}, "tool_choice"),
        ({"type": "function"}, "tool_choice"),
        ({"type": "function", "name": "g"}, "tool_choice"),
        ({"type": "function", "name": "only", "namespace": "other"}, "tool_choice"),
        ({"type": "allowed_tools", "mode": "required", "tools": [SEARCH]}, "tool_choice"),
        ({"type": "allowed_tools", "mode": "never", "tools": []}, "tool_choice.mode"),
        ({"type": "allowed_tools", "tools": [{"type": "function", "name": "g"}]}, "tool_choice.tools[0]"),
        ({"type": "allowed_tools", "tools": [{"type": "namespace", "name": "g"}]}, "tool_choice.tools[0]"),
    ],
)
def test_r03_r10_a_choice_that_cant_be_kept_is_refused(given: Any, param: str) -> None:
    """R03, R10: forcing a tool that isn't here would change what the answer is."""
    error = refused(tools=TOOLS, tool_choice=given)
    assert (error.param or "").startswith(param)


def test_r10_a_call_cant_be_required_without_a_tool() -> None:
    """R10: built-in ones that aren't here don't count."""
    assert refused(tools=[SEARCH], tool_choice="required").param == "tool_choice"
    assert ask(tools=[SEARCH], tool_choice="auto").request.tool_choice is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ToolChoice(disable_parallel_tool_use=True)),
        ("required", ToolChoice(type="any", disable_parallel_tool_use=True)),
        ("none", ToolChoice(type="none")),
    ],
)
def test_r07_calls_one_at_a_time(given: Any, expected: ToolChoice) -> None:
    """R07: whatever the choice is, but none."""
    assert offered(given, parallel_tool_calls=False)[1] == expected
    assert ask(parallel_tool_calls=False).request.tool_choice is None
