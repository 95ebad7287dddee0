"""A child's lines, as signals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli.failures import Lost
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.claude_cli.signals import (
    Answered,
    HistoryTaken,
    LoopEnded,
    McpAsked,
    Refused,
    Signal,
    ToolCalled,
    ToolsListed,
    TurnFailed,
)
from claude_proxy.backends.claude_cli.turns import Turns
from claude_proxy.canon.blocks import Text
from claude_proxy.canon.events import BlockStart, BlockStop, Event, MessageDelta, MessageStart, MessageStop, TextDelta
from claude_proxy.canon.grammar import Grammar
from claude_proxy.errors import NotSignedIn, Overloaded, RateLimited, UpstreamError
from claude_proxy.framing import Lines

SESSION = {"session_id": "00000000-0000-0000-0000-000000000000", "uuid": "00000000-0000-0000-0000-000000000001"}
MODEL = "claude-sonnet-5-5"


def line(kind: str, **fields: Any) -> bytes:
    """Give a line as the CLI writes it, with the fields that all of them have."""
    return json.dumps({"type": kind, **fields, **SESSION}, ensure_ascii=False).encode()


def event(kind: str, parent: str | None = None, **fields: Any) -> bytes:
    """Give a line that carries an event of the upstream's."""
    return line("stream_event", event={"type": kind, **fields}, parent_tool_use_id=parent, ttft_ms=40)


def result(**fields: Any) -> bytes:
    """Give the line that ends a message's work."""
    usage = {MODEL: {"inputTokens": 5, "contextWindow": 1_000_000, "maxOutputTokens": 128_000}}
    good = {"subtype": "success", "is_error": False, "api_error_status": None, "result": "Hi", "modelUsage": usage}
    return line("result", **{**good, **fields})


def failed(status: int | None, text: str) -> bytes:
    """Give the line that ends a message's work badly: it still calls itself a success."""
    return result(is_error=True, api_error_status=status, result=text, modelUsage={})


def asked_by_child(request_id: str, message: Any, subtype: str = "mcp_message") -> bytes:
    """Give a question of the child's."""
    request = {"subtype": subtype, "server_name": "client", "message": message}
    return line("control_request", request_id=request_id, request=request)


def start(number: int = 1) -> bytes:
    """Give the reply's beginning."""
    message = {"id": f"msg_{number}", "model": MODEL, "content": [], "usage": {"input_tokens": 5, "output_tokens": 1}}
    return event("message_start", message=message)


def delta(text: str, index: int = 0) -> bytes:
    """Give a piece of text."""
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def end(reason: str | None = "end_turn") -> bytes:
    """Give the line that says how the reply ended."""
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 9})


OPEN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
CLOSE = event("content_block_stop", index=0)
STOP = event("message_stop")
ECHO = line(
    "assistant",
    message={"id": "msg_1", "role": "assistant", "content": [{"type": "text", "text": "Hi"}], "stop_reason": None},
    parent_tool_use_id=None,
    request_id="req_1",
)
REPLY = [start(), OPEN, delta("H"), delta("i 👋"), ECHO, CLOSE, end(), STOP]
RECORDED = [
    asked_by_child("q0", {"method": "initialize", "params": {"protocolVersion": "2025-11-25"}, "id": 0}),
    line("control_response", response={"subtype": "success", "request_id": "r1", "response": {"models": []}}),
    asked_by_child("q1", {"jsonrpc": "2.0", "method": "notifications/initialized"}),
    asked_by_child("q2", {"method": "tools/list", "jsonrpc": "2.0", "id": 1}),
    line("control_response", response={"subtype": "success", "request_id": "r2"}),
    line("system", subtype="init", tools=["get_weather"], mcp_servers=[{"name": "client"}], model=MODEL),
    line("system", subtype="status", status="requesting", event="requesting"),
    *REPLY,
    line("rate_limit_event", rate_limit_info={"status": "allowed", "isUsingOverage": False}),
    result(),
]
EVENTS = [
    MessageStart,
    BlockStart,
    TextDelta,
    TextDelta,
    BlockStop,
    MessageDelta,
    MessageStop,
]


def asking() -> Turns:
    """Give a child's turns with one under way."""
    turns = Turns()
    turns.ask()
    return turns


def feed(turns: Turns, *lines: bytes) -> list[Signal]:
    """Give the signals of several lines."""
    return [sign for one in lines for sign in turns.feed(one)]


def events(signs: list[Signal]) -> list[type]:
    """Give the types of the reply's events among signals."""
    return [type(sign) for sign in signs if isinstance(sign, Event)]


def broken_by(signs: list[Signal]) -> Exception:
    """Give the error of the one failure there must be among signals."""
    (error,) = [sign.error for sign in signs if isinstance(sign, TurnFailed)]
    return error


# -- a reply ----------------------------------------------------------------------------------------------------------


def test_a_reply_comes_through_as_the_upstream_sent_it() -> None:
    """C36: each event once, text unchanged, the echo of the block dropped."""
    signs = feed(asking(), *REPLY)
    assert [type(sign) for sign in signs] == EVENTS
    assert [sign.text for sign in signs if isinstance(sign, TextDelta)] == ["H", "i 👋"]
    assert signs[1] == BlockStart(index=0, block=Text(text=""))


def test_a_turn_is_under_way_until_message_stop() -> None:
    """K06: not until the result, which comes later."""
    turns = asking()
    assert turns.active
    feed(turns, *REPLY[:-1])
    assert turns.active
    feed(turns, STOP)
    assert not turns.active


def test_what_comes_after_message_stop_is_dropped() -> None:
    """K06: after ``max_tokens`` the CLI goes on by itself, and its text is no part of the reply."""
    turns = asking()
    feed(turns, start(), OPEN, delta("cut"), CLOSE, end("max_tokens"), STOP)
    assert feed(turns, start(2), OPEN, delta("more"), CLOSE, end(), STOP) == []


def test_a_second_sample_is_never_joined() -> None:
    """K07: a new beginning inside a reply ends it as a failure, and nothing of the new one gets through."""
    turns = asking()
    signs = feed(turns, start(), OPEN, delta("first"), CLOSE, start(2), OPEN, delta("second"), CLOSE, end(), STOP)
    assert isinstance(signs[-1], TurnFailed)
    assert isinstance(signs[-1].error, UpstreamError)
    assert [sign.text for sign in signs if isinstance(sign, TextDelta)] == ["first"]


def test_a_whole_text_without_deltas_is_no_reply() -> None:
    """K07: the CLI's own second try comes as one ``assistant`` line, and the first one's pieces stay broken."""
    signs = feed(asking(), start(), OPEN, delta("fir"), ECHO, result())
    assert events(signs) == [MessageStart, BlockStart, TextDelta]
    assert isinstance(broken_by(signs), UpstreamError)


def test_a_stream_that_the_cli_closed_over_a_broken_connection_is_broken() -> None:
    """K07: it sends every closing event, but without a reason to stop."""
    lost = failed(None, "API Error: Connection to the API was lost (ECONNRESET). This is usually temporary.")
    signs = feed(asking(), start(), OPEN, delta("fir"), CLOSE, end(None), STOP, lost)
    assert events(signs) == [MessageStart, BlockStart, TextDelta, BlockStop]
    assert isinstance(broken_by(signs), Lost)


def test_an_error_event_fails_the_turn() -> None:
    """C35: with the upstream's own kind."""
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    signs = feed(asking(), start(), error, OPEN)
    assert isinstance(broken_by(signs), Overloaded)
    assert events(signs) == [MessageStart]


@pytest.mark.parametrize(
    "raw",
    [
        event("content_block_start", index=0),
        event("content_block_delta", index=0, delta=5),
        event("message_delta", delta=[]),
        b'{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"\xff"}}}',
        b'{"type":"stream_event","event":5}',
        b'{"type":"stream_event"}',
    ],
)
def test_an_event_that_cannot_be_read_fails_the_turn(raw: bytes) -> None:
    """A piece of a reply is never left out in silence."""
    assert isinstance(broken_by(feed(asking(), start(), raw)), UpstreamError)


def test_an_event_of_a_new_type_is_left_out() -> None:
    """The API may add some, and says that clients should ignore them."""
    assert feed(asking(), event("message_note", text="x")) == []


@pytest.mark.parametrize("raw", [event("message_start", "toolu_1", message={}), event("ping", "toolu_1")])
def test_a_sub_agents_events_are_dropped(raw: bytes) -> None:
    """They are no part of the reply."""
    assert feed(asking(), raw) == []


def test_events_that_nobody_asked_for_are_dropped() -> None:
    """Before the first turn there is no reply."""
    assert feed(Turns(), *REPLY) == []


def test_events_that_nobody_waits_for_any_more_are_dropped() -> None:
    """K08: the client went away."""
    turns = asking()
    feed(turns, start())
    turns.give_up()
    assert not turns.active
    assert feed(turns, OPEN, delta("x")) == []


def test_tool_results_begin_a_new_reply() -> None:
    """K05: the same message's work goes on, with events from the beginning."""
    turns = asking()
    feed(turns, *REPLY)
    turns.resume()
    assert turns.active
    signs = feed(turns, start(2), OPEN, CLOSE, end(), STOP, result())
    assert events(signs) == [MessageStart, BlockStart, BlockStop, MessageDelta, MessageStop]
    assert isinstance(signs[-1], LoopEnded)


# -- results ----------------------------------------------------------------------------------------------------------


def test_a_result_tells_the_models_sizes() -> None:
    """L01: by exact id."""
    signs = feed(asking(), *REPLY, result())
    assert signs[-1] == LoopEnded(failed=False, max_output_tokens={MODEL: 128_000}, context_window={MODEL: 1_000_000})


@pytest.mark.parametrize("usage", [None, [], {MODEL: None}, {MODEL: {"maxOutputTokens": "many"}}])
def test_sizes_that_are_not_told_are_not_made_up(usage: Any) -> None:
    """Older versions don't tell them."""
    turns = asking()
    feed(turns, *REPLY)
    assert turns.feed(result(modelUsage=usage)) == [LoopEnded(failed=False, max_output_tokens={}, context_window={})]


def test_an_api_error_fails_the_turn_though_it_calls_itself_a_success() -> None:
    """K10: the status is the upstream's."""
    signs = feed(asking(), failed(529, "API Error: Overloaded"))
    assert isinstance(broken_by(signs), Overloaded)
    assert signs[-1] == LoopEnded(failed=True, max_output_tokens={}, context_window={})


def test_the_kind_of_a_failure_comes_before_it() -> None:
    """K10: what the CLI says in words alone is told apart by its ``assistant`` line."""
    note = line("assistant", message={}, error="authentication_failed", parent_tool_use_id=None)
    assert isinstance(broken_by(feed(asking(), note, failed(None, "Something"))), NotSignedIn)


def test_the_kind_of_a_failure_is_that_turns_alone() -> None:
    """The next failure has its own."""
    turns = asking()
    note = line("assistant", message={}, error="authentication_failed", parent_tool_use_id=None)
    feed(turns, note, failed(None, "Something"))
    turns.ask()
    assert type(broken_by(feed(turns, failed(None, "Something")))) is UpstreamError


@pytest.mark.parametrize("fields", [{"error": None}, {"error": 5}, {"error": "x", "parent_tool_use_id": "toolu_1"}])
def test_an_assistant_line_without_a_failure_breaks_nothing(fields: dict[str, Any]) -> None:
    """Nor does one of a sub-agent."""
    note = line("assistant", **{"message": {}, "parent_tool_use_id": None, **fields})
    assert events(feed(asking(), start(), note, *REPLY[1:])) == EVENTS


def test_the_plans_limit_says_when_it_ends() -> None:
    """K10: from the report that comes before the failure."""
    info = {"status": "rejected", "resetsAt": 1795500000, "rateLimitType": "five_hour"}
    turns = asking()
    signs = feed(turns, line("rate_limit_event", rate_limit_info=info), failed(429, "You've hit your 5-hour limit"))
    error = broken_by(signs)
    assert isinstance(error, RateLimited)
    assert error.reset_at == 1795500000.0
    assert signs[0] == turns.limits == Limits("rejected", 1795500000.0, "five_hour")


@pytest.mark.parametrize("status", ["429", [], 4.5])
def test_a_failure_with_an_odd_status_is_one_all_the_same(status: Any) -> None:
    """The turn must not wait for another line that never comes."""
    fields = {"is_error": "yes", "api_error_status": status, "result": "broken"}
    assert type(broken_by(feed(asking(), result(**fields)))) is UpstreamError


@pytest.mark.parametrize("text", [None, 5, ""])
def test_a_failure_without_words_is_one_all_the_same(text: Any) -> None:
    """C35: never a clean end."""
    assert isinstance(broken_by(feed(asking(), result(is_error=True, result=text))), UpstreamError)


def test_a_result_before_the_reply_is_complete_is_a_failure() -> None:
    """C35: whatever it says of itself."""
    signs = feed(asking(), start(), OPEN, result())
    assert isinstance(broken_by(signs), UpstreamError)
    assert isinstance(signs[-1], LoopEnded)
    assert signs[-1].failed


def test_a_refusal_is_a_whole_reply_whatever_the_cli_says_about_it() -> None:
    """C30: its own words, as an ``assistant`` line with an error, come before the upstream's end of the reply."""
    words = {"model": "<synthetic>", "stop_reason": "refusal", "content": [{"type": "text", "text": "Try another."}]}
    note = line("assistant", message=words, error="invalid_request", parent_tool_use_id=None)
    *_, last, stop = feed(asking(), *REPLY[:-2], note, end("refusal"), STOP)
    assert isinstance(last, MessageDelta)
    assert (last.stop_reason, stop) == ("refusal", MessageStop())


def test_a_late_failure_spoils_the_child_and_not_the_reply() -> None:
    """The reply was complete."""
    turns = asking()
    feed(turns, *REPLY)
    assert turns.feed(failed(500, "x")) == [LoopEnded(failed=True, max_output_tokens={}, context_window={})]


def test_a_late_failure_is_not_charged_to_the_next_turn() -> None:
    """Each user message has one result, in order."""
    turns = asking()
    feed(turns, *REPLY)
    turns.ask()
    signs = feed(turns, failed(500, "x"), start(2), OPEN, CLOSE, end(), STOP, result())
    assert [type(sign) for sign in signs] == [
        LoopEnded, MessageStart, BlockStart, BlockStop, MessageDelta, MessageStop, LoopEnded,
    ]  # fmt: skip


def test_history_is_taken_message_by_message() -> None:
    """K01: and nothing of it is a reply."""
    turns = Turns()
    turns.inject()
    turns.inject()
    assert not turns.active
    assert feed(turns, result(), failed(None, "Prompt is too long"))[0] == HistoryTaken(None)


def test_history_that_is_refused_says_why() -> None:
    """Before anything is asked."""
    turns = Turns()
    turns.inject()
    (taken,) = turns.feed(failed(None, "Prompt is too long"))
    assert isinstance(taken, HistoryTaken)
    assert taken.error is not None
    assert taken.error.code == "context_length_exceeded"


def test_a_result_that_belongs_to_nothing_is_no_failed_turn() -> None:
    """None was asked."""
    assert feed(Turns(), result()) == [HistoryTaken(None)]


# -- questions and answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "signal"),
    [
        ({"subtype": "success", "request_id": "r1", "response": {"a": 1}}, Answered("r1", {"a": 1}, None)),
        ({"subtype": "success", "request_id": "r1"}, Answered("r1", {}, None)),
        ({"subtype": "error", "request_id": "r1", "error": "no"}, Answered("r1", {}, "no")),
        ({"subtype": "error", "request_id": "r1"}, Answered("r1", {}, "refused without a reason")),
    ],
)
def test_answers_are_told_by_their_id(response: dict[str, Any], signal: Answered) -> None:
    """With what was answered, or why not."""
    assert Turns().feed(line("control_response", response=response)) == [signal]


def test_the_childs_mcp_questions_are_handed_on() -> None:
    """They come from the moment of its start."""
    params = {"protocolVersion": "2025-11-25"}
    assert feed(Turns(), *RECORDED[:4:2], RECORDED[3]) == [
        McpAsked("q0", "initialize", 0, params),
        McpAsked("q1", "notifications/initialized", None, {}),
        McpAsked("q2", "tools/list", 1, {}),
    ]


@pytest.mark.parametrize(
    ("params", "call_id"),
    [
        ({"name": "get_weather", "_meta": {"claudecode/toolUseId": "toolu_1"}}, "toolu_1"),
        ({"name": "get_weather", "_meta": {"progressToken": 1}}, ""),
        ({"name": "get_weather", "_meta": 5}, ""),
        ({}, ""),
    ],
)
def test_a_tool_call_is_told_by_its_tool_use(params: dict[str, Any], call_id: str) -> None:
    """K05: what its result will be matched by. It may come before ``message_stop``."""
    question = asked_by_child("q5", {"method": "tools/call", "id": 4, "params": params})
    assert asking().feed(question) == [ToolCalled("q5", 4, call_id)]


@pytest.mark.parametrize(
    ("subtype", "message"), [("can_use_tool", None), ("hook_callback", None), ("elicitation", "Your name?")]
)
def test_what_is_not_served_is_to_be_refused(subtype: str, message: str | None) -> None:
    """Whatever its other fields are: an open question would hang the child."""
    assert Turns().feed(asked_by_child("q6", message, subtype)) == [Refused("q6", subtype)]


def test_the_tools_that_the_model_really_has_are_told() -> None:
    """K12: so that one that was dropped is noticed."""
    assert Turns().feed(RECORDED[5]) == [ToolsListed(frozenset({"get_weather"}))]


def test_no_tools_are_told_as_none() -> None:
    """Where the line doesn't name any."""
    assert Turns().feed(line("system", subtype="init")) == [ToolsListed(frozenset())]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Warning: something",
        b"[]",
        b"null",
        b'{"type": 5}',
        b'{"type": "\xff"}',
        b'{"type": "control_request", "request": {"subtype": "mcp_message", "message": "x"}}',
        b'{"type": "control_response"}',
        b'{"type": "system", "subtype": "init", "tools": "all"}',
        b'{"type": "rate_limit_event", "rate_limit_info": {"\xff": 1}}',
        b'{"type": "result", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        line("tool_progress", tool_use_id="toolu_1", elapsed_time_seconds=30),
        line("system", subtype="status", event="a string"),
        line("control_cancel_request", request_id="q5"),
        line("something_new", event={"type": "message_stop"}),
    ],
)
def test_a_line_that_is_not_ours_to_understand_says_nothing(raw: bytes) -> None:
    """Unknown types and broken lines are ignored, not fatal."""
    turns = asking()
    assert turns.feed(raw) == []
    assert turns.active


# -- whatever comes ---------------------------------------------------------------------------------------------------

RECORDED_SIGNALS = feed(asking(), *RECORDED)
FAILED = failed(529, "API Error: Overloaded")
POOL = [
    *RECORDED,
    FAILED,
    start(2),
    end(None),
    end("tool_use"),
    event("error", error={"type": "api_error"}),
    event("ping"),
    delta("far", index=7),
    line("assistant", message={}, error="server_error", parent_tool_use_id=None),
    asked_by_child("q7", {"method": "tools/call", "id": 2, "params": {"_meta": {"claudecode/toolUseId": "t"}}}),
]
CUT = st.sampled_from(POOL).flatmap(lambda raw: st.integers(0, len(raw)).map(lambda at: raw[:at]))
MANGLED = st.tuples(st.sampled_from(POOL), st.integers(0, 400), st.binary(max_size=3)).map(
    lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + 1 :]
)
STEPS = st.lists(
    st.sampled_from(POOL)
    | st.sampled_from(["ask", "inject", "resume", "give_up"])
    | CUT
    | MANGLED
    | st.binary(max_size=9),
    max_size=50,
)


def test_the_recorded_stream_gives_the_whole_turn() -> None:
    """What the next test compares with."""
    assert events(RECORDED_SIGNALS) == EVENTS
    assert [type(sign) for sign in RECORDED_SIGNALS[-2:]] == [Limits, LoopEnded]


def test_a_recorded_stream_split_anywhere_gives_equal_signals() -> None:
    """A pipe cuts where it likes, in the middle of an emoji too."""
    stream = b"".join(raw + b"\n" for raw in RECORDED)
    assert "👋".encode() in stream
    for at in range(len(stream) + 1):
        lines, turns = Lines(), asking()
        assert feed(turns, *lines.feed(stream[:at]), *lines.feed(stream[at:])) == RECORDED_SIGNALS


@given(STEPS)
def test_whatever_comes_nothing_is_raised_and_each_reply_is_legal(steps: list[bytes | str]) -> None:
    """K06, K07: lines in any order, cut, doubled or mangled: no event after a turn's end, none out of order."""
    turns, grammar, ended = Turns(), Grammar(), True
    for step in steps:
        if isinstance(step, str):
            getattr(turns, step)()
            if step in {"ask", "resume"}:
                grammar, ended = Grammar(), False
            continue
        for sign in turns.feed(step):
            if isinstance(sign, Event):
                assert not ended
                grammar.check(sign)
                ended = type(sign) is MessageStop
            elif isinstance(sign, TurnFailed):
                assert not ended
                ended = True


@given(st.lists(st.sampled_from(RECORDED), max_size=30))
def test_a_turn_has_at_most_one_end(lines: list[bytes]) -> None:
    """K06: either ``message_stop`` or a failure, once."""
    signs = feed(asking(), *lines, FAILED, *REPLY)
    assert sum(isinstance(sign, MessageStop | TurnFailed) for sign in signs) == 1
