"""A Messages request as a whole: what is obligatory, what wrong types are told as, what is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from messages_asking import HI, ask, assistant, body, call, refused, result, said, system, tool, user

from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.errors import BadRequest


def without(name: str) -> bytes:
    """Give a request's body that lacks a field."""
    fields = json.loads(body())
    del fields[name]
    return json.dumps(fields).encode()


@pytest.mark.parametrize("name", ["max_tokens", "messages"])
def test_what_the_api_demands_is_demanded(name: str) -> None:
    """In the API's own words."""
    with pytest.raises(BadRequest, match=f"^{name}: Field required$") as raised:
        MESSAGES.parse(without(name))
    assert raised.value.param == name


def test_a_request_that_names_no_model_leaves_it_to_the_config() -> None:
    """The API wants one; here `default-model` is what is meant, whichever API a client speaks."""
    assert MESSAGES.parse(without("model")).request.model == ""


def test_counting_needs_no_max_tokens() -> None:
    """All else of a request whose tokens are counted is read as ever."""
    parsed = MESSAGES.parse_count(without("max_tokens"))
    assert parsed.request.max_tokens is None
    assert parsed.request == ask().request.__class__(model="sonnet", messages=ask().request.messages)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"model": 3}, "model: Input should be a valid string"),
        ({"messages": "hi"}, "messages: Input should be a valid list"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [3]}, "messages.0: Input should be a valid dictionary"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content: Input should be a valid list"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        ),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
        ({"temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"temperature": 1.1}, "temperature: range: 0..1"),
        ({"top_p": -0.1}, "top_p: range: 0..1"),
        ({"top_k": -1}, "top_k: Input should be greater than or equal to 0"),
        ({"stop_sequences": ["END", " "]}, "stop_sequences: each stop sequence must contain non-whitespace"),
        ({"stop_sequences": ["END", 1]}, "stop_sequences.1: Input should be a valid string"),
        ({"stream": "yes"}, "stream: Input should be a valid boolean"),
        ({"system": 1}, "system: Input should be a valid list"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id: Input should be a valid string"),
    ],
)
def test_what_is_wrong_is_told_as_the_api_tells_it(fields: dict[str, Any], told: str) -> None:
    """The path, then what should be there."""
    error = refused(**fields)
    assert error.message == told
    assert error.param == told.partition(": ")[0]


def test_parameters_arrive() -> None:
    """Each in its place; a stop sequence counts once; top_k 0 asks for nothing."""
    request = ask(
        max_tokens=7,
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        stop_sequences=["a", "b", "a"],
        metadata={"user_id": '{"a":1}'},
    ).request
    assert (request.max_tokens, request.temperature, request.top_p, request.top_k) == (7, 0.5, 0.9, 5)
    assert request.stop_sequences == ("a", "b")
    assert request.user_id == '{"a":1}'
    assert ask(top_k=0, metadata={"user_id": None}).request == ask().request


def test_stream_is_asked_for() -> None:
    """Or not."""
    assert (ask(stream=True).stream, ask(stream=False).stream, ask(stream=None).stream) == (True, False, False)


@pytest.mark.parametrize(
    ("fields", "losses"),
    [
        ({"never_heard_of": 1, "nor_of_this": None, "empty": [], "zero": 0}, ("never_heard_of", "zero")),
        ({"service_tier": "standard_only", "cache_control": {"type": "ephemeral"}, "betas": ["x"]}, ()),
        ({"diagnostics": {"previous_message_id": "m"}, "billing_policy": "x", "fallback_credit_token": "x"}, ()),
        ({"speed": "standard", "inference_geo": "global"}, ()),
        ({"speed": "fast", "inference_geo": "us"}, ("speed", "inference_geo")),
        (
            {"container": "c", "mcp_servers": [{"url": "x"}], "fallbacks": ["haiku"]},
            ("container", "mcp_servers", "fallbacks"),
        ),
        ({"container": None, "mcp_servers": []}, ()),
        ({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}, ()),
        ({"context_management": {"edits": []}}, ()),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, ("context_management",)),
        ({"context_management": {"edits": ["x"]}}, ("context_management",)),
        ({"context_management": {"edits": "x"}}, ("context_management",)),
        ({"context_management": {"edits": [], "more": 1}}, ("context_management",)),
        ({"context_management": "x"}, ("context_management",)),
        ({"metadata": {"user_id": "u", "trace": "t"}}, ("metadata.trace",)),
        ({"output_config": {"effort": "low", "task_budget": {"total": 1}}}, ("output_config.task_budget",)),
        ({"thinking": {"type": "adaptive", "more": 1}}, ("thinking.more",)),
    ],
)
def test_what_changes_the_answer_is_named_as_lost(fields: dict[str, Any], losses: tuple[str, ...]) -> None:
    """And what doesn't change it isn't."""
    assert ask(**fields).losses == losses


def test_losses_are_named_once() -> None:
    """However often the field stands in the request."""
    parsed = ask({**HI, "id": 1}, {"role": "assistant", "content": "a", "id": 2}, {**HI, "id": 3})
    assert parsed.losses == ("messages.id",)


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
def test_m08_threads_are_refused_so_that_the_history_is_sent(thread: dict[str, Any]) -> None:
    """M08: the error's details say what the SDKs look for."""
    error = refused(thread=thread)
    assert error.param == "thread"
    told = json.loads(MESSAGES.error(error, "req_1"))["error"]
    assert (told["type"], told["details"]) == ("invalid_request_error", {"error_code": "thread_unsupported_request"})


def test_m08_no_thread_is_no_thread() -> None:
    """M08: null says that none is wanted."""
    assert ask(thread=None).losses == ()


def test_m09_what_claude_code_sends_is_understood() -> None:
    """M09: system blocks, system messages, thinking, effort, a deferred tool and its metadata; nothing gets lost."""
    parsed = ask(
        user(said("hi", cache_control={"type": "ephemeral"})),
        system("Be quick."),
        assistant({"type": "thinking", "thinking": "", "signature": "c2ln"}, call("toolu_1")),
        user(result("toolu_1", content="ok"), said("go on")),
        model="claude-opus-5",
        system=[said("You are"), said("Claude Code", cache_control={"type": "ephemeral", "ttl": "1h"}), said("here")],
        tools=[tool("f"), tool("g", defer_loading=True, eager_input_streaming=True)],
        thinking={"type": "adaptive", "display": "summarized"},
        output_config={"effort": "high"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        metadata={"user_id": '{"device_id":"d","session_id":"s"}'},
        stream=True,
    )
    request = parsed.request
    assert parsed.losses == ()
    assert [block.text for block in request.system] == ["You are", "Claude Code", "here", "Be quick."]
    assert request.system[1].cache_control == {"type": "ephemeral", "ttl": "1h"}
    assert request.tools[1].extra == {"defer_loading": True, "eager_input_streaming": True}
    assert (request.reasoning.mode, request.reasoning.effort, request.reasoning.visible) == ("on", "high", True)
    assert request.user_id == '{"device_id":"d","session_id":"s"}'
