"""The main job, the other way: the real ``anthropic`` SDK, our server, the real CLI, and the simulator behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import anthropic
import pytest
from anthropic import beta_async_tool
from pydantic import BaseModel
from real_cli import MakeReal, Real, until
from served import serving

from claude_proxy.simulator import Reply, error, text, thinking, tool_calls

OLDER = "sonnet-4-5-20250929"
"""Without its ``claude-``, as the SDK warns of the full name that it is old."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@dataclass
class Stack:
    """A client, and what stands behind it."""

    client: anthropic.AsyncAnthropic
    real: Real

    @property
    def simulator(self) -> Any:
        """The upstream."""
        return self.real.simulator


MakeStack = Callable[..., Awaitable[Stack]]


@pytest.fixture
async def make_stack(make_real: MakeReal) -> AsyncIterator[MakeStack]:
    """Make servers on the real CLI, each with an SDK client."""
    async with AsyncExitStack() as stack:

        async def make(**cli: Any) -> Stack:
            real = await make_real(start=False, **cli)
            url = await stack.enter_async_context(serving(real.backend))
            client = anthropic.AsyncAnthropic(base_url=url, api_key="unused", max_retries=0)
            return Stack(await stack.enter_async_context(client), real)

        yield make


@pytest.fixture
async def stack(make_stack: MakeStack) -> Stack:
    """Give a server with an ordinary configuration."""
    return await make_stack()


def messages(content: Any) -> Any:
    """Give a conversation: the one given, or one of a single message."""
    if isinstance(content, list) and "role" in content[0]:
        return content
    return [{"role": "user", "content": content}]


async def ask(stack: Stack, content: Any = "hi", **fields: Any) -> Any:
    """Ask without streaming."""
    asked = {"model": "sonnet", "max_tokens": 4096, **fields}
    return await stack.client.messages.create(messages=messages(content), **asked)


def streamed(stack: Stack, content: Any = "hi", **fields: Any) -> Any:
    """Ask for a stream, as a context manager."""
    asked = {"model": "sonnet", "max_tokens": 4096, **fields}
    return stack.client.messages.stream(messages=messages(content), **asked)


async def test_a_plain_answer(stack: Stack) -> None:
    """The text, the stop reason, the model that answered and the upstream's exact usage."""
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 3}
    stack.simulator.queue.append(text("Hello there.", usage=usage))
    message = await ask(stack, system="Be brief.")
    assert [block.text for block in message.content] == ["Hello there."]
    assert (message.stop_reason, message.model, message.role) == ("end_turn", "claude-sonnet-5-5", "assistant")
    counts = message.usage
    assert (counts.input_tokens, counts.output_tokens) == (10, 3)
    assert (counts.cache_creation_input_tokens, counts.cache_read_input_tokens) == (4, 6)
    assert message._request_id.startswith("req_")
    assert stack.simulator.seen[0].body["system"][-1]["text"] == "Be brief."


async def test_a_stream_gives_the_same_as_no_stream(stack: Stack) -> None:
    """M11: the deltas as sent, and an assembled message with usage at its end."""
    stack.simulator.queue.append(text("one ", "two ", "three"))
    async with streamed(stack) as stream:
        pieces = [piece async for piece in stream.text_stream]
        message = await stream.get_final_message()
    assert pieces == ["one ", "two ", "three"]
    assert message.content[0].text == "one two three"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0
    assert message.usage.input_tokens > 0


async def test_two_parallel_tools_and_their_results(stack: Stack) -> None:
    """Calls come out under the client's names, results go in natively on the held call, and the model goes on."""
    stack.simulator.queue.extend(
        [tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})), text("Rain and sun.")]
    )
    opening = {"role": "user", "content": "Weather in Paris and Rome?"}
    first = await ask(stack, [opening], tools=[WEATHER])
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [call.input["city"] for call in calls] == ["Paris", "Rome"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"weather {call.id}"} for call in calls]
    history = [opening, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = await ask(stack, history, tools=[WEATHER])
    assert second.content[0].text == "Rain and sun."
    last = stack.simulator.seen[-1].conversation[-1]
    assert [block["tool_use_id"] for block in last[1]] == [call.id for call in calls]
    assert [block["content"][0]["text"] for block in last[1]] == [f"weather {call.id}" for call in calls]


async def test_a_streamed_tool_call_assembles(stack: Stack) -> None:
    """M11: the input comes in pieces and makes the object that the model gave."""
    stack.simulator.queue.append(tool_calls(("get_weather", {"city": "São Paulo"})))
    async with streamed(stack, tools=[WEATHER]) as stream:
        message = await stream.get_final_message()
    assert [(block.name, block.input) for block in message.content] == [("get_weather", {"city": "São Paulo"})]


async def test_images_and_documents_reach_the_upstream(stack: Stack) -> None:
    """M02: natively, in a message and in a tool's result."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Words."}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image, document]}
    await ask(
        stack,
        [
            {"role": "user", "content": [{"type": "text", "text": "what?"}, image, document]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
            {"role": "user", "content": [result]},
        ],
    )
    conversation = stack.simulator.seen[0].conversation
    assert conversation[0][1][1:] == [image, document]
    assert conversation[2][1][0]["content"] == [image, document]


async def test_thinking_comes_signed_and_goes_back(stack: Stack) -> None:
    """M03: with a tool call in between, the thought is upstream again as it was, and the strict upstream takes it."""
    thought = thinking("Let me look.")
    call = {"type": "tool_use", "name": "get_weather", "input": {"city": "Rome"}}
    stack.simulator.queue.extend([Reply(blocks=(*thought.blocks, call), stop_reason="tool_use"), text("Sunny.")])
    asked: Any = {"thinking": {"type": "adaptive", "display": "summarized"}, "tools": [WEATHER]}
    opening = {"role": "user", "content": "Rome?"}
    async with streamed(stack, [opening], **asked) as stream:
        first = await stream.get_final_message()
    assert (first.content[0].type, first.content[0].thinking) == ("thinking", "Let me look.")
    assert first.content[0].signature
    result = {"type": "tool_result", "tool_use_id": first.content[1].id, "content": "sunny"}
    history = [opening, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    # Asked again by another turn of phrase: this conversation is no child's, so all of it is told anew.
    for told in (history, [{"role": "user", "content": "In Rome?"}, *history[1:]]):
        await ask(stack, told, **asked)
        back = stack.simulator.seen[-1].conversation[1][1][0]
        assert (back["thinking"], back["signature"]) == ("Let me look.", first.content[0].signature)
        assert stack.simulator.seen[-1].status == 200


async def test_thinking_nobody_asked_for_is_not_shown(stack: Stack) -> None:
    """C38: ``content[0].text`` is what half of all programs read."""
    stack.simulator.queue.append(thinking("Hm.", "Yes."))
    message = await ask(stack)
    assert [block.type for block in message.content] == ["text"]


async def test_a_budget_of_thinking_on_an_older_model(make_stack: MakeStack) -> None:
    """M02: ``enabled`` with its budget arrives as it is."""
    stack = await make_stack(warm_models=(f"claude-{OLDER}",))  # the process that lists the models answers, too
    stack.simulator.queue.append(thinking("Hm.", "Yes."))
    message = await ask(stack, model=OLDER, thinking={"type": "enabled", "budget_tokens": 2048})
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert stack.simulator.seen[-1].body["thinking"] == {"type": "enabled", "budget_tokens": 2048}


async def test_a_json_schema_gives_a_parsed_model(stack: Stack) -> None:
    """The SDK's ``parse`` with a pydantic model."""

    class City(BaseModel):
        name: str
        population: int

    message = await stack.client.messages.parse(
        model="sonnet", max_tokens=1000, messages=messages("a city"), output_format=City
    )
    assert isinstance(message.parsed_output, City)
    assert stack.simulator.seen[0].body["output_config"]["format"]["type"] == "json_schema"


async def test_parameters_are_seen_upstream(make_stack: MakeStack) -> None:
    """M02: sampling, stop sequences and max_tokens on a model that takes them."""
    stack = await make_stack(warm_models=(f"claude-{OLDER}",))  # the process that lists the models answers, too
    stack.simulator.queue.append(text("one two END three"))
    message = await ask(stack, model=OLDER, extra_body={"temperature": 0.5}, stop_sequences=["END"], max_tokens=99)
    body = stack.simulator.seen[0].body
    assert (body["temperature"], body["stop_sequences"], body["max_tokens"]) == (0.5, ["END"], 99)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    assert message.content[0].text.strip() == "one two"


async def test_what_is_lost_is_named_in_the_clients_words(stack: Stack) -> None:
    """Lossless or loud: the header names it as the Messages API calls it."""
    raw = await stack.client.messages.with_raw_response.create(
        model="sonnet",
        max_tokens=10,
        messages=messages("hi"),
        metadata={"user_id": "me"},
        extra_body={"temperature": 0.1},
    )
    assert set(raw.headers["x-claude-proxy-lost"].split(", ")) == {"temperature", "metadata.user_id"}
    assert raw.headers["x-claude-proxy-backend"] == "claude-cli"


async def test_tokens_are_counted_by_the_upstream(stack: Stack) -> None:
    """M05: system, tools and history each count, to the simulator's word."""
    count = stack.client.messages.count_tokens
    plain = await count(model="sonnet", messages=messages("one two three"))
    system = await count(model="sonnet", messages=messages("one two three"), system="four five")
    tools = await count(model="sonnet", messages=messages("one two three"), tools=[WEATHER])
    history = await count(
        model="sonnet", messages=[*messages("one"), {"role": "assistant", "content": "two"}, *messages("three four")]
    )
    assert (plain.input_tokens, system.input_tokens, history.input_tokens) == (3, 5, 4)
    assert tools.input_tokens > plain.input_tokens
    assert stack.simulator.counted
    assert not stack.simulator.seen


async def test_the_plans_limit_is_the_sdks_rate_limit_error(stack: Stack) -> None:
    """K10: 429 with retry-after; the next one doesn't even go out."""
    headers = {"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": "4000000000"}
    stack.simulator.queue.append(error(429, "rate_limit_error", "limit", headers=headers))
    for _ in range(2):
        with pytest.raises(anthropic.RateLimitError) as caught:
            await ask(stack)
        assert int(caught.value.response.headers["retry-after"]) > 0
        body: Any = caught.value.body
        assert body["error"]["type"] == "rate_limit_error"
        assert body["request_id"].startswith("req_")
    assert len(stack.simulator.seen) == 1


@pytest.mark.parametrize(
    ("status", "kind", "cls"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (529, "overloaded_error", anthropic.InternalServerError),
    ],
)
async def test_an_upstream_error_is_the_sdks_own(stack: Stack, status: int, kind: str, cls: Any) -> None:
    """K10: status and type are kept."""
    stack.simulator.queue.extend([error(status, kind, "because")] * 5)
    with pytest.raises(cls, match="because") as caught:
        await ask(stack)
    assert (caught.value.status_code, caught.value.body["error"]["type"]) == (status, kind)


async def test_an_unknown_model_is_a_404_with_suggestions(stack: Stack) -> None:
    """L01: never a silent default."""
    with pytest.raises(anthropic.NotFoundError, match="sonnet"):
        await ask(stack, model="sonet")
    assert not stack.simulator.seen


async def test_nobody_signed_in_is_a_401_that_says_what_to_do(make_stack: MakeStack) -> None:
    """K10: the SDK's authentication error names the command, for a turn and for a count."""
    stack = await make_stack(signed_in=False)
    with pytest.raises(anthropic.AuthenticationError, match="claude-proxy login"):
        await ask(stack)
    with pytest.raises(anthropic.AuthenticationError, match="claude-proxy login"):
        await stack.client.messages.count_tokens(model="sonnet", messages=messages("hi"))


async def test_a_stream_that_breaks_is_an_error_not_an_end(stack: Stack) -> None:
    """K07, M04: the SDK raises after the deltas that came."""
    stack.simulator.queue.append(text("one ", "two ", "three", cut_after=5, gap_seconds=0.1))
    pieces: list[str] = []

    async def read() -> None:
        async with streamed(stack) as stream:
            async for piece in stream.text_stream:
                pieces.append(piece)  # noqa: PERF401  # what came before the error counts too

    with pytest.raises(anthropic.APIError):
        await read()
    assert pieces[:1] == ["one "]


async def test_a_client_that_hangs_up_stops_the_model(stack: Stack) -> None:
    """K08: the upstream request is gone within a second, streamed or not."""
    stack.simulator.queue.extend([text("a ", "b ", gap_seconds=30), Reply(silent=True)])
    async with streamed(stack) as stream:
        async for _ in stream.text_stream:
            break
    await until(lambda: stack.simulator.seen[0].gone, 1.0)
    waiting = asyncio.create_task(ask(stack))
    await until(lambda: len(stack.simulator.seen) == 2)
    waiting.cancel()
    await until(lambda: stack.simulator.seen[1].gone and not stack.real.pids(), 1.0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_the_sdks_tool_runner_runs_a_whole_loop(stack: Stack, stream: bool) -> None:  # noqa: FBT001  # both ways
    """M08: whatever it offers of threads, the loop comes to its end, with the whole history each time."""
    asked: list[str] = []

    @beta_async_tool
    async def get_weather(city: str) -> str:
        """Give the weather of a city."""
        asked.append(city)
        return json.dumps({"city": city, "sky": "clear"})

    stack.simulator.queue.extend(
        [tool_calls(("get_weather", {"city": "Paris"})), tool_calls(("get_weather", {"city": "Rome"})), text("Clear.")]
    )
    runner: Any = stack.client.beta.messages.tool_runner(
        model="sonnet", max_tokens=1000, tools=[get_weather], messages=messages("Paris and Rome?"), stream=stream
    )
    last: Any = None
    async for turn in runner:
        last = await turn.get_final_message() if stream else turn
    assert asked == ["Paris", "Rome"]
    assert last.content[0].text == "Clear."
    assert [role for role, _ in stack.simulator.seen[-1].conversation] == ["user", "assistant"] * 2 + ["user"]


async def test_the_models_are_listed_from_the_cli(stack: Stack) -> None:
    """L01: in the Messages API's shape."""
    ids = [model.id async for model in stack.client.models.list()]
    assert any(name.startswith("claude-sonnet-") for name in ids)
    assert (await stack.client.models.retrieve(ids[0])).id == ids[0]
