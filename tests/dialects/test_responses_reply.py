"""Our events to a Responses stream, and to the whole response."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from chat_asking import reply, text
from legal_events import AWKWARD_TEXTS
from responses_asking import (
    ENCRYPTED,
    STAMP,
    THINKING,
    ask,
    check_response,
    completed,
    custom,
    events_of,
    function,
    hosted,
    namespace,
    redacted,
    refused,
    signed,
    streamed,
    told,
    types,
    use,
)

from claude_proxy.canon.blocks import RedactedThinking, Text, Thinking
from claude_proxy.canon.events import BlockStart, MessageDelta, MessageStart, Ping, TextDelta, ThinkingDelta, Usage
from claude_proxy.dialects.responses import RESPONSES
from claude_proxy.dialects.responses_reasoning import unseal
from claude_proxy.dialects.responses_reply import whole
from claude_proxy.errors import (
    ContextTooLong,
    Overloaded,
    ProxyError,
    RateLimited,
    TooLarge,
    UnknownModel,
    UpstreamError,
)

PLAIN = ask()
TOOLS = ask(tools=[function("f"), custom("patch"), namespace("ns", function("f"), custom("raw"))])
SHOWN = ask(**THINKING)
SEALED = ask(**THINKING, **ENCRYPTED)
JSON_OBJECT = ask(text={"format": {"type": "json_object"}})

MESSAGE = ["output_item.added", "content_part.added"]
MESSAGE_END = ["output_text.done", "content_part.done", "output_item.done"]
BEGIN = ["created", "in_progress"]
CALL_END = ["function_call_arguments.done", "output_item.done"]


def output(parsed: Any, *blocks: Any, **fields: Any) -> list[dict[str, Any]]:
    """Give a reply's output, streamed and not the same."""
    found: list[dict[str, Any]] = completed(parsed, reply(*blocks, **fields))["output"]
    return found


# text


def test_r02_events_come_in_the_references_order() -> None:
    """R02: numbered from 0, the item opened, its part, its text, and all closed again."""
    found = events_of(PLAIN, reply(text("a", "b")))
    deltas = ["output_text.delta", "output_text.delta"]
    assert types(found) == [*BEGIN, *MESSAGE, *deltas, *MESSAGE_END, "completed"]
    assert [event["delta"] for event in found if "delta" in event] == ["a", "b"]
    assert [event["logprobs"] for event in found if "delta" in event] == [[], []]
    assert {event["item_id"] for event in found if "item_id" in event} == {"msg_abc0000"}
    assert [event["text"] for event in found if "text" in event] == ["ab"]


def test_r02_the_response_begins_empty() -> None:
    """R02: in progress, without output and usage."""
    for event in events_of(PLAIN, reply(text("a")))[:2]:
        assert (event["response"]["status"], event["response"]["output"], event["response"]["usage"]) == (
            "in_progress",
            [],
            None,
        )


def test_r09_the_last_event_holds_the_whole_output() -> None:
    """R09: with ids, status and annotations."""
    response = completed(PLAIN, reply(text("a", "b")))
    assert (response["id"], response["status"], response["model"]) == ("resp_abc", "completed", "claude-sonnet-5")
    assert response["created_at"] == STAMP.created
    part = {"type": "output_text", "text": "ab", "annotations": [], "logprobs": []}
    assert response["output"] == [
        {"id": "msg_abc0000", "type": "message", "role": "assistant", "content": [part], "status": "completed"}
    ]


def test_texts_one_after_the_other_are_one_message() -> None:
    """Whatever lies between them that the client doesn't see."""
    blocks = (text("a"), signed("hm", index=1), hosted("{}", index=2), text("b", index=3))
    (message,) = output(PLAIN, *blocks)
    assert message["content"][0]["text"] == "ab"


def test_empty_texts_open_nothing() -> None:
    """No item without words."""
    assert types(events_of(TOOLS, reply(text(""), use("f", index=1))))[2:5] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
    ]


def test_a_text_may_begin_with_its_block() -> None:
    """As some upstreams send it."""
    events = reply(text("b"))
    events[1] = BlockStart(index=0, block=Text(text="a"))
    assert completed(PLAIN, events)["output"][0]["content"][0]["text"] == "ab"


def test_pings_are_not_told() -> None:
    """The server gives its own signs of life."""
    events = reply(text("a"))
    assert streamed(PLAIN, [Ping(), events[0], Ping(), *events[1:]]) == streamed(PLAIN, events)
    assert RESPONSES.keepalive == b": keep-alive\n\n"


@pytest.mark.parametrize("awkward", AWKWARD_TEXTS)
def test_c36_text_is_byte_exact(awkward: str) -> None:
    """C36: and no frame has a line end that isn't its own."""
    frames = streamed(SHOWN, reply(signed(awkward), text(awkward, index=1)))
    assert frames.decode().splitlines() == frames.decode().split("\n")[:-1]
    first, second = output(SHOWN, signed(awkward), text(awkward, index=1))
    assert first["summary"][0]["text"] == second["content"][0]["text"] == awkward


# calls


def test_r02_a_message_is_closed_before_a_call_opens() -> None:
    """R02: and the indexes have no gaps."""
    found = events_of(TOOLS, reply(text("a"), use("f", '{"x"', ":1}", index=1), use("f", index=2), stop="tool_use"))
    delta = "function_call_arguments.delta"
    assert types(found) == [
        *BEGIN,
        *MESSAGE,
        "output_text.delta",
        *MESSAGE_END,
        *("output_item.added", delta, delta, *CALL_END),
        *("output_item.added", delta, *CALL_END),
        "completed",
    ]
    assert [event["output_index"] for event in found if event["type"] == "response.output_item.done"] == [0, 1, 2]


def test_r03_a_call_is_told_with_its_id_and_name() -> None:
    """R03: at once, and its arguments whole at the end; none are an empty object."""
    first, second, third = output(
        TOOLS, use("f", '{"x"', ":1}"), use("f", "", index=1), use("f", index=2, whole={"y": 2}), stop="tool_use"
    )
    assert first == {
        "id": "fc_abc0000",
        "type": "function_call",
        "call_id": "toolu_0",
        "name": "f",
        "arguments": '{"x":1}',
        "status": "completed",
    }
    assert (second["arguments"], third["arguments"]) == ("{}", '{"y":2}')


def test_r03_a_custom_call_is_unwrapped() -> None:
    """R03: as a call of its own kind, its text streamed."""
    found = events_of(TOOLS, reply(use("patch", '{"input": "*** B', 'egin\\n"', "}"), stop="tool_use"))
    assert types(found)[2:-1] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert [event["delta"] for event in found if "delta" in event] == ["*** B", "egin\n"]
    assert found[-1]["response"]["output"] == [
        {
            "id": "ctc_abc0000",
            "type": "custom_tool_call",
            "call_id": "toolu_0",
            "name": "patch",
            "input": "*** Begin\n",
            "status": "completed",
        }
    ]


def test_r03_a_custom_call_without_text_is_one() -> None:
    """R03: an empty text is a text."""
    (item,) = output(TOOLS, use("patch", '{"input": ""}'), stop="tool_use")
    assert item["input"] == ""


def test_r10_a_call_in_a_namespace_gets_its_own_name_back() -> None:
    """R10: and the namespace beside it."""
    first, second = output(TOOLS, use("ns__f", "{}"), use("ns__raw", '{"input":"x"}', index=1), stop="tool_use")
    assert (first["name"], first["namespace"], first["type"]) == ("f", "ns", "function_call")
    assert (second["name"], second["namespace"], second["type"]) == ("raw", "ns", "custom_tool_call")


def test_a_call_of_a_tool_nobody_offered_is_told_as_it_is() -> None:
    """The client knows best what to do with it."""
    (item,) = output(PLAIN, use("other", "{}"), stop="tool_use")
    assert item["name"] == "other"


def test_the_upstreams_own_calls_are_no_items() -> None:
    """What came before them isn't mixed up with them."""
    (item,) = output(TOOLS, use("f", '{"x":1}'), hosted('{"query"', ":1}", index=1), stop="tool_use")
    assert item["arguments"] == '{"x":1}'


# reasoning


def test_c34_asked_for_reasoning_is_a_summary() -> None:
    """C34: in events of its own, before the message."""
    found = events_of(SHOWN, reply(signed("a", "", "b"), text("c", index=1)))
    assert types(found)[2:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    item = found[-1]["response"]["output"][0]
    assert item == {
        "id": "rs_abc0000",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "ab"}],
        "status": "completed",
    }


@pytest.mark.parametrize("fields", [{}, {"reasoning": {"effort": "none"}}])
def test_c38_reasoning_nobody_asked_for_is_no_item(fields: dict[str, Any]) -> None:
    """C38: neither its text nor a trace of it."""
    assert [item["type"] for item in output(ask(**fields), signed("so"), redacted(1), text("c", index=2))] == [
        "message"
    ]


def test_c38_an_effort_alone_shows_no_summary() -> None:
    """C38: the item is there, and empty."""
    item, _ = output(ask(reasoning={"effort": "low"}), signed("so"), text("c", index=1))
    assert (item["type"], item["summary"]) == ("reasoning", [])
    assert "encrypted_content" not in item


@pytest.mark.parametrize("fields", [ENCRYPTED, {**ENCRYPTED, **THINKING}])
def test_r04_the_signed_thinking_goes_out_sealed(fields: dict[str, Any]) -> None:
    """R04: for who asked for it, to be brought back."""
    first, second, _ = output(ask(**fields), signed("so", "!"), redacted(1), text("c", index=2))
    assert unseal(first["encrypted_content"]) == Thinking(thinking="so!", signature="c2ln")
    assert unseal(second["encrypted_content"]) == RedactedThinking(data="eHg=")
    assert second["summary"] == []


def test_r04_thinking_may_begin_with_its_block() -> None:
    """R04: text and signature are whole all the same."""
    events = reply(signed("b", signature="ig"), text("c", index=1))
    events[1] = BlockStart(index=0, block=Thinking(thinking="a", signature="s"))
    item = completed(SEALED, events)["output"][0]
    assert unseal(item["encrypted_content"]) == Thinking(thinking="ab", signature="sig")
    assert item["summary"][0]["text"] == "ab"


def test_r04_thinking_that_was_cut_off_cant_come_back() -> None:
    """R04: it has no signature."""
    (item,) = output(SEALED, signed("so", signature=""), stop="max_tokens")
    assert (item["encrypted_content"], item["status"]) == (None, "incomplete")


def test_thinking_inside_of_something_else_isnt_shown() -> None:
    """It belongs to no item."""
    events = reply(signed("a"), hosted(index=1), text("c", index=2))
    events.insert(-5, ThinkingDelta(index=1, thinking="b"))
    assert completed(SHOWN, events)["output"][0]["summary"][0]["text"] == "a"


# ends


@pytest.mark.parametrize("stop", ["end_turn", "stop_sequence", "tool_use", "pause_turn", "never_heard_of", None])
def test_r05_any_other_end_completes_the_response(stop: str | None) -> None:
    """R05: an unknown one too."""
    response = completed(PLAIN, reply(text("a"), stop=stop))
    assert (response["status"], response["incomplete_details"], response["error"]) == ("completed", None, None)


@pytest.mark.parametrize("stop", ["max_tokens", "model_context_window_exceeded"])
def test_r05_a_reply_that_was_cut_off_is_incomplete(stop: str) -> None:
    """R05: so is its last item, and no other."""
    found = events_of(TOOLS, reply(text("a"), use("f", '{"x', index=1), stop=stop))
    response = found[-1]["response"]
    assert found[-1]["type"] == "response.incomplete"
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["output"][1]["arguments"] == '{"x'


@pytest.mark.parametrize("said", [(), (text("a"),)])
def test_c30_a_refusal_is_told_as_one(said: tuple[Any, ...]) -> None:
    """C30: as a part of its own, after what was said."""
    found = events_of(PLAIN, reply(*said, stop="refusal"))
    assert types(found)[-7:] == [
        *(["content_part.done"] if said else MESSAGE[:1]),
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "incomplete",
    ]
    response = found[-1]["response"]
    assert response["incomplete_details"] == {"reason": "content_filter"}
    kinds = [part["type"] for part in response["output"][0]["content"]]
    assert kinds == ["output_text", "refusal"][-len(said) - 1 :]
    parts = [event["content_index"] for event in found if event["type"] == "response.content_part.done"]
    assert parts == list(range(len(kinds)))


@pytest.mark.parametrize("stop", ["end_turn", "tool_use", None])
@pytest.mark.parametrize("blocks", [(), (text(""),)])
def test_c35_an_empty_reply_is_an_error(stop: str | None, blocks: tuple[Any, ...]) -> None:
    """C35: never a success with nothing in it."""
    with pytest.raises(UpstreamError, match="empty"):
        streamed(PLAIN, reply(*blocks, stop=stop))


@pytest.mark.parametrize("stop", ["max_tokens", "stop_sequence"])
def test_c35_some_ends_may_come_before_the_first_word(stop: str) -> None:
    """C35: the limit was that low."""
    assert output(PLAIN, stop=stop) == []


def test_c35_a_reply_that_only_the_upstream_understands_isnt_empty() -> None:
    """C35: it used tools of its own, or only thought."""
    assert output(PLAIN, hosted()) == []
    assert output(PLAIN, signed("so")) == []


# usage


def test_r11_input_tokens_include_the_cached_ones() -> None:
    """R11: written and read, told apart beside it."""
    start = Usage(input_tokens=10, cache_creation_input_tokens=20, cache_read_input_tokens=30, output_tokens=1)
    events = reply(text("a"), usage=start)
    events[-2] = MessageDelta(stop_reason="end_turn", usage=Usage(output_tokens=7, thinking_tokens=4))
    assert completed(PLAIN, events)["usage"] == {
        "input_tokens": 60,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 67,
    }


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=1), Usage(output_tokens=1)])
def test_r11_unknown_usage_is_none(usage: Usage) -> None:
    """R11: nothing is guessed."""
    assert completed(PLAIN, reply(text("a"), usage=usage))["usage"] is None


# what the response repeats


def test_the_response_repeats_the_request() -> None:
    """As it was sent, in every event that has a response."""
    fields: dict[str, Any] = {
        "instructions": "be",
        "max_output_tokens": 9,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "previous_response_id": "resp_0",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "store": False,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "f"},
        "tools": [function("f", parameters={}, strict=True)],
        "top_p": 0.9,
        "truncation": "auto",
        "user": "u",
        "reasoning": {"effort": "low", "summary": "concise"},
    }
    for event in events_of(ask(**fields), reply(text("a"))):
        if "response" in event:
            assert {name: event["response"][name] for name in fields} == fields


def test_the_response_tells_defaults() -> None:
    """OpenAI's, where the client said nothing."""
    response = completed(PLAIN, reply(text("a")))
    assert {name: response[name] for name in ("temperature", "top_p", "tool_choice", "truncation", "store")} == {
        "temperature": 1.0,
        "top_p": 1.0,
        "tool_choice": "auto",
        "truncation": "disabled",
        "store": True,
    }
    assert (response["text"], response["metadata"], response["tools"]) == ({"format": {"type": "text"}}, {}, [])


# any JSON object


def test_r07_a_fence_around_the_json_is_taken_off() -> None:
    """R07: the text is the object, streamed and not."""
    (message,) = output(JSON_OBJECT, text("```js", 'on\n{"a"', ": 1}\n``", "`"))
    assert message["content"][0]["text"] == '{"a": 1}'


def test_r07_what_is_held_back_is_told_at_the_end() -> None:
    """R07: where the reply ended before its fence."""
    (message,) = output(JSON_OBJECT, text('{"a": "b`'), stop="max_tokens")
    assert message["content"][0]["text"] == '{"a": "b`'


def test_r07_no_json_object_is_an_error() -> None:
    """R07: nothing of it is told before, so the numbers stay dense."""
    stream = RESPONSES.stream(JSON_OBJECT, STAMP)
    events = reply(text("[1] "))
    frames = b"".join(stream.feed(event) for event in events[:-1])
    with pytest.raises(UpstreamError, match="JSON object"):
        stream.feed(events[-1])
    assert types(told(frames + stream.fail(UpstreamError("no JSON"))))[-1] == "failed"


def test_r07_a_call_instead_of_the_json_is_fine() -> None:
    """R07: the object comes when the call is answered."""
    parsed = ask(tools=[function("f")], text={"format": {"type": "json_object"}})
    assert output(parsed, text("Well"), use("f", index=1))[1]["type"] == "function_call"
    assert output(parsed, use("f"), text("Well", index=1))[0]["type"] == "function_call"


# failures


def failed(error: ProxyError, *events: Any, parsed: Any = PLAIN) -> list[dict[str, Any]]:
    """Give the events of a reply that fails after these."""
    stream = RESPONSES.stream(parsed, STAMP)
    return told(b"".join(stream.feed(event) for event in events) + stream.fail(error))


def test_r05_a_failure_is_the_last_event() -> None:
    """R05: with the message, and what was complete before; an open call isn't told as done."""
    events = reply(text("a"), use("f", '{"x"', index=1))[:-3]
    found = failed(Overloaded("too busy"), *events, parsed=TOOLS)
    assert types(found)[-3:] == ["output_item.added", "function_call_arguments.delta", "failed"]
    response = found[-1]["response"]
    assert response["status"] == "failed"
    assert (response["error"]["code"], response["error"]["message"]) == ("server_error", "too busy")
    assert [item["type"] for item in response["output"]] == ["message"]


def test_r05_a_failure_before_the_first_event_has_its_response() -> None:
    """R05: clients wait for one to be created."""
    found = failed(Overloaded("too busy"))
    assert types(found) == ["created", "in_progress", "failed"]
    assert found[-1]["response"]["model"] == "sonnet"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RateLimited("slow down", retry_after=3), "rate_limit_exceeded"),
        (TooLarge("too large"), "invalid_prompt"),
        (UnknownModel("none"), "server_error"),
    ],
)
def test_r05_a_failure_has_a_code_of_the_references(error: ProxyError, code: str) -> None:
    """R05: the nearest there is."""
    told_error = failed_error(error)
    assert told_error["code"] == code


def failed_error(error: ProxyError) -> dict[str, Any]:
    """Give the error of a response that failed, without asking the official types about it."""
    frames = RESPONSES.stream(PLAIN, STAMP).fail(error).decode()
    response = json.loads(frames.split("data: ")[-1])["response"]
    told_error: dict[str, Any] = response["error"]
    response["error"] = None
    check_response(response)
    return told_error


def test_r05_a_limit_tells_when_it_ends() -> None:
    """R05: for who can wait."""
    assert failed_error(RateLimited("the plan's limit is reached", reset_at=0))["reset_at"] == "1970-01-01T00:00:00Z"


def test_r05_a_conversation_that_is_too_long_keeps_its_code() -> None:
    """R05: the official types don't list it, and clients look for it to shorten the conversation."""
    assert failed_error(ContextTooLong("too long"))["code"] == "context_length_exceeded"


def test_an_error_has_openais_shape() -> None:
    """As in Chat Completions."""
    body = json.loads(RESPONSES.error(refused(background=True), "req_1"))
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["param"] == "background"


def test_the_stream_ends_with_its_last_event() -> None:
    """No other end mark follows."""
    stream = RESPONSES.stream(PLAIN, STAMP)
    for event in reply(text("a")):
        stream.feed(event)
    assert stream.finish() == b""


def test_what_is_kept_holds_the_thinking_even_if_it_isnt_shown() -> None:
    """R06: the conversation goes on from it."""
    kept = whole(SHOWN, reply(signed("so"), text("a", index=1)), STAMP)
    assert unseal(kept.items[0]["encrypted_content"]) == Thinking(thinking="so", signature="c2ln")
    assert "encrypted_content" not in json.loads(kept.response)["output"][0]


def test_a_text_delta_costs_next_to_nothing() -> None:
    """Ten thousand deltas are rendered in far less time than a model takes for ten."""
    stream = RESPONSES.stream(PLAIN, STAMP)
    stream.feed(MessageStart(id="m", model="x"))
    stream.feed(BlockStart(index=0, block=Text(text="")))
    event = TextDelta(index=0, text="token")
    begun = time.process_time()
    for _ in range(10_000):
        stream.feed(event)
    assert time.process_time() - begun < 1
