"""C39: what clients send that the tests can't run is answered: the shapes of their requests, in words of our own."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from demo_server import demonstrating

ANSWER = "I'm the built-in simulator of claude-proxy"
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one server for all; give its address."""
    with demonstrating(tmp_path_factory.mktemp("server")) as base_url:
        yield base_url


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    """Give a message."""
    return {"role": role, "content": content, **more}


def tool(name: str, **more: Any) -> dict[str, Any]:
    """Give a function with one string, ``path``."""
    schema = {"type": "object", "required": ["path"], "properties": {"path": {"type": "string", "description": "Path"}}}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema, **more}}


def call(call_id: str, name: str) -> dict[str, Any]:
    """Give an assistant's call of a tool."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": '{"path":"a.txt"}'}}


@dataclass(frozen=True)
class Shape:
    """A request as a client builds it, and what of it the model can't be told."""

    client: str
    body: dict[str, Any]
    lost: str | None = None


SHAPES = [
    Shape(
        "llm", {"messages": [said("system", "Be brief.\n"), said("user", "Hello")], "temperature": 0.6}, "temperature"
    ),
    Shape("llm with a tool", {"messages": [said("user", "Hello")], "tools": [tool("read")]}),
    Shape("gptel", {"messages": [said("system", "You live in Emacs."), said("user", "Hello")], **STREAMED}),
    Shape(
        "aider",
        {
            "messages": [
                said("system", "You edit files."),
                said("user", "Change the greeting"),
                said("assistant", "Ok, I will.\n\nhello.py\n<<<<<<< SEARCH\nhi\n=======\nhey\n>>>>>>> REPLACE\n"),
                said("user", "That was another code base."),
                said("assistant", "Ok."),
                said("user", "Hello"),
            ],
            "stream": True,
            "temperature": 0,
        },
        "temperature",
    ),
    Shape(
        "Continue",
        {"messages": [said("system", "You are an agent."), said("user", "Hello")], "tools": [tool("Read")], **STREAMED},
    ),
    Shape(  # It takes the underscores out of our calls' ids, and sends them back so.
        "OpenClaw",
        {
            "messages": [
                said("system", "You are an assistant."),
                said("user", "[Wed 2026-01-07 10:00 UTC] Hello"),
                said("assistant", "Let me look.", tool_calls=[call("toolu01a", "read"), call("toolu01b", "read")]),
                said("tool", "first", tool_call_id="toolu01a"),
                said("tool", "second", tool_call_id="toolu01b"),
                said("user", [{"type": "text", "text": "<<<CONTEXT>>>"}]),
            ],
            "tools": [tool("read"), tool("edit")],
            "tool_choice": "auto",
            "max_completion_tokens": 32000,
            **STREAMED,
        },
    ),
    Shape(
        "Cursor, asking",
        {
            "messages": [said("system", "You are in an editor."), said("user", [{"type": "text", "text": "Hello"}])],
            "tools": [tool("read_file", strict=False)],
            "tool_choice": "auto",
            "temperature": 0,
            "user": "someone|1",
            **STREAMED,
        },
        "temperature, user",
    ),
]


def post(base_url: str, body: dict[str, Any]) -> tuple[int, str | None, str]:
    """Send a chat completion; give its status, what was lost, and its body."""
    request = urllib.request.Request(
        f"{base_url}/v1/chat/completions",
        json.dumps({"model": "sonnet", **body}).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer unused"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.headers["x-claude-proxy-lost"], reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, None, error.read().decode()


def told(text: str) -> str:
    """Give the answer's text, streamed or not."""
    if not text.startswith("data:"):
        return str(json.loads(text)["choices"][0]["message"]["content"])
    *events, end = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert end == "[DONE]"
    deltas = [choice["delta"] for event in events for choice in json.loads(event)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.client)
def test_c39_a_clients_request_is_answered(shape: Shape, demo: str) -> None:
    """C39: with an answer, and with what is lost named; the page says what that is."""
    status, lost, text = post(demo, shape.body)

    assert (status, lost) == (200, shape.lost), text
    assert ANSWER in told(text)


def test_c39_the_other_body_that_cursor_sends_is_refused_with_its_reason(demo: str) -> None:
    """C39: its Agent mode sends what is meant for Responses; the page says that it doesn't work."""
    flat = {"type": "function", "name": "read_file", "parameters": {"type": "object", "properties": {}}}
    status, _, text = post(demo, {"input": [said("user", "Hello")], "tools": [flat], "stream": True})

    assert (status, json.loads(text)["error"]["param"]) == (400, "messages")
