"""The main job: the real ``openai`` SDK, our server, the real CLI, and the simulator behind it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from real_cli import OLDER, MakeReal, Real, until
from served import serving

from claude_proxy.config.schema import Config
from claude_proxy.simulator import Reply, error, text, thinking, tool_calls

PIXEL = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
).decode()
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@dataclass
class Stack:
    """A client, and what stands behind it."""

    client: openai.AsyncOpenAI
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

        async def make(config: Config | None = None, **cli: Any) -> Stack:
            real = await make_real(start=False, **cli)
            url = await stack.enter_async_context(serving(real.backend, config))
            client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
            return Stack(await stack.enter_async_context(client), real)

        yield make


@pytest.fixture
async def stack(make_stack: MakeStack) -> Stack:
    """Give a server with an ordinary configuration."""
    return await make_stack()


async def ask(stack: Stack, content: Any = "hi", **fields: Any) -> Any:
    """Ask without streaming."""
    messages: Any = content if isinstance(content, list) and "role" in content[0] else None
    messages = messages or [{"role": "user", "content": content}]
    return await stack.client.chat.completions.create(messages=messages, **{"model": "sonnet", **fields})


async def test_a_plain_answer(stack: Stack) -> None:
    """The text, the finish reason and the upstream's exact usage."""
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 3}
    stack.simulator.queue.append(text("Hello there.", usage=usage))
    completion = await ask(stack)
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hello there.", "stop")
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (20, 3)
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 6
    assert completion.model == "claude-sonnet-5-5"


async def test_a_stream_gives_the_same_as_no_stream(stack: Stack) -> None:
    """The deltas join to the text, the last chunk has the usage."""
    stack.simulator.queue.append(text("one ", "two ", "three"))
    pieces: list[str] = []
    usage = None
    async for chunk in await ask(stack, stream=True, stream_options={"include_usage": True}):
        pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        usage = chunk.usage or usage
    assert pieces == ["one ", "two ", "three"]
    assert usage is not None
    assert usage.completion_tokens > 0


async def test_two_parallel_tools_and_their_results(stack: Stack) -> None:
    """Calls come out under the client's names, results go in natively, and the model goes on."""
    stack.simulator.queue.extend(
        [tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})), text("Rain and sun.")]
    )
    opening = {"role": "user", "content": "Weather in Paris and Rome?"}
    first = await ask(stack, [opening], tools=[WEATHER])
    calls = first.choices[0].message.tool_calls
    assert first.choices[0].finish_reason == "tool_calls"
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Rome"]
    history = [
        opening,
        first.choices[0].message.model_dump(exclude_none=True),
        *({"role": "tool", "tool_call_id": call.id, "content": f"weather {call.id}"} for call in calls),
    ]
    second = await ask(stack, history, tools=[WEATHER])
    assert second.choices[0].message.content == "Rain and sun."
    last = stack.simulator.seen[-1].conversation[-1]
    assert [block["tool_use_id"] for block in last[1]] == [call.id for call in calls]
    assert [block["content"][0]["text"] for block in last[1]] == [f"weather {call.id}" for call in calls]


async def test_streamed_tool_calls_assemble(stack: Stack) -> None:
    """C31, C37: index dense, id and name once, arguments in pieces."""
    stack.simulator.queue.append(tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})))
    names: dict[int, list[str]] = {}
    arguments: dict[int, str] = {}
    async for chunk in await ask(stack, stream=True, tools=[WEATHER]):
        for call in (chunk.choices[0].delta.tool_calls or ()) if chunk.choices else ():
            if call.function.name:
                names.setdefault(call.index, []).append(call.function.name)
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert names == {0: ["get_weather"], 1: ["get_weather"]}
    assert [json.loads(arguments[index])["city"] for index in (0, 1)] == ["Paris", "Rome"]


async def test_an_image_reaches_the_upstream(stack: Stack) -> None:
    """C12: as a native base64 block."""
    url = f"data:image/png;base64,{PIXEL}"
    await ask(stack, [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": url}}])
    blocks = stack.simulator.seen[0].conversation[0][1]
    assert blocks[1]["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}


async def test_a_json_schema_gives_a_parsed_model(stack: Stack) -> None:
    """C18: the SDK's ``parse`` with a pydantic model."""

    class City(BaseModel):
        name: str
        population: int

    completion = await stack.client.chat.completions.parse(
        model="sonnet", messages=[{"role": "user", "content": "a city"}], response_format=City
    )
    assert isinstance(completion.choices[0].message.parsed, City)
    assert stack.simulator.seen[0].body["output_config"]["format"]["type"] == "json_schema"


async def test_temperature_and_stop_are_seen_upstream(make_stack: MakeStack) -> None:
    """Sampling and stop sequences arrive on a model that takes them, and the stop text never comes back."""
    stack = await make_stack(warm_models=(OLDER,))  # the process that lists the models answers, too
    stack.simulator.queue.append(text("one two END three"))
    completion = await ask(stack, model=OLDER, temperature=0.5, stop=["END"])
    body = stack.simulator.seen[0].body
    assert (body["temperature"], body["stop_sequences"]) == (0.5, ["END"])
    assert completion.choices[0].message.content.strip() == "one two"
    assert completion.choices[0].finish_reason == "stop"


async def test_what_is_lost_is_named_in_the_clients_words(stack: Stack) -> None:
    """Lossless or loud: the header names dialect and backend losses alike."""
    raw = await stack.client.chat.completions.with_raw_response.create(
        model="sonnet", messages=[{"role": "user", "content": "hi"}], temperature=0.1, seed=4, user="me"
    )
    lost = raw.headers["x-claude-proxy-lost"].split(", ")
    assert set(lost) == {"seed", "temperature", "user"}
    assert raw.headers["x-claude-proxy-backend"] == "claude-cli"
    assert {part.split(";")[0].strip() for part in raw.headers["server-timing"].split(",")} >= {"queue", "first_byte"}


async def test_reasoning_is_shown_only_when_asked_for(stack: Stack) -> None:
    """C34, C38: thinking nobody asked for stays hidden."""
    stack.simulator.queue.extend([thinking("Hm.", "Yes."), thinking("Hm.", "Yes.")])
    hidden = await ask(stack)
    shown = await ask(stack, reasoning_effort="high")
    assert not hasattr(hidden.choices[0].message, "reasoning_content")
    assert shown.choices[0].message.reasoning_content == "Hm."
    assert stack.simulator.seen[1].body["output_config"]["effort"] == "high"


async def test_the_plans_limit_is_the_sdks_rate_limit_error(stack: Stack) -> None:
    """K10: 429 with retry-after."""
    headers = {"anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": "4000000000"}
    stack.simulator.queue.append(error(429, "rate_limit_error", "limit", headers=headers))
    with pytest.raises(openai.RateLimitError) as caught:
        await ask(stack)
    assert int(caught.value.response.headers["retry-after"]) > 0


async def test_a_stream_that_breaks_is_an_error_not_an_end(stack: Stack) -> None:
    """K07, C35: the SDK raises after the deltas that came."""
    stack.simulator.queue.append(text("one ", "two ", "three", cut_after=5, gap_seconds=0.1))
    pieces: list[str] = []

    async def read() -> None:
        async for chunk in await ask(stack, stream=True):
            pieces.extend(choice.delta.content for choice in chunk.choices if choice.delta.content)

    with pytest.raises(openai.APIError):
        await read()
    assert pieces[:1] == ["one "]


async def test_a_client_that_hangs_up_stops_the_model(stack: Stack) -> None:
    """K08: the upstream request is gone within a second, streamed or not."""
    stack.simulator.queue.extend([text("a ", "b ", gap_seconds=30), Reply(silent=True)])
    stream = await ask(stack, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    await stream.close()
    await until(lambda: stack.simulator.seen[0].gone, 1.0)
    waiting = asyncio.create_task(ask(stack))
    await until(lambda: len(stack.simulator.seen) == 2)
    waiting.cancel()
    await until(lambda: stack.simulator.seen[1].gone and not stack.real.pids(), 1.0)


async def test_an_unknown_model_is_a_404_with_suggestions(stack: Stack) -> None:
    """L01: never a silent default."""
    with pytest.raises(openai.NotFoundError) as caught:
        await ask(stack, model="sonet")
    assert caught.value.code == "model_not_found"
    assert "sonnet" in str(caught.value)
    assert not stack.simulator.seen


async def test_an_unknown_tool_result_is_a_400_that_names_it(stack: Stack) -> None:
    """C05: nothing goes upstream."""
    history = [{"role": "user", "content": "hi"}, {"role": "tool", "tool_call_id": "call_nobody", "content": "x"}]
    with pytest.raises(openai.BadRequestError, match="call_nobody"):
        await ask(stack, history)
    assert not stack.simulator.seen


async def test_nobody_signed_in_is_a_401_that_says_what_to_do(make_stack: MakeStack) -> None:
    """K10: the SDK's authentication error names the command."""
    stack = await make_stack(signed_in=False)
    with pytest.raises(openai.AuthenticationError, match="claude-proxy login"):
        await ask(stack)


async def test_the_models_are_listed_from_the_cli(stack: Stack) -> None:
    """L01: list and single model."""
    listed = await stack.client.models.list()
    ids = [model.id async for model in listed]
    assert any(name.startswith("claude-sonnet-") for name in ids)
    assert (await stack.client.models.retrieve(ids[0])).id == ids[0]


async def test_a_missing_cli_is_a_503_that_says_how_to_get_it(make_stack: MakeStack) -> None:
    """A CLI that isn't there: the right status, and what to do about it."""
    stack = await make_stack(path="/nonexistent/claude")
    with pytest.raises(openai.InternalServerError, match="claude-proxy\\[cli\\]") as caught:
        await ask(stack)
    assert caught.value.status_code == 503
