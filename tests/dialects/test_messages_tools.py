"""The tools of a Messages request, and the choice among them."""

from __future__ import annotations

from typing import Any

import pytest
from messages_asking import ask, refused, tool

from claude_proxy.canon.request import Tool, ToolChoice

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}


def test_a_tool_arrives_whole() -> None:
    """What only some backends know is kept beside."""
    schema = {"anyOf": [{"properties": {"a": {}}}], "$schema": "x"}
    beside = {
        "cache_control": {"type": "ephemeral"},
        "strict": True,
        "defer_loading": True,
        "eager_input_streaming": False,
        "input_examples": [{"a": 1}],
        "allowed_callers": ["direct", "code_execution_20250825"],
    }
    given = {"type": "custom", "name": "f", "description": "does", "input_schema": schema, **beside}
    assert ask(tools=[given]).request.tools == (Tool(name="f", description="does", input_schema=schema, extra=beside),)


def test_what_asks_for_nothing_is_not_kept() -> None:
    """Nulls, empty lists, and that the model itself may call."""
    given = tool(type=None, description="", strict=None, input_examples=[], allowed_callers=["direct"])
    assert ask(tools=[given]).request.tools == (Tool(name="f", input_schema={"type": "object"}),)


@pytest.mark.parametrize(
    "kind", ["web_search_20250305", "code_execution_20250825", "bash_20250124", "text_editor_20250728", "mcp_toolset"]
)
def test_m10_the_apis_own_tools_are_lost_by_name_and_the_others_work(kind: str) -> None:
    """M10: also those that the client would run, but whose schema only the API has."""
    parsed = ask(tools=[{"type": kind, "name": "own"}, tool("f")], tool_choice={"type": "any"})
    assert parsed.losses == (f"tools.{kind}",)
    assert [given.name for given in parsed.request.tools] == ["f"]
    assert parsed.request.tool_choice == ToolChoice(type="any")


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "tool", "name": "web_search"}, "tool_choice: Tool 'web_search' not found in provided tools"),
        ({"type": "any"}, "tool_choice: a call is required, but no tool is there to be called"),
    ],
)
def test_m10_a_lost_tool_can_not_be_demanded(choice: Any, told: str) -> None:
    """M10: a call that can't be made is refused, not left out."""
    assert refused(tools=[SEARCH], tool_choice=choice).message == told


@pytest.mark.parametrize(
    ("choice", "understood"),
    [
        (None, None),
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(disable_parallel_tool_use=True)),
        ({"type": "any"}, ToolChoice(type="any")),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            ToolChoice(type="any", disable_parallel_tool_use=True),
        ),
        ({"type": "tool", "name": "f"}, ToolChoice(type="tool", name="f")),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            ToolChoice(type="tool", name="f", disable_parallel_tool_use=True),
        ),
        ({"type": "none"}, ToolChoice(type="none")),
    ],
)
def test_every_choice_is_understood(choice: Any, understood: ToolChoice | None) -> None:
    """With its word on parallel calls."""
    assert ask(tools=[tool("f")], tool_choice=choice).request.tool_choice == understood


@pytest.mark.parametrize("kind", ["auto", "none"])
def test_a_choice_among_no_tools_is_none(kind: str) -> None:
    """Where nothing can be called there is nothing to say about it."""
    assert ask(tools=[], tool_choice={"type": kind}).request.tool_choice is None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"tools": {}}, "tools: Input should be a valid list"),
        ({"tools": [1]}, "tools.0: Input should be a valid dictionary"),
        ({"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [tool("a b")]}, "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
        ({"tools": [tool(description=1)]}, "tools.0.custom.description: Input should be a valid string"),
        ({"tools": [tool("f"), tool("f", strict=True)]}, "tools: Tool names must be unique."),
        ({"tools": [tool("f"), tool("f")]}, "tools: Tool names must be unique."),
        ({"tool_choice": "auto"}, "tool_choice: Input should be a valid dictionary"),
        (
            {"tool_choice": {"type": "required"}},
            "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'",
        ),
        ({"tools": [tool()], "tool_choice": {"type": "tool"}}, "tool_choice.tool.name: Field required"),
        (
            {"tools": [tool()], "tool_choice": {"type": "tool", "name": "g"}},
            "tool_choice: Tool 'g' not found in provided tools",
        ),
    ],
)
def test_what_the_api_refuses_is_refused(fields: dict[str, Any], told: str) -> None:
    """With the path to it."""
    assert refused(**fields).message == told
