"""The lines that go to a child."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli import control
from claude_proxy.framing import Lines

HOSTILE = ["@/etc/hostname", "/clear", "/compact", "!ls", "# note", "a\nb\r\nc", "\u2028", "\x00", "👩‍👩‍👧"]


def read(line: bytes) -> Any:
    """Read the one line that this must be."""
    assert line.endswith(b"\n")
    (only,) = Lines().feed(line)
    return json.loads(only)


def test_the_system_prompt_replaces_the_clis() -> None:
    """It goes as a list, which is what replaces and not appends."""
    line = read(control.initialize("r1", ["Be brief."], with_tools=False))
    assert line == {
        "type": "control_request",
        "request_id": "r1",
        "request": {"subtype": "initialize", "systemPrompt": ["Be brief."]},
    }


def test_without_a_system_prompt_the_clis_own_is_emptied() -> None:
    """No system prompt is an empty one, never the CLI's 26,000 characters."""
    assert read(control.initialize("r1", [], with_tools=False))["request"]["systemPrompt"] == [""]


def test_client_tools_are_announced_as_a_server() -> None:
    """The CLI then asks for the list, where it hasn't yet."""
    assert read(control.initialize("r1", [], with_tools=True))["request"]["sdkMcpServers"] == [control.SERVER]


def test_other_tools_are_told_as_the_tool_server_would() -> None:
    """A notification of the Model Context Protocol, which has no id of its own."""
    request = read(control.tools_changed("r1"))["request"]
    assert (request["subtype"], request["server_name"]) == ("mcp_message", control.SERVER)
    assert request["message"] == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


def test_settings_are_sent_whole() -> None:
    """A null is sent too: it takes back what the last turn set."""
    settings = {"env": {"A": "1"}, "effortLevel": None}
    request = read(control.apply_settings("r2", settings))["request"]
    assert request == {"subtype": "apply_flag_settings", "settings": settings}


def test_models_are_asked_for_without_initialising() -> None:
    """A blank child stays blank."""
    assert read(control.list_models("r3")) == {
        "type": "control_request",
        "request_id": "r3",
        "request": {"subtype": "list_models"},
    }


@pytest.mark.parametrize("ask", [True, False])
@pytest.mark.parametrize("text", HOSTILE)
def test_every_user_line_is_client_composed(text: str, ask: bool) -> None:  # noqa: FBT001  # the two cases
    """K04: no text of a request makes the CLI read a file or run a command, in history or in the last message."""
    line = read(control.user_message([{"type": "text", "text": text}], ask=ask))
    assert line["client_composed"] is True
    assert line["message"] == {"role": "user", "content": [{"type": "text", "text": text}]}


def test_history_does_not_ask_the_model() -> None:
    """Nothing goes upstream before the last message."""
    assert read(control.user_message([], ask=False))["shouldQuery"] is False


def test_the_last_message_asks_the_model() -> None:
    """It is the line without the switch."""
    assert "shouldQuery" not in read(control.user_message([], ask=True))


def test_an_assistants_turn_has_what_the_cli_needs_to_keep_thinking() -> None:
    """M03: without model, id and the rest the CLI drops signed thinking."""
    block = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    message = read(control.assistant_message("msg_1", "claude-sonnet-5-5", [block]))["message"]
    assert message["content"] == [block]
    assert {"id", "type", "role", "model", "stop_reason", "stop_sequence", "usage"} <= set(message)
    assert (message["model"], message["role"]) == ("claude-sonnet-5-5", "assistant")


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"type": "text", "text": "a"}, "end_turn"),
        ({"type": "tool_use", "id": "t", "name": "n", "input": {}}, "tool_use"),
    ],
)
def test_an_assistants_turn_ends_as_its_content_says(block: dict[str, Any], reason: str) -> None:
    """A turn with a call in it ended for the call."""
    assert read(control.assistant_message("m", "model", [block]))["message"]["stop_reason"] == reason


@pytest.mark.parametrize(("rpc_id", "sent"), [(7, 7), ("a", "a"), (0, 0), (None, 0)])
def test_an_mcp_request_is_answered_by_its_id(rpc_id: int | str | None, sent: int | str) -> None:
    """A notification has none, and the CLI waits for an answer all the same."""
    line = read(control.mcp_result("r9", rpc_id, {"tools": []}))
    assert line["type"] == "control_response"
    assert line["response"]["request_id"] == "r9"
    assert line["response"]["subtype"] == "success"
    assert line["response"]["response"] == {"mcp_response": {"jsonrpc": "2.0", "id": sent, "result": {"tools": []}}}


def test_what_is_not_served_is_refused() -> None:
    """A question without an answer would hang the child."""
    line = read(control.refuse("r4", "no"))
    assert line["response"] == {"subtype": "error", "request_id": "r4", "error": "no"}


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_one_line(text: str) -> None:
    """C36: no character of a text ends the line early or is changed."""
    line = control.user_message([{"type": "text", "text": text}], ask=True)
    assert line.count(b"\n") == 1
    assert read(line)["message"]["content"][0]["text"] == text


@pytest.mark.parametrize("detail", ["full", "summary"])
def test_the_size_of_the_conversation_is_asked_for(detail: str) -> None:
    """Counted by the upstream, or estimated by the CLI."""
    request = read(control.context_usage("r9", detail=detail))["request"]
    assert request == {"subtype": "get_context_usage", "detail": detail}
