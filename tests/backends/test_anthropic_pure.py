"""What the Anthropic backend decides without asking anybody: bodies, marks, lists, and how a stream ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.anthropic import headers
from claude_proxy.backends.anthropic.caching import legal
from claude_proxy.backends.anthropic.knowledge import Knowledge
from claude_proxy.backends.anthropic.listing import parse
from claude_proxy.backends.anthropic.reply import Reply
from claude_proxy.backends.anthropic.request import render
from claude_proxy.backends.anthropic.watch import Watch
from claude_proxy.backends.base import Model
from claude_proxy.backends.parameters import Abilities
from claude_proxy.canon.blocks import Json, Opaque, Text, Thinking, ToolResult, ToolUse
from claude_proxy.canon.events import MessageStart
from claude_proxy.canon.request import Message, Reasoning, Request, Tool, ToolChoice
from claude_proxy.errors import BadRequest, Overloaded, ProxyError, UpstreamError
from claude_proxy.framing import sse_event
from claude_proxy.simulator.validate.caching import check_cache_marks

USER = Message(role="user", content=(Text(text="hi"),))
FIVE: Json = {"type": "ephemeral"}
HOUR: Json = {"type": "ephemeral", "ttl": "1h"}


def rendered(abilities: Abilities = Abilities(), **fields: Any) -> tuple[Json, tuple[str, ...]]:  # noqa: B008  # frozen
    """Give the body for a request, and what is lost."""
    asked = {"model": "m", "messages": (USER,), **fields}
    sent = render(Request(**asked), abilities)
    return json.loads(sent.body), sent.losses


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_a_plain_request_is_a_plain_body() -> None:
    """M02: nothing is sent that nobody asked for, but what the API must have."""
    body, losses = rendered(Abilities(max_output=9000))
    messages = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    assert body == {"model": "m", "max_tokens": 9000, "stream": True, "messages": messages}
    assert losses == ()


def test_everything_arrives() -> None:
    """M02: system, tools with what only this upstream knows, choice, stop sequences, format, user."""
    body, losses = rendered(
        system=(Text(text="s", cache_control=HOUR),),
        tools=(Tool(name="t", description="d", extra={"strict": True}), Tool(name="u")),
        tool_choice=ToolChoice(type="any", disable_parallel_tool_use=True),
        stop_sequences=("X",),
        output_schema={"type": "object"},
        user_id="u",
        max_tokens=5,
        temperature=0.5,
    )
    assert losses == ()
    assert body["system"] == [{"type": "text", "text": "s", "cache_control": HOUR}]
    empty = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {"name": "t", "description": "d", "input_schema": empty, "strict": True},
        {"name": "u", "input_schema": empty},
    ]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert (body["metadata"], body["stop_sequences"], body["max_tokens"]) == ({"user_id": "u"}, ["X"], 5)


def test_effort_and_format_share_their_place() -> None:
    """C14, C18: neither overwrites the other."""
    body, _ = rendered(output_schema={"type": "object"}, reasoning=Reasoning(mode="on", effort="low"))
    assert body["output_config"]["effort"] == "low"
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert body["thinking"] == {"type": "adaptive"}


def test_too_large_a_max_tokens_is_lowered_and_named() -> None:
    """C39: what the model gives at most."""
    body, losses = rendered(Abilities(max_output=100), max_tokens=101)
    assert (body["max_tokens"], losses) == (100, ("max_tokens",))


def test_a_forced_tool_of_a_model_that_refuses_it_is_said_in_words() -> None:
    """C09b: behind the client's own system prompt."""
    body, losses = rendered(
        Abilities(thinking_off=False), tools=(Tool(name="t"),), tool_choice=ToolChoice(type="tool", name="t")
    )
    assert "`t`" in body["system"][-1]["text"]
    assert losses == ("tool_choice",)


def test_thoughts_go_back_as_they_came_and_foreign_ones_do_not() -> None:
    """M03, R04: the signature proves whose they are; a message of nothing else is left out."""
    own = Thinking(thinking="a", signature="s")
    messages = (
        USER,
        Message(role="assistant", content=(own, Thinking(thinking="b"))),
        Message(role="assistant", content=(Thinking(thinking="c"),)),
        USER,
    )
    body, losses = rendered(messages=messages)
    assert [message["content"] for message in body["messages"]][1:2] == [
        [{"type": "thinking", "thinking": "a", "signature": "s"}]
    ]
    assert len(body["messages"]) == 3
    assert losses == ("thinking",)


def test_counting_asks_for_no_reply() -> None:
    """M05: the endpoint refuses what only a reply needs."""
    sent = render(Request(model="m", messages=(USER,), temperature=0.5, user_id="u"), Abilities(), counting=True)
    assert set(json.loads(sent.body)) == {"model", "messages"}


# -- cache marks -------------------------------------------------------------------------------------------------------

MARK = st.sampled_from([None, FIVE, HOUR])


@given(st.lists(MARK, max_size=4), st.lists(MARK, max_size=3), st.lists(MARK, max_size=6))
def test_cache_marks_are_always_legal(tools: list[Any], system: list[Any], said: list[Any]) -> None:
    """C20: four at most, none of an hour after one of five minutes, and what is legal stays as it is."""
    inner = Opaque({"type": "x", "cache_control": FIVE})
    messages = [Message(role="user", content=(Text(text="t", cache_control=mark),)) for mark in said]
    messages.append(Message(role="user", content=(ToolResult(tool_use_id="i", content=(inner,)),)))
    request = Request(
        model="m",
        messages=tuple(messages),
        system=tuple(Text(text="s", cache_control=mark) for mark in system),
        tools=tuple(Tool(name="t", extra={"cache_control": mark} if mark else {}) for mark in tools),
    )
    sent = render(request, Abilities())
    body = json.loads(sent.body)
    check_cache_marks(body)
    marks = [mark for mark in [*tools, *system, *said] if mark]
    assert len(marks) < 4 or sent.body.count(b'"cache_control"') == 4
    assert ("cache_control" in sent.losses) == (
        len(marks) > 3 or sorted(m is FIVE for m in marks) != [m is FIVE for m in marks]
    )
    assert inner.raw == {"type": "x", "cache_control": FIVE}


def test_the_prefix_and_the_latest_marks_are_kept() -> None:
    """C20: what every turn shares, and what this one added."""
    blocks = [{"type": "text", "text": str(at), "cache_control": FIVE} for at in range(5)]
    body = {"system": [{"type": "text", "cache_control": FIVE}], "messages": [{"role": "user", "content": blocks}]}
    kept, changed = legal(body)
    assert changed
    assert [("cache_control" in block) for block in kept["messages"][0]["content"]] == [False, False, True, True, True]
    assert "cache_control" in kept["system"][0]


# -- lists and what refusals teach -------------------------------------------------------------------------------------


def page(*entries: Any, **fields: Any) -> bytes:
    """Write a page of models."""
    return json.dumps({"data": entries, **fields}).encode()


def test_a_model_that_says_little_is_unknown_not_unable() -> None:
    """L01: another upstream lists only names."""
    (one,) = parse(page({"id": "m"})).models
    assert one.model == Model(id="m", display_name="m")
    assert one.abilities == Abilities()


def test_what_a_model_says_is_taken() -> None:
    """L01: sizes, effort levels, ways of thinking."""
    capabilities = {
        "thinking": {"types": {"adaptive": {"supported": True}, "disabled": {"supported": False}}},
        "effort": {"supported": True, "low": {"supported": True}, "max": {"supported": False}},
    }
    entry = {"id": "m", "display_name": "M", "max_tokens": 5, "max_input_tokens": 9, "capabilities": capabilities}
    (one,) = parse(page(entry)).models
    assert one.model == Model("m", "M", effort_levels=("low",), context_window=9, max_output_tokens=5)
    assert one.abilities == Abilities(thinking_off=False, adaptive=True, efforts=("low",), max_output=5)


@pytest.mark.parametrize(("fields", "following"), [({"has_more": True, "last_id": "m"}, "m"), ({"last_id": "m"}, None)])
def test_there_may_be_more_pages(fields: Json, following: str | None) -> None:
    """L01: all of them are read."""
    assert parse(page({"id": "m"}, **fields)).next == following


def test_a_last_page_that_names_no_next_one_ends_it() -> None:
    """Nothing is asked for again without an end."""
    assert parse(page({"id": "m"}, has_more=True, last_id=5)).next is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"data": 5}', b'{"data": [5]}'])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    """A wrong page isn't an empty one."""
    with pytest.raises(UpstreamError):
        parse(data)


@pytest.mark.parametrize(
    ("message", "maximum"),
    [
        ("max_tokens: 500 > 64, which is the maximum allowed number of output tokens for m", 64),
        ("max_tokens is too large: 500. This model supports at most 96 completion tokens", 96),
        ("max_tokens must be less than or equal to 8", 8),
        ("max_tokens: Input is wrong", None),
        ("max_tokens: 500 > 900, which is odd", None),
    ],
)
def test_the_maximum_is_learnt_from_a_refusal(message: str, maximum: int | None) -> None:
    """C15: the model's own, where it says so and it makes sense."""
    known = Knowledge()
    assert known.learn("m", BadRequest(message), frozenset(), 500) is (maximum is not None)
    assert known.able("m").max_output == maximum


def test_a_refusal_without_a_number_is_answered_by_asking_for_less() -> None:
    """C15: until it is little enough, and then no more."""
    known, asked = Knowledge(), 128_000
    tried = []
    while known.learn("m", BadRequest("max_tokens too large"), frozenset(), asked):
        asked = known.able("m").max_output or 0
        tried.append(asked)
    assert tried == [64_000, 32_000, 8_192, 4_096]


def test_other_refusals_teach_nothing() -> None:
    """They are the client's to hear."""
    known = Knowledge()
    assert not known.learn("m", BadRequest("messages: no"), frozenset({"temperature"}), 5)
    assert not known.learn("m", Overloaded("max_tokens"), frozenset(), 5)
    assert not known.learn(
        "m", BadRequest("`max_tokens` must be greater than `thinking.budget_tokens`"), frozenset(), 5
    )


def test_what_is_learnt_has_an_end() -> None:
    """Clients name models as they like."""
    known = Knowledge()
    for place in range(2500):
        known.learn(f"m{place}", BadRequest("temperature"), frozenset({"temperature"}), 5)
    assert known.able("m2499").refused == {"temperature"}
    assert len(known._learnt) <= 1000


# -- streams -----------------------------------------------------------------------------------------------------------


def stream(*kinds: str) -> bytes:
    """Write a reply's events."""
    data: dict[str, Json] = {
        "message_start": {"message": {"id": "i", "model": "m", "usage": {}}},
        "content_block_start": {"index": 0, "content_block": {"type": "text", "text": ""}},
        "delta": {"index": 0, "delta": {"type": "text_delta", "text": "é\nevent: message_stop\n\n"}},
        "content_block_stop": {"index": 0},
        "message_delta": {"delta": {"stop_reason": "end_turn"}, "usage": {}},
        "error": {"error": {"type": "overloaded_error", "message": "busy"}},
    }
    names = {"delta": "content_block_delta"}
    return b"".join(
        sse_event(names.get(kind, kind), json.dumps({"type": names.get(kind, kind), **data.get(kind, {})}).encode())
        for kind in kinds
    )


WHOLE = stream(
    "message_start", "ping", "content_block_start", "delta", "content_block_stop", "message_delta", "message_stop"
)


@pytest.mark.parametrize("data", [WHOLE, WHOLE.replace(b"\n", b"\r\n"), b": hello\n\n" + WHOLE])
def test_any_split_gives_the_same_events_and_the_same_bytes(data: bytes) -> None:
    """M01: at each offset, and byte by byte."""
    whole = list(Reply().feed(data))
    assert len(whole) == 7
    for at in range(len(data)):
        reply, watch = Reply(), Watch()
        assert [*reply.feed(data[:at]), *reply.feed(data[at:])] == whole
        assert watch.feed(data[:at]) + watch.feed(data[at:]) == data
        assert watch.has_ended
        assert reply.is_over
    watch, passed = Watch(), b""
    for at in range(len(data)):
        assert not watch.has_ended
        passed += watch.feed(data[at : at + 1])
    assert (passed, watch.has_ended, watch.end()) == (data, True, b"")


def test_a_stream_that_breaks_off_is_a_failure() -> None:
    """C35: never a clean end."""
    cut = WHOLE[: -len(stream("message_stop"))]
    reply, watch = Reply(), Watch()
    assert len(list(reply.feed(cut))) == 6
    with pytest.raises(UpstreamError):
        reply.end()
    watch.feed(cut)
    with pytest.raises(UpstreamError):
        watch.end()


def test_a_stream_that_begins_with_an_error_is_that_error() -> None:
    """C35: it still can have its own status."""
    with pytest.raises(Overloaded, match="busy"):
        Watch().feed(stream("error"))


def test_an_error_in_the_middle_is_the_clients_to_read() -> None:
    """M04: its bytes go on as they are, and it is an end."""
    watch = Watch()
    data = stream("message_start", "error")
    assert watch.feed(data) == data
    assert watch.has_ended
    assert isinstance(watch.error, Overloaded)
    events = Reply().feed(data)
    assert isinstance(next(events), MessageStart)
    with pytest.raises(Overloaded, match="busy"):
        next(events)


@pytest.mark.parametrize("event", [b"event: error\n\n", b'event: error\ndata: {"type":"ping"}\n\n'])
def test_an_error_that_says_nothing_is_one_all_the_same(event: bytes) -> None:
    """K07: it is known that the reply failed, if not why."""
    watch = Watch()
    watch.feed(stream("message_start") + event)
    assert isinstance(watch.error, UpstreamError)


def test_what_comes_behind_the_end_is_nobodys() -> None:
    """In the same bytes or in later ones."""
    reply = Reply()
    assert len(list(reply.feed(WHOLE + b"data: nonsense\n\n"))) == 7
    assert list(reply.feed(b"data: nonsense\n\n")) == []
    assert list(reply.end()) == []
    assert reply.is_finished


@pytest.mark.parametrize("data", [b"<html>\n\n", b"data: nonsense\n\n", b'data: {"type": 5}\n\n'])
def test_nonsense_is_a_failure(data: bytes) -> None:
    """C35: a page for people, say."""
    with pytest.raises(UpstreamError):
        Watch().feed(data)


def test_nonsense_after_a_good_beginning_is_a_failure() -> None:
    """C35: nothing of it goes on."""
    watch = Watch()
    watch.feed(stream("message_start"))
    with pytest.raises(UpstreamError):
        watch.feed(b"garbage\n\n")


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held has a limit."""
    monkeypatch.setattr("claude_proxy.backends.anthropic.watch._LONGEST_EVENT", 10)
    watch = Watch()
    for _ in range(5):
        watch.feed(b"da")
    with pytest.raises(ProxyError, match="more than 10 bytes"):
        watch.feed(b"da")
    reply = Reply()
    reply._lines.limit = 10
    with pytest.raises(UpstreamError):
        list(reply.feed(b"data: 1234567"))


def test_headers_are_handed_on_by_name() -> None:
    """M01: versions and betas, known or not; never a credential."""
    client = {"anthropic-beta": "a,b", "anthropic-new": "1", "x-api-key": "k", "cookie": "c", "host": "h"}
    assert headers.to_upstream(client) == {
        "anthropic-version": headers.VERSION,
        "anthropic-beta": "a,b",
        "anthropic-new": "1",
    }
    assert headers.to_upstream({"anthropic-version": "2030-01-01"}) == {"anthropic-version": "2030-01-01"}
    upstream = {"Anthropic-RateLimit-Tokens-Limit": "5", "Request-Id": "r", "Set-Cookie": "c"}
    assert headers.to_client(upstream) == {"anthropic-ratelimit-tokens-limit": "5", "x-upstream-request-id": "r"}
    assert headers.to_client({}) == {}


def test_tool_calls_in_history_stay_calls() -> None:
    """M02: nothing is flattened."""
    use = ToolUse(id="i", name="t", input={"a": 1})
    body, _ = rendered(messages=(USER, Message(role="assistant", content=(use,)), USER))
    assert body["messages"][1]["content"] == [{"type": "tool_use", "id": "i", "name": "t", "input": {"a": 1}}]
