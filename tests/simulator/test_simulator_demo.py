"""The demo says what it is, and does what a first-time user tries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_proxy.simulator import MODELS, Reply
from claude_proxy.simulator.demo import HEADER, answer, compelled
from claude_proxy.simulator.validate import check

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "input_schema": CITY}
TIME = {"name": "currentTime", "input_schema": {"type": "object", "properties": {}}}
READ = {"name": "Read", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
ROUTE = {
    "name": "plan_route",
    "input_schema": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
}


def ask(prompt: Any, *tools: dict[str, Any], **fields: Any) -> Reply:
    """The demo's reply to one message, which the strict simulator must take."""
    messages = fields.pop("messages", [{"role": "user", "content": prompt}])
    body = {"model": "claude-opus-4-6", "max_tokens": 2000, "messages": messages, **fields}
    if tools:
        body["tools"] = list(tools)
    check(body, MODELS)
    return answer(body)


def said(reply: Reply) -> str:
    """The reply's text."""
    return "".join(block["text"] for block in reply.blocks if block["type"] == "text")


def calls(reply: Reply) -> list[tuple[str, Any]]:
    """The reply's tool calls."""
    return [(block["name"], block["input"]) for block in reply.blocks if block["type"] == "tool_use"]


def test_says_what_it_is() -> None:
    """Every chat answer says that it isn't Claude, repeats the question and counts the turns."""
    reply = ask("What is   a monad?")
    assert "I'm the built-in simulator of claude-proxy, not Claude" in said(reply)
    assert "“What is a monad?”" in said(reply)
    assert "turn 1" in said(reply)


def test_is_marked_and_slow() -> None:
    """A demo reply carries its header, and streams with a small gap."""
    reply = ask("hi")
    assert (reply.headers, reply.gap_seconds) == ({HEADER: "1"}, 0.015)


def test_long_question_is_shortened() -> None:
    """Only the beginning of a long question is repeated."""
    assert len(said(ask("word " * 5000))) < 300


def test_counts_turns() -> None:
    """The second question is turn 2."""
    messages = [{"role": role, "content": "x"} for role in ("user", "assistant", "user")]
    assert "turn 2" in said(ask(None, messages=messages))


def test_skips_the_notes_of_the_cli() -> None:
    """What the CLI adds to the user's message isn't repeated."""
    notes = [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "hello"}]
    assert "“hello”" in said(ask(notes))


def test_describes_media() -> None:
    """Images and documents are named with type and size."""
    blocks = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
        {"type": "document", "source": {"type": "file", "file_id": "f"}},
    ]
    told = said(ask(blocks))
    assert "one image (image/png, 5 bytes)" in told
    assert "one image (at https://example.com/x.png)" in told
    assert "one document (text, 5 characters), one document." in told
    assert "You wrote" not in told


def test_two_cities_are_two_calls() -> None:
    """Asked for the weather in two cities it calls the tool twice, in one turn."""
    reply = ask("What's the weather in Paris and Rome?", WEATHER)
    assert calls(reply) == [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})]
    assert reply.stop_reason == "tool_use"


def test_one_call_at_a_time_where_asked() -> None:
    """``disable_parallel_tool_use`` is kept to."""
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    reply = ask("weather in Paris and Rome", WEATHER, TIME, tool_choice=choice)
    assert calls(reply) == [("get_weather", {"city": "Paris"})]


def test_tool_of_two_strings_is_called_once() -> None:
    """Two names fill the two strings of one call."""
    assert calls(ask('plan route from "New York" to Boston', ROUTE)) == [
        ("plan_route", {"a": "New York", "b": "Boston"})
    ]


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("call get_weather", ["get_weather"]),
        ("Please use the currentTime now", ["currentTime"]),
        ("use the tools", ["get_weather", "currentTime"]),
        ("call a tool", ["get_weather"]),
        ("Read it for me", []),
        ("use Read", ["Read"]),
        ("how are you", []),
    ],
)
def test_calls_what_is_meant(prompt: str, names: list[str]) -> None:
    """A tool is called by its name, by its telling words or when tools are asked for; else not."""
    assert [name for name, _ in calls(ask(prompt, WEATHER, TIME, READ))] == names


SHELL = {
    "name": "exec",
    "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
}


@pytest.mark.parametrize(
    "prompt", ["Exec the plan of Tuesday", 'Use any tools you like for "rm notes.txt"', 'The exec said "Reboot"']
)
def test_a_tool_that_acts_is_not_called_by_chance(prompt: str) -> None:
    """An agent would really do it: words that happen to stand in a prompt must not become commands."""
    assert calls(ask(prompt, SHELL)) == []


def test_a_tool_that_acts_is_called_by_name_and_with_nobodys_words() -> None:
    """A first try of an agent shall work, and harm nothing."""
    assert calls(ask('Use the exec tool to "rm notes.txt"', SHELL)) == [("exec", {"command": "example"})]


def test_no_tools_no_calls() -> None:
    """Without tools, or with ``tool_choice`` none, it only talks."""
    assert calls(ask("call get_weather")) == []
    assert calls(ask("call get_weather", WEATHER, tool_choice={"type": "none"})) == []


def test_server_tools_are_not_called() -> None:
    """The API's own tools aren't the client's to run."""
    assert calls(ask("use the tools", {"type": "web_search_20250305", "name": "web_search"})) == []


@pytest.mark.parametrize(
    ("choice", "name"), [({"type": "any"}, "get_weather"), ({"type": "tool", "name": "Read"}, "Read")]
)
def test_forced_call(choice: dict[str, Any], name: str) -> None:
    """A forced tool is called whatever was said."""
    assert [called for called, _ in calls(ask("hello", WEATHER, READ, tool_choice=choice))] == [name]


def test_forced_unknown_tool_is_not_called() -> None:
    """A lenient request may force a tool that isn't there."""
    assert compelled({"messages": [], "tool_choice": {"type": "tool", "name": "x"}}) is None


def test_forced_call_without_a_user() -> None:
    """A conversation without a user's turn still gets its call."""
    body = {"messages": [{"role": "assistant", "content": "x"}], "tools": [TIME], "tool_choice": {"type": "any"}}
    assert calls(answer(body)) == [("currentTime", {})]


def test_schema_gives_json() -> None:
    """A JSON schema is answered with JSON that satisfies it (C18)."""
    schema = {**CITY, "additionalProperties": False}
    reply = ask("Where is Lisbon?", output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(said(reply)) == {"city": "Lisbon"}


@pytest.mark.parametrize("system", ["One JSON object, please.", [{"type": "text", "text": "One JSON object, please."}]])
def test_a_json_object_is_answered_with_one(system: Any) -> None:
    """What the Chat dialect asks for on behalf of ``json_object`` is understood (C18)."""
    assert "simulator" in json.loads(said(ask("hi", system=system)))["answer"]


def results(*content: Any, **fields: Any) -> Reply:
    """The demo's reply to these tool results."""
    names = [f"t{index}" for index in range(len(content))]
    used = [{"type": "tool_use", "id": name, "name": "get_weather", "input": {}} for name in names]
    came = [
        {"type": "tool_result", "tool_use_id": name, "content": item, **fields}
        for name, item in zip(names, content, strict=True)
    ]
    messages = [
        {"role": "user", "content": "weather in Paris"},
        {"role": "assistant", "content": "Let me see."},
        {"role": "assistant", "content": used},
        {"role": "user", "content": came},
    ]
    return ask(None, WEATHER, messages=messages)


def test_summarises_results() -> None:
    """Results are told tool by tool, and no tool is called again."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lGODlh"}}
    reply = results("sunny", [{"type": "text", "text": "rain"}, image], "")
    assert "get_weather said sunny; get_weather said rain, one image (image/gif, 6 bytes); " in said(reply)
    assert said(reply).endswith("get_weather said nothing.")
    assert calls(reply) == []


def test_failed_result() -> None:
    """A failed call is told as failed."""
    assert "get_weather failed with no such city" in said(results("no such city", is_error=True))


@pytest.mark.parametrize(
    ("thinking", "shown"),
    [
        ({"type": "adaptive", "display": "summarized"}, True),
        ({"type": "enabled", "budget_tokens": 1024}, True),
        ({"type": "adaptive"}, False),
        ({"type": "disabled"}, False),
    ],
)
def test_thinks_where_it_is_seen(thinking: dict[str, Any], shown: bool) -> None:  # noqa: FBT001 - a test's parameter
    """It thinks first where the client would see it, with a signature that is taken again."""
    reply = ask("hi", thinking=thinking)
    assert (reply.blocks[0]["type"] == "thinking") is shown
    history = [{"role": "assistant", "content": list(reply.blocks)}, {"role": "user", "content": "and?"}]
    assert ask(None, messages=history).blocks
