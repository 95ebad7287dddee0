"""The real SDKs against the real server, with an upstream of this kind behind it."""

from __future__ import annotations

import asyncio

import anthropic
import openai
import pytest
from openai_chunks import DONE, call, chunk, end, frame
from openai_upstream import ABORT, Answer, backend, listening, refusal
from scripted_server import Serve

USAGE = frame({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
ADDING = Answer(
    [
        chunk({"content": "Let me see"}),
        call(index=0, id="c1", type="function", name="add", arguments='{"a":'),
        call(index=0, arguments="1}"),
        chunk({}, "tool_calls"),
        USAGE,
        DONE,
    ]
)


async def test_the_openai_sdk_reads_what_is_handed_on(serve: Serve) -> None:
    """A stream of the upstream's own, with a model that is asked for by its alias."""
    async with listening(ADDING) as up, backend({"base_url": up.url, "models": ("big=writer",)}) as running:
        server = await serve(running)
        async with (
            openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
            client.chat.completions.stream(
                model="writer", messages=[{"role": "user", "content": "hi"}], seed=7
            ) as stream,
        ):
            completion = await stream.get_final_completion()

    (made,) = completion.choices[0].message.tool_calls or []
    assert (made.type, made.function.name, made.function.arguments) == ("function", "add", '{"a":1}')
    assert (up.seen[0].json["model"], up.seen[0].json["seed"]) == ("big", 7)


async def test_the_anthropic_sdk_reads_what_is_translated(serve: Serve) -> None:
    """Messages in, Chat Completions behind it, Messages out."""
    async with listening(ADDING) as up, backend({"base_url": up.url}) as running:
        server = await serve(running)
        async with (
            anthropic.AsyncAnthropic(base_url=server.url, api_key="any", max_retries=0) as client,
            client.messages.stream(
                model="m",
                max_tokens=50,
                messages=[{"role": "user", "content": "hi"}],
                tools=[{"name": "add", "input_schema": {"type": "object", "properties": {}}}],
            ) as stream,
        ):
            message = await stream.get_final_message()

    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert message.content[1].type == "tool_use"
    assert (message.content[1].id, message.content[1].input) == ("c1", {"a": 1})
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 2)
    assert up.seen[0].json["tools"][0]["function"]["name"] == "add"


async def test_the_openai_sdk_raises_what_the_upstream_refuses(serve: Serve) -> None:
    """The upstream's own words, with the class of its status."""
    async with listening(refusal(429, "slow down", {"retry-after": "60"})) as up, backend({"base_url": up.url}) as one:
        server = await serve(one)
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            with pytest.raises(openai.RateLimitError, match="slow down") as caught:
                await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    assert caught.value.response.headers["retry-after"] == "60"


async def test_the_openai_sdk_sees_a_stream_that_broke_off(serve: Serve) -> None:
    """C35: an error, never a short reply that looks whole."""
    gate = asyncio.Event()
    async with (
        listening(Answer([chunk({"content": "a"}), gate, ABORT])) as up,
        backend({"base_url": up.url}) as running,
    ):
        server = await serve(running)
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}], stream=True
            )
            assert (await anext(stream)).choices[0].delta.content == "a"
            gate.set()
            with pytest.raises(openai.APIError):
                await anext(stream)


async def test_several_replies_use_one_connection_upstream(serve: Serve) -> None:
    """What is handed on costs no new connection."""
    async with listening(Answer([chunk({"content": "a"}), end()])) as up, backend({"base_url": up.url}) as running:
        server = await serve(running)
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            for _ in range(3):
                stream = await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}], stream=True
                )
                assert [chunk async for chunk in stream]

    assert len({seen.peer for seen in up.seen}) == 1
