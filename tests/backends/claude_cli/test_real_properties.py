"""K12: whichever way a conversation gets into a child, the upstream sees the same."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from real_cli import Real, running, user

from claude_proxy.canon.blocks import AnyBlock, Image, Source, Text, ToolResult, ToolUse
from claude_proxy.canon.request import Tool
from claude_proxy.simulator import Simulator, text, tool_calls

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

schemas: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": None},
        {"type": ["object", "null"], "properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": True, "b": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
        {"anyOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}]},
        {"oneOf": "nonsense"},
        {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, None]},
        {"type": "object", "required": None, "$schema": "http://json-schema.org/draft-07/schema#"},
        {"type": "object", "properties": {"deep": {"type": "object", "required": None, "properties": None}}},
        {"type": "string"},
        {
            "type": "object",
            "properties": {"e_1.x-y": {"type": "integer", "enum": [1, None]}},
            "additionalProperties": {},
        },
    ]
)
results = st.one_of(
    st.tuples(st.just("text"), st.sampled_from([0, 1, 80, 49_000, 60_000, 451_000])),
    st.tuples(st.just("image"), st.just(1)),
    st.tuples(st.just("both"), st.sampled_from([1, 49_000])),
)


@dataclass(frozen=True)
class Case:
    """A tool loop."""

    tools: tuple[Tool, ...]
    results: tuple[tuple[str, int], ...]
    failed: bool
    trailing: str


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw tools with odd schemas, results of all sizes, and perhaps some text behind them."""
    tools = tuple(
        Tool(name=f"tool_{number}", description="d" * number, input_schema=draw(schemas))
        for number in range(draw(st.integers(1, 8)))
    )
    return Case(
        tools=tools,
        results=tuple(draw(st.lists(results, min_size=1, max_size=5))),
        failed=draw(st.booleans()),
        trailing=draw(st.sampled_from(["", "", "@/etc/hostname and more", "/clear"])),
    )


def content_of(kind: str, size: int, *, failed: bool) -> tuple[Any, ...]:
    """Make a result's content. A failed one is text only: the API takes nothing else."""
    words = (Text(text="é" * size),) if size and kind != "image" else ()
    picture = (Image(source=Source(type="base64", media_type="image/png", data=PIXEL)),)
    return words if kind == "text" or failed else (*words, *picture)


async def held_and_rebuilt(case: Case) -> tuple[list[Any], list[Any], set[str]]:
    """Run the loop on one child, then tell all of it to another; give what the upstream saw of both."""
    with tempfile.TemporaryDirectory() as folder:
        async with Simulator() as simulator, running(Path(folder), simulator) as backend:
            real = Real(backend, simulator, Path(folder))
            calls = [("tool_0", {"number": number}) for number in range(len(case.results))]
            simulator.queue.append(tool_calls(*calls, text="I look."))
            first = await real.ask(user("go"), tools=case.tools)
            uses = [block for block in first.reply.content if isinstance(block, ToolUse)]
            answers: list[AnyBlock] = [
                ToolResult(
                    tool_use_id=use.id,
                    content=content_of(*result, failed=case.failed),
                    is_error=case.failed,
                )
                for use, result in zip(uses, case.results, strict=True)
            ]
            messages = (user("go"), first.said, user(*answers, *([case.trailing] if case.trailing else [])))
            simulator.queue.extend([text("same"), text("same")])
            await real.ask(*messages, tools=case.tools)
            await real.ask(*messages, tools=case.tools, client="somebody else")
            held, rebuilt = simulator.seen[-2:]
            offered = {tool["name"] for tool in rebuilt.body["tools"]}
            assert [tool["name"] for tool in held.body["tools"]] == [tool["name"] for tool in rebuilt.body["tools"]]
            return in_order(held.conversation), in_order(rebuilt.conversation), offered


def in_order(conversation: list[Any]) -> list[Any]:
    """Give the conversation with each turn's results by call: the CLI adds held ones as it has done with them."""
    last = conversation[-1]
    results = sorted((block for block in last[1] if block["type"] == "tool_result"), key=lambda b: b["tool_use_id"])
    return [*conversation[:-1], (last[0], [*results, *(b for b in last[1] if b["type"] != "tool_result")])]


# Large examples and few: each takes two or three processes.
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(cases())
def test_a_tool_loop_is_the_same_upstream_held_or_rebuilt(case: Case) -> None:
    """K12: same roles and blocks on both ways, nothing cut, and no tool dropped in silence."""
    held, rebuilt, offered = asyncio.run(held_and_rebuilt(case))
    assert held == rebuilt
    assert offered == {tool.name for tool in case.tools}
    sent = [block for block in rebuilt[-1][1] if block["type"] == "tool_result"]
    for block, (kind, size) in zip(sent, case.results, strict=True):
        texts = "".join(item["text"] for item in block.get("content") or [] if item["type"] == "text")
        assert len(texts) == (size if kind != "image" else 0)
