"""What the official openai SDK makes of our bytes: the same content as was said, streamed and not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from chat_asking import reply, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from legal_events import replies
from openai.types.responses import Response
from openai_wire import Wire, wired
from responses_asking import ENCRYPTED, STAMP, THINKING, ask, custom, function, namespace, streamed, told, use

from claude_proxy.canon.blocks import RedactedThinking, Text, Thinking, ToolUse
from claude_proxy.canon.collect import collect
from claude_proxy.canon.events import AnyEvent, BlockStart, InputJsonDelta
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.responses import RESPONSES
from claude_proxy.dialects.responses_custom import CustomInput
from claude_proxy.dialects.responses_reasoning import unseal
from claude_proxy.errors import Overloaded, UnknownModel, UpstreamError

# The names that legal events call: a function, one of a namespace, and a custom tool.
TOOLS = [function("read"), namespace("mcp__x__", function("write")), custom("a-b_c")]
WANTED = (ask(stream=True), ask(stream=True, tools=TOOLS, **THINKING), ask(stream=True, tools=TOOLS, **ENCRYPTED))
INCOMPLETE = ("max_tokens", "model_context_window_exceeded", "refusal")
HELLO: Any = {"model": "sonnet", "input": "hi"}


class Answers(Wire):
    """What the SDK reads out of our bytes."""

    def whole(self, body: bytes, status: int = 200) -> Response:
        """Give what the SDK reads out of a body."""
        self.body, self.status = body, status
        response: Response = self.client.responses.create(**HELLO)
        return response

    def events(self, body: bytes) -> list[Any]:
        """Give what the SDK reads out of a stream."""
        self.body, self.status = body, 200
        return list(self.client.responses.create(**HELLO, stream=True))

    def helped(self, body: bytes) -> list[Any]:
        """Give what its stream helper, which puts pieces together, makes of a stream."""
        self.body, self.status = body, 200
        with self.client.responses.stream(**HELLO) as stream:
            return list(stream)


@pytest.fixture(scope="module")
def wire() -> Iterator[Answers]:
    """A client whose answers are ours."""
    with wired(Answers) as made:
        yield made


def alive(parsed: Parsed, events: list[AnyEvent]) -> bytes:
    """Give a reply's bytes, with signs of life in them."""
    stream = RESPONSES.stream(parsed, STAMP)
    return b"".join([*(RESPONSES.keepalive + stream.feed(event) for event in events), stream.finish()])


def is_empty(events: list[AnyEvent]) -> bool:
    """Say whether a reply holds nothing at all: what is refused as an error (C35)."""
    return all(isinstance(block, Text) and not block.text for block in collect(events).content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events=replies(), parsed=st.sampled_from(WANTED))
def test_r02_any_legal_reply_is_read_as_it_was_said(wire: Answers, events: list[AnyEvent], parsed: Parsed) -> None:
    """R02, R05, R09, C36: text, thinking, calls and the end come through the SDK, and alike in both ways."""
    said = collect(events)
    if is_empty(events) and said.stop_reason not in {*INCOMPLETE, "stop_sequence"}:
        with pytest.raises(UpstreamError):
            streamed(parsed, events)
        return
    body = alive(parsed, events)
    told(body.replace(RESPONSES.keepalive, b""))
    found = wire.events(body)
    last = found[-1].response
    response = wire.whole(RESPONSES.collect(parsed, events, STAMP))

    assert response == last
    assert wire.helped(body)[-1].response.output_text == response.output_text
    assert [event.sequence_number for event in found] == list(range(len(found)))
    done = [event.item for event in found if event.type == "response.output_item.done"]
    assert done == response.output
    assert pieced(found) == [content(item) for item in done]

    assert response.output_text == "".join(block.text for block in said.content if isinstance(block, Text))
    assert response.status == ("incomplete" if said.stop_reason in INCOMPLETE else "completed")
    uses = [block for block in said.content if isinstance(block, ToolUse)]
    calls = [item for item in response.output if item.type in ("function_call", "custom_tool_call")]
    assert [call.call_id for call in calls] == [use.id for use in uses]
    names = [(getattr(call, "namespace", None) or "") + call.name for call in calls]
    assert names == [use.name for use in uses]
    assert [content(call) for call in calls] == said_in_calls(events, parsed)
    check_thinking(said.content, response, parsed)
    if response.usage is not None:
        assert response.usage.output_tokens == said.usage.output_tokens


def content(item: Any) -> str:
    """Give what an item says, as one text."""
    if item.type == "message":
        return "".join(part.text if part.type == "output_text" else part.refusal for part in item.content)
    if item.type == "reasoning":
        return "".join(part.text for part in item.summary)
    text: str = item.arguments if item.type == "function_call" else item.input
    return text


def pieced(events: list[Any]) -> list[str]:
    """Give what the deltas of each item come to."""
    indexes = [event.output_index for event in events if event.type == "response.output_item.added"]
    assert indexes == list(range(len(indexes)))
    pieces = [(event.output_index, event.delta) for event in events if event.type.endswith(".delta")]
    return ["".join(delta for index, delta in pieces if index == wanted) for wanted in indexes]


def said_in_calls(events: list[AnyEvent], parsed: Parsed) -> list[str]:
    """Give each call's arguments as they were streamed; whole where they came with the start."""
    found: list[str] = []
    for index, event in enumerate(events):
        if isinstance(event, BlockStart) and isinstance(event.block, ToolUse):
            own = [later for later in events[index:] if getattr(later, "index", None) == event.index]
            pieces = [later.partial_json for later in own if isinstance(later, InputJsonDelta)]
            callee = parsed.options.callees.get(event.block.name)
            if callee and callee.custom:
                unwrapped = CustomInput()
                found.append("".join(unwrapped.feed(piece) for piece in pieces) + unwrapped.close(event.block.input))
            else:
                found.append("".join(pieces) or encoded(event.block.input))
    return found


def check_thinking(said: tuple[Any, ...], response: Response, parsed: Parsed) -> None:
    """Make sure that who asked for it, and nobody else, gets the thinking: to read, or to bring back."""
    thoughts = [block for block in said if isinstance(block, Thinking | RedactedThinking)]
    items = [item for item in response.output if item.type == "reasoning"]
    reasoning, sealed = parsed.request.reasoning, parsed.options.encrypted_reasoning
    assert len(items) == (len(thoughts) if reasoning.mode == "on" or sealed else 0)
    if sealed:
        assert [unseal(item.encrypted_content or "") for item in items] == thoughts
    if reasoning.visible:
        assert [content(item) for item in items] == [getattr(block, "thinking", "") for block in thoughts]


def encoded(value: dict[str, Any]) -> str:
    """Give an input's JSON without spaces."""
    import msgspec  # noqa: PLC0415 - the encoder under test

    return msgspec.json.encode(value).decode()


def test_r03_the_sdks_stream_helper_puts_a_reply_together(wire: Answers) -> None:
    """R02, R03: its snapshots grow with the deltas."""
    parsed = ask(stream=True, tools=TOOLS)
    found = wire.helped(streamed(parsed, reply(text("a", "b"), use("read", '{"a"', ":1}", index=1), stop="tool_use")))
    snapshots = [event.snapshot for event in found if event.type == "response.output_text.delta"]
    assert snapshots == ["a", "ab"]
    arguments = [event.snapshot for event in found if event.type == "response.function_call_arguments.delta"]
    assert arguments == ['{"a"', '{"a":1}']
    assert found[-1].response.output[1].name == "read"


def test_r05_a_failure_in_a_stream_is_told_by_the_sdk(wire: Answers) -> None:
    """R05: what came before is read, then the response that failed."""
    stream = RESPONSES.stream(ask(stream=True), STAMP)
    body = b"".join(stream.feed(event) for event in reply(text("a"))[:3]) + stream.fail(Overloaded("too busy"))
    for found in (wire.events(body), wire.helped(body)):
        assert [event.delta for event in found if event.type == "response.output_text.delta"] == ["a"]
        assert found[-1].type == "response.failed"
        assert found[-1].response.error.message == "too busy"


def test_an_error_body_is_read_by_the_sdk(wire: Answers) -> None:
    """The exception that the SDK raises has our message, param and code."""
    with pytest.raises(openai.NotFoundError) as raised:
        wire.whole(RESPONSES.error(UnknownModel("no model of that name", param="model"), "req_1"), 404)
    error = raised.value
    assert (error.code, error.param, error.type) == ("model_not_found", "model", "invalid_request_error")
