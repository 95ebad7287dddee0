"""Turns through the real CLI: what arrives upstream, and what comes back."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from typing import Any

import pytest
from real_cli import OLDER, MakeReal, Real, assistant, results_for, until, user

from claude_proxy.canon.blocks import Image, Source, Text, ToolResult, ToolUse
from claude_proxy.canon.events import TextDelta
from claude_proxy.canon.request import Reasoning, Tool, ToolChoice
from claude_proxy.errors import BadRequest, UnknownModel
from claude_proxy.simulator import MODELS, text, thinking, tool_calls

WEATHER = Tool(
    name="get_weather",
    description="The weather of a city.",
    input_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def png(width: int = 2, height: int = 2) -> str:
    """Give a small PNG in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data).to_bytes(4)
        return len(data).to_bytes(4) + kind + data + checksum

    header = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\x00\x00\x00"
    rows = zlib.compress(b"".join(b"\x00" + b"\xff\x00\x00" * width for _ in range(height)))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


async def test_text_comes_back_piece_by_piece_with_the_upstreams_usage(real: Real) -> None:
    """C36, C33: deltas arrive as sent, emoji, CRLF and NUL included, and counts are the upstream's own."""
    pieces = ("Hé", "llo 👩‍👩‍👧", "\r\n", "a\x00b", "x" * 100_000)
    usage = {"input_tokens": 11, "output_tokens": 7, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 3}
    real.simulator.queue.append(text(*pieces, usage=usage))
    outcome = await real.ask(user("hi"))
    assert [event.text for event in outcome.events if isinstance(event, TextDelta)] == list(pieces)
    counts = outcome.reply.usage
    assert (counts.input_tokens, counts.output_tokens) == (11, 7)
    assert (counts.cache_creation_input_tokens, counts.cache_read_input_tokens) == (5, 3)
    assert outcome.reply.stop_reason == "end_turn"


async def test_system_blocks_replace_the_clis_own_prompt(real: Real) -> None:
    """C01: the client's system text stands alone behind the CLI's two unavoidable lines."""
    await real.ask(user("hi"), system=(Text(text="First."), Text(text="Second.")))
    system = [block["text"] for block in real.upstream[0]["system"]]
    assert system[-1] == "First.\n\nSecond."
    assert len(system) == 3
    assert sum(map(len, system)) < 300


async def test_history_arrives_with_its_roles_and_blocks(real: Real) -> None:
    """A conversation with images and a whole tool loop arrives natively, and is asked once."""
    picture = Image(source=Source(type="base64", media_type="image/png", data=png()))
    use = ToolUse(id="toolu_1", name="gone_tool", input={"city": "Rome"})
    other = ToolUse(id="toolu_2", name="gone_tool", input={})
    result = ToolResult(tool_use_id="toolu_1", content=(Text(text="sunny"), picture))
    failed = ToolResult(tool_use_id="toolu_2", content=(Text(text="no"),), is_error=True)
    await real.ask(
        user("look", picture),
        assistant("I see.", use, other),
        user(result, failed, "and now?"),
        assistant("Well."),
        user("last"),
    )
    conversation = real.simulator.seen[0].conversation
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png()}}
    assert conversation == [
        ("user", [{"type": "text", "text": "look"}, image]),
        (
            "assistant",
            [
                {"type": "text", "text": "I see."},
                {"type": "tool_use", "id": "toolu_1", "name": "gone_tool", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "toolu_2", "name": "gone_tool", "input": {}},
            ],
        ),
        (
            "user",
            [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": [{"type": "text", "text": "sunny"}, image],
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "no"}],
                    "is_error": True,
                },
                {"type": "text", "text": "and now?"},
            ],
        ),
        ("assistant", [{"type": "text", "text": "Well."}]),
        ("user", [{"type": "text", "text": "last"}]),
    ]
    assert len(real.upstream) == 1


async def test_an_older_model_gets_every_parameter(older: Real) -> None:
    """Sampling, stop sequences, a forced tool and max_tokens arrive upstream; thinking nobody asked for is off."""
    await older.ask(
        user("hi"),
        model=OLDER,
        temperature=0.25,
        top_k=7,
        max_tokens=777,
        stop_sequences=("END", "STOP"),
        tools=(WEATHER,),
        tool_choice=ToolChoice(type="tool", name="get_weather", disable_parallel_tool_use=True),
    )
    body = older.upstream[0]
    sent = {name: body[name] for name in ("model", "temperature", "top_k", "max_tokens", "stop_sequences", "thinking")}
    assert sent == {
        "model": OLDER,
        "temperature": 0.25,
        "top_k": 7,
        "max_tokens": 777,
        "stop_sequences": ["END", "STOP"],
        "thinking": {"type": "disabled"},
    }
    assert body["tool_choice"] == {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    assert not older.outcomes[0].turn.losses


async def test_max_tokens_defaults_to_and_is_held_to_the_models_own_maximum(real: Real) -> None:
    """C15, C39: nothing asked for is the model's maximum, and more than it is lowered to it."""
    await real.ask(user("hi"))
    await real.ask(user("hi"), max_tokens=10_000_000)
    await real.ask(user("hi"), model=OLDER)
    assert [body["max_tokens"] for body in real.upstream] == [128_000, 128_000, 64_000]


async def test_what_a_model_refuses_is_left_out_and_named(real: Real) -> None:
    """C09b: on a model that always thinks, sampling and a forced tool are losses, and the model still answers."""
    outcome = await real.ask(
        user("hi"),
        temperature=0.2,
        top_p=0.5,
        top_k=3,
        tools=(WEATHER,),
        tool_choice=ToolChoice(type="any"),
        reasoning=Reasoning(mode="off"),
    )
    assert set(outcome.turn.losses) == {"temperature", "top_p", "top_k", "tool_choice", "reasoning"}
    body = real.upstream[0]
    assert not {"temperature", "top_p", "top_k"} & body.keys()
    assert body["tool_choice"]["type"] == "auto"
    assert "must call" in body["system"][-1]["text"]
    assert len(real.upstream) == 1


async def test_strict_refuses_what_would_be_lost(real: Real) -> None:
    """C09b: strict turns the loss into a 400 that names the field, and nothing goes upstream."""
    with pytest.raises(BadRequest) as caught:
        await real.ask(user("hi"), temperature=0.2, strict=True)
    assert caught.value.param == "temperature"
    assert not real.upstream


async def test_a_refusal_by_a_model_we_dont_know_is_met_once_and_remembered(make_real: MakeReal) -> None:
    """C09b: a 400 that names a parameter leads to another try without it; the next request leaves it out at once."""
    models = {**MODELS, "claude-sonnet-4-6": replace(MODELS["claude-sonnet-4-6"], always_thinks=True)}
    real = await make_real(models=models, warm_models=("claude-sonnet-4-6",))
    outcome = await real.ask(user("hi"), model="claude-sonnet-4-6", temperature=0.2)
    assert outcome.turn.losses == ["temperature"]
    tries = len(real.upstream)
    assert tries > 1
    await real.ask(user("hi"), model="claude-sonnet-4-6", temperature=0.2)
    assert len(real.upstream) == tries + 1


async def test_both_temperature_and_top_p_on_a_model_that_takes_one(older: Real) -> None:
    """C16: the loss is named and the client sees no 400."""
    outcome = await older.ask(user("hi"), model=OLDER, temperature=0.2, top_p=0.97)
    assert outcome.turn.losses == ["top_p"]
    assert older.upstream[-1]["temperature"] == 0.2


async def test_a_json_schema_arrives_natively_and_shapes_the_reply(real: Real) -> None:
    """C18: structured output is asked for upstream."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    outcome = await real.ask(user("hi"), output_schema=schema)
    assert real.upstream[0]["output_config"]["format"] == {"type": "json_schema", "schema": schema}
    assert outcome.text.startswith("{")


@pytest.mark.parametrize("effort", ["low", "max"])
async def test_effort_arrives_and_thinking_comes_back(real: Real, effort: Any) -> None:
    """C14: effort goes to an adaptive model; asked-for thinking streams with its signature."""
    real.simulator.queue.append(thinking("Let me see.", "Done."))
    outcome = await real.ask(user("hi"), reasoning=Reasoning(mode="on", effort=effort, visible=True))
    body = real.upstream[0]
    assert body["output_config"]["effort"] == effort
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    block = outcome.reply.content[0]
    assert getattr(block, "thinking", None) == "Let me see."
    assert getattr(block, "signature", "").startswith("sig")


async def test_effort_is_a_budget_on_a_model_without_adaptive_thinking(older: Real) -> None:
    """C14: an older model refuses adaptive thinking once, and gets a budget below max_tokens."""
    await older.ask(
        user("hi"), model=OLDER, reasoning=Reasoning(mode="on", effort="high", visible=True), max_tokens=4000
    )
    assert older.upstream[-1]["thinking"] == {"type": "enabled", "budget_tokens": 3999}


async def test_user_is_a_named_loss_on_a_plan_login(real: Real) -> None:
    """C20: the CLI's own metadata stays."""
    outcome = await real.ask(user("hi"), user_id="somebody")
    assert outcome.turn.losses == ["user_id"]
    assert "somebody" not in str(real.upstream[0]["metadata"])


async def test_parallel_tool_calls_are_held_and_answered_on_the_same_child(real: Real) -> None:
    """K01: two calls stream out, their results arrive natively, and the process is the same."""
    real.simulator.queue.append(tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Rome"})))
    first = await real.ask(user("weather?"), tools=(WEATHER,))
    assert first.reply.stop_reason == "tool_use"
    before = real.pids()
    results = results_for(first.reply, "rain", "sun")
    second = await real.ask(user("weather?"), first.said, results, tools=(WEATHER,))
    assert real.pids() == before
    ids = [block.id for block in first.reply.content if isinstance(block, ToolUse)]
    last = real.simulator.seen[-1].conversation[-1]
    assert [(block["tool_use_id"], block["content"][0]["text"]) for block in last[1]] == [
        (ids[0], "rain"),
        (ids[1], "sun"),
    ]
    assert second.text


async def test_upstream_sees_the_clients_tools_under_their_own_names(real: Real) -> None:
    """Tool names, descriptions and schemas arrive unchanged, long ones and a name of the CLI's own included."""
    long = Tool(name="Bash", description="d" * 9000, input_schema=WEATHER.input_schema)
    outcome = await real.ask(user("hi"), tools=(WEATHER, long))
    tools = {tool["name"]: tool for tool in real.upstream[0]["tools"]}
    assert tools.keys() == {"get_weather", "Bash"}
    assert tools["Bash"]["description"] == "d" * 9000
    assert tools["get_weather"]["input_schema"] == WEATHER.input_schema
    assert not outcome.turn.losses


async def test_odd_tool_schemas_are_made_plain_and_named(real: Real) -> None:
    """C08, K12: no tool vanishes because of another one's schema."""
    odd = (
        Tool(name="none", input_schema={}),
        Tool(name="union", input_schema={"anyOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {}}]}),
        Tool(name="listed", input_schema={"type": ["object", "null"], "required": None, "properties": None}),
        Tool(name="loose", input_schema={"type": "object", "properties": {"x": True}}),
        Tool(name="deep", input_schema={"properties": {"x": {"type": "object", "properties": {"a b": True}}}}),
        WEATHER,
    )
    outcome = await real.ask(user("hi"), tools=odd)
    assert {tool["name"] for tool in real.upstream[0]["tools"]} == {tool.name for tool in odd}
    assert outcome.turn.losses == ["tools.input_schema"]


async def test_a_prefill_becomes_a_request_to_go_on(real: Real) -> None:
    """A conversation that ends with the assistant's words is answered, and the change is named."""
    outcome = await real.ask(user("count"), assistant("one, two"))
    assert outcome.turn.losses == ["prefill"]
    assert [role for role, _ in real.simulator.seen[0].conversation] == ["user", "assistant", "user"]


async def test_image_urls_go_upstream_as_they_are(real: Real) -> None:
    """C12: the API fetches a URL itself; nothing is fetched here."""
    await real.ask(user("look", Image(source=Source(type="url", url="https://example.com/cat.png"))))
    block = real.simulator.seen[0].conversation[0][1][1]
    assert block["source"] == {"type": "url", "url": "https://example.com/cat.png"}


async def test_models_are_what_the_cli_lists(real: Real) -> None:
    """L01: exact ids, and the names that lead to them."""
    models = await real.backend.models()
    assert any("sonnet" in model.aliases and model.id.startswith("claude-sonnet-") for model in models)
    assert len({model.id for model in models}) == len(models)


async def test_an_old_name_goes_to_its_familys_current_model(real: Real) -> None:
    """L02: named as lost, true in the reply's model, and remembered; no spare is wanted under the old name."""
    outcome = await real.ask(user("hi"), model="claude-sonnet-4")
    assert "claude-sonnet-4" not in real.backend._pool._prediction.demand(0.0).models
    assert outcome.turn.losses == ["model"]
    assert outcome.reply.model == "claude-sonnet-5-5"
    asked = len(real.upstream)
    assert (await real.ask(user("hi"), model="claude-sonnet-4")).turn.losses == ["model"]
    assert len(real.upstream) == asked + 1


async def test_strict_has_no_stand_in_for_an_old_name(real: Real) -> None:
    """L02: strict gives the upstream's 404."""
    with pytest.raises(UnknownModel):
        await real.ask(user("hi"), model="claude-sonnet-4", strict=True)


async def test_the_next_conversation_finds_a_child_that_knows_its_prompt_and_tools(make_real: MakeReal) -> None:
    """A client tends to come back with the same system prompt and tools: they are told to a spare beforehand."""
    real = await make_real(warm=1)
    told: dict[str, Any] = {"system": (Text(text="You are brief."),), "tools": (WEATHER,)}
    await real.ask(user("first conversation"), **told)
    await real.ask(user("another first conversation"), **told)
    pool = real.backend._pool
    await until(lambda: any(m.state.prepared for m in pool.crew.members.values() if m.child.spoke), 10.0)
    prepared = {number for number, member in pool.crew.members.items() if member.state.prepared}
    outcome = await real.ask(user("third conversation"), **told)
    assert outcome.text
    used = {number for number, member in pool.crew.members.items() if member.state.key}
    assert prepared <= used
    first, _, second = (seen.body for seen in real.simulator.seen)
    assert first["system"][-1] == second["system"][-1]
    assert first["tools"] == second["tools"]
    assert "first conversation" not in str(second)


async def test_a_prepared_child_is_never_lent_to_another_client(make_real: MakeReal) -> None:
    """K02: the same words of another client get a child that has been told nothing yet."""
    real = await make_real(warm=1)
    told: dict[str, Any] = {"system": (Text(text="You are brief."),)}
    await real.ask(user("hi"), client="a", **told)
    await real.ask(user("hi"), client="a", **told)
    pool = real.backend._pool
    await until(lambda: any(m.state.prepared for m in pool.crew.members.values() if m.child.spoke), 10.0)
    prepared = {number for number, member in pool.crew.members.items() if member.state.prepared}
    await real.ask(user("hi"), client="b", **told)
    assert all(pool.crew.members[number].state.phase.name == "WARM" for number in prepared)


async def test_max_tokens_is_each_requests_own_within_a_tool_loop(real: Real) -> None:
    """C15: neither a number nor its absence sticks to the process that holds the calls."""
    real.simulator.queue.extend([tool_calls(("get_weather", {})), tool_calls(("get_weather", {}))])
    first = await real.ask(user("go"), tools=(WEATHER,), max_tokens=777)
    messages = [user("go"), first.said, results_for(first.reply, "rain")]
    second = await real.ask(*messages, tools=(WEATHER,), max_tokens=4321)
    messages += [second.said, results_for(second.reply, "sun")]
    await real.ask(*messages, tools=(WEATHER,))
    assert [body["max_tokens"] for body in real.upstream] == [777, 4321, 128_000]


async def test_parameters_hold_for_the_next_turn_and_change_with_it(make_real: MakeReal) -> None:
    """They are told to a process only when they change, and every upstream request has them."""
    real = await make_real(warm_models=("claude-sonnet-4-6",))
    talk = [user("hi")]
    for temperature in (0.25, 0.25, None, 0.5, 0.5):
        outcome = await real.ask(*talk, model="claude-sonnet-4-6", temperature=temperature)
        assert outcome.turn.losses == []
        talk += [outcome.said, user("more")]
    assert [seen.body.get("temperature") for seen in real.simulator.seen] == [0.25, 0.25, None, 0.5, 0.5]
    assert len(real.pids()) <= 2
