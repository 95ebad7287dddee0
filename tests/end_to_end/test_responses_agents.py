"""The OpenAI Agents SDK as a client of the Responses API: it runs its own tools until the model has its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agents import Agent, OpenAIResponsesModel, RunConfig, Runner, function_tool
from responses_stack import Stack, standing

from claude_proxy.simulator import text, tool_calls

QUIET = RunConfig(tracing_disabled=True)


@function_tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a server on the real CLI whose model asks a tool first."""
    async with standing("cli", tmp_path) as made:
        made.simulator.queue.extend([tool_calls(("weather", {"city": "Rome"})), text("It is sunny in Rome.")])
        yield made


@pytest.fixture
def agent(stack: Stack) -> Agent[None]:
    """Give an agent with a tool."""
    model = OpenAIResponsesModel("sonnet", stack.client)
    return Agent("reporter", instructions="Ask your tool.", tools=[weather], model=model)


def results(stack: Stack) -> list[str]:
    """Give what the tool said, as it arrived upstream."""
    (block,) = stack.simulator.seen[1].conversation[-1][1]
    return [part["text"] for part in block["content"]]


async def test_a_tool_session(stack: Stack, agent: Agent[None]) -> None:
    """It sends all that was said each time."""
    result = await Runner.run(agent, "weather?", run_config=QUIET)
    assert result.final_output == "It is sunny in Rome."
    assert results(stack) == ["sunny in Rome"]
    assert len(set(stack.sessions)) == 1


async def test_a_streamed_tool_session(stack: Stack, agent: Agent[None]) -> None:
    """The same, event by event."""
    result = Runner.run_streamed(agent, "weather?", run_config=QUIET)
    names = [event.name async for event in result.stream_events() if event.type == "run_item_stream_event"]
    assert names == ["tool_called", "tool_output", "message_output_created"]
    assert result.final_output == "It is sunny in Rome."
    assert results(stack) == ["sunny in Rome"]


async def test_r06_a_session_that_goes_on_from_the_last_response(stack: Stack, agent: Agent[None]) -> None:
    """R06: it sends only what is new, and the next run goes on."""
    stack.simulator.queue.append(text("You're welcome."))
    first = await Runner.run(agent, "weather?", run_config=QUIET, auto_previous_response_id=True)
    assert results(stack) == ["sunny in Rome"]
    second = await Runner.run(agent, "thanks", run_config=QUIET, previous_response_id=first.last_response_id)
    assert second.final_output == "You're welcome."
    assert len(stack.simulator.seen[-1].conversation) == 5
    assert len(set(stack.sessions)) == 1
