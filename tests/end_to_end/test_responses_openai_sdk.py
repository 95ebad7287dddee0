"""The Responses API with the real ``openai`` SDK: on each kind of backend, the simulator behind all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from real_cli import until
from responses_stack import Stack, standing

from claude_proxy.simulator import error, text, thinking, tool_calls

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


@pytest.fixture(params=["cli", "key", "chat"])
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a server on each kind of backend."""
    async with standing(request.param, tmp_path) as made:
        yield made


@pytest.fixture
async def cli(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a server on the real CLI."""
    async with standing("cli", tmp_path) as made:
        yield made


def said(conversation: Any) -> list[tuple[str, list[str]]]:
    """Give a conversation's texts, with who said them."""
    return [(role, [block["text"] for block in blocks if block["type"] == "text"]) for role, blocks in conversation]


async def test_r01_a_response(stack: Stack) -> None:
    """R01, R11: the text, and the upstream's exact usage."""
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 3}
    stack.simulator.queue.append(text("Hello there.", usage=usage))
    response = await stack.ask(instructions="Be kind.")
    assert (response.output_text, response.status, response.model) == (
        "Hello there.",
        "completed",
        "claude-sonnet-5-5",
    )
    assert (response.usage.input_tokens, response.usage.output_tokens) == (20, 3)
    assert response.usage.input_tokens_details.cached_tokens == 6


async def test_r02_a_stream_gives_the_same(stack: Stack) -> None:
    """R02: the helper puts the deltas together, and the last event has the response that is kept."""
    stack.simulator.queue.append(text("one ", "two ", "three"))
    async with stack.client.responses.stream(model="sonnet", input="count") as stream:
        pieces = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert pieces == ["one ", "two ", "three"]
    kept = await stack.client.responses.retrieve(final.id)
    assert (final.output_text, kept.output_text) == ("one two three", "one two three")
    assert kept.usage == final.usage


async def test_r07_a_json_schema_gives_a_parsed_model(stack: Stack) -> None:
    """R07: the SDK's ``parse`` with a pydantic model."""

    class City(BaseModel):
        name: str
        population: int

    response = await stack.client.responses.parse(model="sonnet", input="a city", text_format=City)
    assert isinstance(response.output_parsed, City)
    assert stack.simulator.seen[0].body["output_config"]["format"]["type"] == "json_schema"


async def test_r06_a_conversation_goes_on(stack: Stack) -> None:
    """R06: upstream it is one conversation; only what is new was sent."""
    stack.simulator.queue.extend([text("One."), text("Two."), text("Three.")])
    first = await stack.ask("first")
    second = await stack.ask("second", previous_response_id=first.id)
    third = await stack.ask("third", previous_response_id=second.id)
    assert third.output_text == "Three."
    assert said(stack.simulator.seen[-1].conversation) == [
        ("user", ["first"]),
        ("assistant", ["One."]),
        ("user", ["second"]),
        ("assistant", ["Two."]),
        ("user", ["third"]),
    ]


async def test_r06_what_is_kept_can_be_read_and_deleted(stack: Stack) -> None:
    """R06: retrieve, the input's pages, delete; a later response stays whole."""
    stack.simulator.queue.extend([text("One."), text("Two.")])
    first = await stack.ask("first")
    second = await stack.ask("second", previous_response_id=first.id)
    assert await stack.client.responses.retrieve(second.id) == second
    items = [item async for item in stack.client.responses.input_items.list(second.id, limit=1, order="asc")]
    shown = [item.model_dump()["content"][0]["text"] for item in items]
    assert shown == ["first", "One.", "second"]
    await stack.client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        await stack.client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as raised:
        await stack.ask("again", previous_response_id=first.id)
    assert raised.value.code == "previous_response_not_found"
    assert (await stack.ask("third", previous_response_id=second.id)).status == "completed"
    assert len(stack.simulator.seen[-1].conversation) == 5


async def test_r03_a_tool_loop_over_previous_response_id(stack: Stack) -> None:
    """R03, R06: the results are all that the client sends; two calls of one turn, streamed."""
    stack.simulator.queue.extend(
        [tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})), text("Rain and sun.")]
    )
    async with stack.client.responses.stream(model="sonnet", input="Weather?", tools=[WEATHER]) as stream:
        first = await stream.get_final_response()
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Paris", "Rome"]
    outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": call.arguments} for call in calls]
    second = await stack.ask(outputs, previous_response_id=first.id, tools=[WEATHER])
    assert second.output_text == "Rain and sun."
    last = stack.simulator.seen[-1].conversation[-1]
    assert [block["tool_use_id"] for block in last[1]] == [call.call_id for call in calls]


async def test_r06_it_all_lands_on_the_process_that_holds_the_conversation(cli: Stack) -> None:
    """R06, K01: four turns, with a tool's in the middle, are one process, and it is never told anything again."""
    cli.simulator.queue.extend(
        [text("One."), tool_calls(("get_weather", {"city": "Rome"})), text("Sun."), text("Bye.")]
    )
    assert cli.real is not None
    fields: dict[str, Any] = {"tools": [WEATHER], "instructions": "Be kind."}
    response = await cli.ask("hi", **fields)
    pids = cli.real.pids()
    response = await cli.ask("weather?", previous_response_id=response.id, **fields)
    output = {"type": "function_call_output", "call_id": response.output[0].call_id, "output": "sun"}
    response = await cli.ask([output], previous_response_id=response.id, **fields)
    response = await cli.ask("bye", previous_response_id=response.id, **fields)
    assert response.output_text == "Bye."
    assert cli.real.pids() == pids
    assert len(pids) == 1
    assert len(set(cli.sessions)) == 1


async def test_r06_two_ways_on_from_one_response_are_two_processes(cli: Stack) -> None:
    """K01, K03: the second is told the conversation anew, and it is the same upstream."""
    cli.simulator.queue.extend([text("One."), text("Two."), text("Two again.")])
    first = await cli.ask("first")
    await cli.ask("second", previous_response_id=first.id)
    await cli.ask("second", previous_response_id=first.id)
    _, held, rebuilt = cli.simulator.seen
    assert held.conversation == rebuilt.conversation
    assert cli.sessions[0] == cli.sessions[1] != cli.sessions[2]


async def test_r04_thoughts_go_back_with_their_signature(tmp_path: Path) -> None:
    """R04: what the model thought before a call is upstream again, though the client sends only the result."""
    async with standing("key", tmp_path) as stack:
        call = {"type": "tool_use", "name": "get_weather", "input": {"city": "Rome"}, "id": "toolu_1"}
        thought = thinking("Rome, then.")
        stack.simulator.queue.extend(
            [type(thought)(blocks=(*thought.blocks, call), stop_reason="tool_use"), text("Sun.")]
        )
        fields: dict[str, Any] = {"tools": [WEATHER], "reasoning": {"effort": "high", "summary": "auto"}}
        first = await stack.ask("weather?", **fields)
        output = {"type": "function_call_output", "call_id": "toolu_1", "output": "sun"}
        second = await stack.ask([output], previous_response_id=first.id, **fields)
        assert second.output_text == "Sun."
        assert stack.simulator.seen[-1].conversation[1][1] == [*thought.blocks, call]


async def test_r05_failures_are_the_sdk_s_own_errors(stack: Stack) -> None:
    """R05: before the stream a status, in it ``response.failed``."""
    stack.simulator.queue.append(error(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"))
    with pytest.raises(openai.BadRequestError):
        await stack.ask()
    stack.simulator.queue.append(text("one two three", error_after=2, error={"type": "api_error", "message": "broke"}))
    events = [event async for event in await stack.ask(stream=True)]
    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None
    with pytest.raises(openai.NotFoundError):
        await stack.ask(model="no-such-model")


def files(folder: Path) -> list[Path]:
    """Give what is kept on disk."""
    return list(folder.glob("data/*"))


async def test_r06_store_false_keeps_nothing(stack: Stack, tmp_path: Path) -> None:
    """R06: there isn't even a file."""
    response = await stack.ask(store=False)
    with pytest.raises(openai.NotFoundError):
        await stack.client.responses.retrieve(response.id)
    assert files(tmp_path) == []
    await stack.ask()
    await until(lambda: files(tmp_path))
