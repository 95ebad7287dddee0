"""What the official anthropic SDK makes of our bytes: the same content as was said, streamed and not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic._streaming import SSEDecoder
from chat_asking import reply, text, thinking, tool_use
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from legal_events import replies
from messages_asking import STAMP, ask, frames

from claude_proxy.canon.blocks import AnyBlock, RedactedThinking, Text, Thinking
from claude_proxy.canon.codec import encode_block
from claude_proxy.canon.collect import collect
from claude_proxy.canon.events import AnyEvent, InputJsonDelta
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.errors import BadRequest, ProxyError, RateLimited, UpstreamError

WANTED = (
    ask(stream=True),
    ask(stream=True, thinking={"type": "adaptive"}),
    ask(stream=True, thinking={"type": "adaptive", "display": "omitted"}),
)
MAY_BE_EMPTY = ("max_tokens", "model_context_window_exceeded", "refusal", "stop_sequence")
HELLO: Any = {"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


@dataclass
class Wire:
    """The SDK's client, and the bytes that it gets for its next request."""

    client: anthropic.Anthropic
    body: bytes = b""
    status: int = 200

    def whole(self, body: bytes, status: int = 200) -> anthropic.types.Message:
        """Give what the SDK reads out of a body."""
        self.body, self.status = body, status
        return self.client.messages.create(**HELLO)  # type: ignore[no-any-return]  # its overloads don't see HELLO

    def accumulated(self, body: bytes) -> anthropic.types.Message:
        """Give what the SDK puts together out of a stream."""
        self.body, self.status = body, 200
        with self.client.messages.stream(**HELLO) as stream:
            return stream.get_final_message()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """A client whose transport answers with whatever the test put there."""
    replied: list[Wire] = []

    def handle(_: httpx2.Request) -> httpx2.Response:
        kind = "text/event-stream" if replied[0].body.startswith(b"event:") else "application/json"
        return httpx2.Response(replied[0].status, content=replied[0].body, headers={"content-type": kind})

    with client_of(handle) as client:
        replied.append(Wire(client))
        yield replied[0]


def client_of(handle: Callable[[httpx2.Request], httpx2.Response]) -> anthropic.Anthropic:
    """Give the SDK's client, served by a function."""
    transport = httpx2.Client(transport=httpx2.MockTransport(handle))
    return anthropic.Anthropic(api_key="none", base_url="http://127.0.0.1", http_client=transport, max_retries=0)


def with_signs_of_life(parsed: Parsed, events: list[AnyEvent]) -> bytes:
    """Give a reply's bytes, pings in them."""
    stream = MESSAGES.stream(parsed, STAMP)
    return b"".join([*(MESSAGES.keepalive + stream.feed(event) for event in events), stream.finish()])


def dumped(message: anthropic.types.Message) -> Any:
    """Give a message's JSON, without what wasn't sent."""
    return json.loads(message.to_json(exclude_none=True, exclude_unset=True, warnings=False))


def expected(block: AnyBlock, parsed: Parsed) -> Any:
    """Give the JSON that a client should see of a block; ``None`` where it shouldn't see any."""
    if isinstance(block, Thinking | RedactedThinking) and parsed.options.thinking == "hidden":
        return None
    raw = encode_block(block)
    if isinstance(block, Thinking) and parsed.options.thinking == "omitted":
        raw["thinking"] = ""
    return {name: value for name, value in raw.items() if value is not None}


def is_empty(events: list[AnyEvent]) -> bool:
    """Say whether a reply holds nothing at all: what is refused as an error (C35)."""
    said = collect(events)
    nothing = all(isinstance(block, Text) and not block.text for block in said.content)
    return nothing and said.stop_reason not in MAY_BE_EMPTY


def is_cut(events: list[AnyEvent]) -> bool:
    """Say whether a call's input broke off, out of which the SDK makes what it can."""
    return '{"cut"' in "".join(event.partial_json for event in events if isinstance(event, InputJsonDelta))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events=replies(), parsed=st.sampled_from(WANTED))
@example(events=reply(thinking("Hm"), text("a", index=1)), parsed=WANTED[0])
def test_m11_any_legal_reply_is_read_as_it_was_said(wire: Wire, events: list[AnyEvent], parsed: Parsed) -> None:
    """M11, C36, C38: content, model, reason and counts come through the SDK, and alike in both ways."""
    if is_empty(events):
        with pytest.raises(UpstreamError):
            with_signs_of_life(parsed, events)
        return
    said = collect(events)
    streamed = dumped(wire.accumulated(with_signs_of_life(parsed, events)))
    whole = dumped(wire.whole(MESSAGES.collect(parsed, events, STAMP)))

    visible = [block for block in (expected(block, parsed) for block in said.content) if block is not None]
    assert whole["content"] == visible
    assert (whole["id"], whole["model"], whole["role"]) == (said.id, said.model, "assistant")
    assert whole["stop_reason"] == (said.stop_reason or "end_turn")
    assert whole["usage"]["input_tokens"] == (said.usage.input_tokens or 0)
    assert whole["usage"]["output_tokens"] == (said.usage.output_tokens or 0)
    assert whole["usage"].get("cache_read_input_tokens") == said.usage.cache_read_input_tokens
    if is_cut(events):
        # Where a call was cut off the SDK makes up an end: no whole input is there to be compared.
        for block in (*streamed["content"], *whole["content"]):
            block.pop("input", None)
    assert streamed == whole


def test_m11_a_stream_may_arrive_split_anywhere() -> None:
    """M11: at every byte, the SDK's decoder reads the same events."""
    parsed = ask(stream=True, thinking={"type": "adaptive"})
    events = reply(thinking("Hm é"), text("👩‍👩‍👧‍👦\r\n", "\u2028", index=1), tool_use("t", '{"a":1}', index=2))
    raw = with_signs_of_life(parsed, events)
    whole = [(event.event, event.data) for event in SSEDecoder().iter_bytes(iter([raw]))]
    assert len(whole) > 2 * len(events) - 2
    for cut in range(1, len(raw)):
        pieces = SSEDecoder().iter_bytes(iter([raw[:cut], raw[cut:]]))
        assert [(event.event, event.data) for event in pieces] == whole


def test_m04_an_error_in_a_stream_is_raised_by_the_sdk(wire: Wire) -> None:
    """M04: what came before is read, then the error with its message."""
    stream = MESSAGES.stream(WANTED[0], STAMP)
    body = b"".join(stream.feed(event) for event in reply(text("a"))[:3])
    wire.body, wire.status = body + stream.fail(RateLimited("the plan's limit is reached", reset_at=1)), 200
    seen = []
    with pytest.raises(anthropic.APIStatusError, match="the plan's limit is reached"):  # noqa: PT012, SIM117 - while reading
        with wire.client.messages.stream(**HELLO) as events:
            for piece in events.text_stream:
                seen.append(piece)  # noqa: PERF402 - what was read counts when it fails
    assert seen == ["a"]


def test_m04_an_error_body_is_read_by_the_sdk(wire: Wire) -> None:
    """M04: the exception that the SDK raises has our message and type."""
    with pytest.raises(anthropic.BadRequestError) as raised:
        wire.whole(MESSAGES.error(BadRequest("max_tokens: Field required", param="max_tokens"), "req_1"), 400)
    assert "max_tokens: Field required" in raised.value.message
    assert raised.value.body["request_id"] == "req_1"  # type: ignore[index]  # typed as object


@dataclass
class Served:
    """A server of one conversation: parses as ours does, and answers with one reply after the other."""

    answers: list[list[AnyEvent]]
    refused: list[Any] = field(default_factory=list)
    taken: list[Any] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        raw = json.loads(request.content)
        try:
            parsed = MESSAGES.parse(request.content)
        except ProxyError as error:
            self.refused.append(raw)
            return httpx2.Response(error.status, content=MESSAGES.error(error, "req_1"))
        self.taken.append(raw)
        events = self.answers[len(self.taken) - 1]
        if parsed.stream:
            headers = {"content-type": "text/event-stream"}
            return httpx2.Response(200, content=frames(parsed, events), headers=headers)
        return httpx2.Response(200, content=MESSAGES.collect(parsed, events, STAMP))


@anthropic.beta_tool
def f(a: int) -> str:
    """Double it.

    Args:
        a: what to double.
    """
    return str(2 * a)


@pytest.mark.parametrize("stream", [False, True])
def test_m08_the_tool_runner_sends_whole_histories(stream: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """M08: it begins with a thread, is told that there are none, and goes on without."""
    served = Served([reply(tool_use("toolu_1", '{"a":21}'), stop="tool_use"), reply(text("It is 42."))])
    with client_of(served) as client:
        runner: Any = client.beta.messages.tool_runner(**HELLO, tools=[f], stream=stream)
        replies_read = [turn.get_final_message() if stream else turn for turn in runner]
    assert replies_read[-1].content[0].text == "It is 42."
    assert served.refused[0]["thread"] == {"type": "create"}
    assert [("thread" in raw, len(raw["messages"]), len(raw["tools"])) for raw in served.taken] == [
        (False, 1, 1),
        (False, 3, 1),
    ]
    assert served.taken[1]["messages"][2]["content"][0]["content"] == "42"
