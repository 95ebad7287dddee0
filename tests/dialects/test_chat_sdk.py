"""What the official openai SDK makes of our bytes: the same content as was said, streamed and not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from chat_asking import STAMP, ask, reply, text, tool_use
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from legal_events import replies
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai_wire import Wire, wired

from claude_proxy.canon.blocks import Text, Thinking, ToolUse
from claude_proxy.canon.collect import collect
from claude_proxy.canon.events import AnyEvent, BlockStart, InputJsonDelta
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.chat import CHAT
from claude_proxy.errors import RateLimited, UnknownModel, UpstreamError

WANTED = (
    ask(stream=True),
    ask(stream=True, reasoning_effort="high", stream_options={"include_usage": True}),
)
REASONS = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter"}
HELLO: Any = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}


class Answers(Wire):
    """What the SDK reads out of our bytes."""

    def whole(self, body: bytes, status: int = 200) -> ChatCompletion:
        """Give what the SDK reads out of a body."""
        self.body, self.status = body, status
        completion: ChatCompletion = self.client.chat.completions.create(**HELLO)
        return completion

    def chunks(self, body: bytes) -> list[ChatCompletionChunk]:
        """Give what the SDK reads out of a stream."""
        self.body, self.status = body, 200
        return list(self.client.chat.completions.create(**HELLO, stream=True))


@pytest.fixture(scope="module")
def wire() -> Iterator[Answers]:
    """A client whose answers are ours."""
    with wired(Answers) as made:
        yield made


def streamed(parsed: Parsed, events: list[AnyEvent]) -> bytes:
    """Give a reply's bytes, with signs of life in them."""
    stream = CHAT.stream(parsed, STAMP)
    return b"".join([*(CHAT.keepalive + stream.feed(event) for event in events), stream.finish()])


def folded(chunks: list[ChatCompletionChunk]) -> tuple[str | None, str | None, list[list[str]], str | None, Any]:
    """Give text, reasoning, calls (id, name, arguments), finish reason and usage, as a client puts them together."""
    content, reasoning = [], []
    calls: list[list[str]] = []
    finish, usage = None, None
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            content.append(choice.delta.content)
            reasoning.append(getattr(choice.delta, "reasoning_content", None))
            for piece in choice.delta.tool_calls or ():
                assert piece.function is not None
                if piece.index == len(calls):
                    assert piece.type == "function"
                    calls.append([piece.id or "", piece.function.name or "", ""])
                else:
                    assert (piece.id, piece.function.name, piece.type) == (None, None, None)
                calls[piece.index][2] += piece.function.arguments or ""
    return _joined(content), _joined(reasoning), calls, finish, usage


def _joined(pieces: list[str | None]) -> str | None:
    given = [piece for piece in pieces if piece is not None]
    return "".join(given) if given else None


def is_empty(events: list[AnyEvent]) -> bool:
    """Say whether a reply holds nothing at all: what is refused as an error (C35)."""
    return all(isinstance(block, Text) and not block.text for block in collect(events).content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events=replies(), parsed=st.sampled_from(WANTED))
def test_c34_any_legal_reply_is_read_as_it_was_said(wire: Answers, events: list[AnyEvent], parsed: Parsed) -> None:
    """C34, C36: text, reasoning, calls, finish reason and usage come through the SDK, and alike in both ways."""
    said = collect(events)
    if is_empty(events) and said.stop_reason not in {*REASONS, "stop_sequence"}:
        with pytest.raises(UpstreamError):
            streamed(parsed, events)
        return
    chunks = wire.chunks(streamed(parsed, events))
    completion = wire.whole(CHAT.collect(parsed, events, STAMP))
    content, reasoning, calls, finish, usage = folded(chunks)
    message = completion.choices[0].message

    assert (content or "") == "".join(block.text for block in said.content if isinstance(block, Text))
    thought = "".join(block.thinking for block in said.content if isinstance(block, Thinking))
    assert (reasoning or "") == (thought if parsed.request.reasoning.visible else "")
    uses = [block for block in said.content if isinstance(block, ToolUse)]
    assert [call[:2] for call in calls] == [[use.id, use.name] for use in uses]
    assert [call[2] for call in calls] == raw_arguments(events)
    ended = "tool_calls" if said.stop_reason == "tool_use" and uses else "stop"
    assert finish == REASONS.get(said.stop_reason or "", ended)
    assert {(chunk.id, chunk.model, chunk.created) for chunk in chunks} == {
        (completion.id, completion.model, completion.created)
    }

    assert message.content == content
    assert getattr(message, "reasoning_content", None) == reasoning
    assert [[call.id, call.function.name, call.function.arguments] for call in message.tool_calls or ()] == calls  # type: ignore[union-attr]  # all are function calls
    assert completion.choices[0].finish_reason == finish
    if parsed.options.include_usage:
        assert completion.usage == usage
    if completion.usage is not None:
        assert completion.usage.completion_tokens == said.usage.output_tokens


def raw_arguments(events: list[AnyEvent]) -> list[str]:
    """Give each call's arguments as they were streamed; whole where they came with the start."""
    found: list[str] = []
    for index, event in enumerate(events):
        if isinstance(event, BlockStart) and isinstance(event.block, ToolUse):
            own = [later for later in events[index:] if getattr(later, "index", None) == event.index]
            pieces = "".join(later.partial_json for later in own if isinstance(later, InputJsonDelta))
            found.append(pieces or encoded(event.block.input))
    return found


def encoded(value: dict[str, Any]) -> str:
    """Give an input's JSON without spaces."""
    import msgspec  # noqa: PLC0415 - the encoder under test

    return msgspec.json.encode(value).decode()


def test_c33_the_sdks_stream_helper_puts_a_reply_together(wire: Answers) -> None:
    """C32, C37: its accumulation gives text and calls, where a repeated name would have been doubled."""
    parsed = ask(stream=True)
    wire.body = streamed(parsed, reply(text("a", "b"), tool_use("x", '{"a"', ":1}", index=1), stop="tool_use"))
    wire.status = 200
    with wire.client.chat.completions.stream(**HELLO) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.content == "ab"
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("x", "f", '{"a":1}')


def test_c35_an_error_in_a_stream_is_raised_by_the_sdk(wire: Answers) -> None:
    """C35: what came before is read, then the error, with its message and code."""
    parsed = ask(stream=True)
    stream = CHAT.stream(parsed, STAMP)
    body = b"".join(stream.feed(event) for event in reply(text("a"))[:3])
    wire.body, wire.status = body + stream.fail(RateLimited("the plan's limit is reached", reset_at=1)), 200
    seen = []
    with pytest.raises(openai.APIError, match="the plan's limit is reached") as raised:  # noqa: PT012 - while reading
        for chunk in wire.client.chat.completions.create(**HELLO, stream=True):
            seen.append(chunk.choices[0].delta.content)  # noqa: PERF401 - what was read counts when it fails
    assert seen == [None, "a"]
    assert raised.value.code == "rate_limit_exceeded"


def test_an_error_body_is_read_by_the_sdk(wire: Answers) -> None:
    """The exception that the SDK raises has our message, param and code."""
    with pytest.raises(openai.NotFoundError) as raised:
        wire.whole(CHAT.error(UnknownModel("no model of that name", param="model"), "req_1"), 404)
    error = raised.value
    assert (error.code, error.param, error.type) == ("model_not_found", "model", "invalid_request_error")
    assert "no model of that name" in error.message
