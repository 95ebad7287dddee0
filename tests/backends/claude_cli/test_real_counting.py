"""Counting tokens through the real CLI: the upstream is asked, and no number is anybody's guess."""

from __future__ import annotations

from typing import Any

import pytest
from real_cli import MakeReal, Real, assistant, until, user

from claude_proxy.backends.base import Call
from claude_proxy.backends.claude_cli.counting import COUNTING
from claude_proxy.canon.blocks import Image, Source, Text, Thinking, ToolResult, ToolUse
from claude_proxy.canon.request import Message, Request, Tool
from claude_proxy.errors import BadRequest, NotSignedIn, UnknownModel
from claude_proxy.simulator import MODELS

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = Tool(
    name="weather",
    description="The weather of a city",
    input_schema={"type": "object", "properties": {"city": {"type": "string", "description": "its name"}}},
)


@pytest.fixture
async def counting(make_real: MakeReal) -> Real:
    """Give one whose first process, which lists the models, is one that counts: the first count needs no other."""
    made: Real = await make_real(warm_models=("sonnet" + COUNTING,))
    return made


async def count(real: Real, *messages: Message, **fields: Any) -> int:
    """Count a request's tokens."""
    request = Request(messages=messages, **{"model": "sonnet", **fields})
    counted: int = await real.backend.count_tokens(Call(request))
    return counted


async def test_system_tools_and_history_each_count(counting: Real) -> None:
    """M05: the simulator counts words, so each part's share is known to the token, however small."""
    plain = await count(counting, user("one two three"))
    system = await count(counting, user("one two three"), system=(Text(text="four five"),))
    tools = await count(counting, user("one two three"), tools=(TOOL,))
    history = await count(counting, user("one two three"), assistant("four"), user("five six"))
    assert (plain, system, tools, history) == (3, 5, 11, 6)


async def test_the_upstream_is_asked_and_the_model_is_not(counting: Real) -> None:
    """M05: the count endpoint has seen each part as it was sent; no message was asked for."""
    content = user("look", Image(source=Source(type="base64", media_type="image/png", data=PIXEL)))
    use = ToolUse(id="toolu_1", name="weather", input={"city": "Rome"})
    result = ToolResult(tool_use_id="toolu_1", content=(Text(text="sunny"),))
    await count(counting, content, assistant(use), user(result), system=(Text(text="Be brief."),), tools=(TOOL,))
    bodies = [seen.body for seen in counting.simulator.counted]
    conversation = next(seen.conversation for seen in counting.simulator.counted if len(seen.conversation) == 3)
    assert [role for role, _ in conversation] == ["user", "assistant", "user"]
    assert conversation[0][1][1]["source"]["data"] == PIXEL
    assert conversation[2][1][0]["tool_use_id"] == "toolu_1"
    assert any("Be brief." in str(body["messages"]) for body in bodies)
    assert any(tool["name"] == "weather" for body in bodies for tool in body["tools"])
    assert {body["model"] for body in bodies} == {"claude-sonnet-5-5"}
    assert not counting.simulator.seen


async def test_thinking_of_the_history_is_counted_as_it_came(counting: Real) -> None:
    """M03: a thought with its signature is in what the upstream counts."""
    thought = Thinking(thinking="let me see", signature="c2ln")
    counting.simulator._signatures.add("c2ln")
    total = await count(counting, user("one"), assistant(thought, "two"), user("three"))
    assert total == 6
    assert any("c2ln" in str(seen.body) for seen in counting.simulator.counted)


async def test_a_refused_count_is_the_upstreams_error_not_an_estimate(make_real: MakeReal) -> None:
    """M05: where the upstream doesn't count, the CLI estimates without a word; that never gets out."""
    real = await make_real(models={name: rules for name, rules in MODELS.items() if "haiku" not in name})
    with pytest.raises(UnknownModel):
        await count(real, user("one two three"), model="haiku")
    bad = Thinking(thinking="never said", signature="forged")
    with pytest.raises(BadRequest, match="signature"):
        await count(real, user("one"), assistant(bad, "two"), user("three"))


async def test_only_the_first_count_with_tools_measures_the_yardstick(counting: Real) -> None:
    """What the yardstick comes to is asked once for each model; afterwards a count is three requests."""
    await count(counting, user("hi"), tools=(TOOL,))
    before = len(counting.simulator.counted)
    again = await count(counting, user("hi there"), tools=(TOOL,), system=(Text(text="a b"),))
    assert again == 2 + 2 + 8
    assert len(counting.simulator.counted) == before + 3


async def test_nobody_signed_in_is_said(make_real: MakeReal) -> None:
    """K10: the same advice as for a turn."""
    real = await make_real(signed_in=False)
    with pytest.raises(NotSignedIn, match="claude-proxy login"):
        await count(real, user("hi"))


async def test_an_old_name_of_a_family_counts_as_its_current_model(counting: Real) -> None:
    """L02: as a turn would be answered by it."""
    assert await count(counting, user("one two"), model="claude-sonnet-4") == 2
    assert counting.simulator.counted[-1].body["model"] == "claude-sonnet-5-5"


async def test_a_child_that_has_counted_is_used_for_nothing_else(real: Real) -> None:
    """K02: it holds a conversation, so it is ended, and the next turn's child knows nothing of it."""
    await count(real, user("the secret word"), system=(Text(text="hush"),))
    await until(lambda: real.backend._pool.counts()["leaving"] == 0)
    await real.ask(user("hi"))
    assert "secret" not in str(real.upstream)
    assert "hush" not in str(real.upstream)
    assert "yardstick" not in str(real.upstream)
