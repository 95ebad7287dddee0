"""Results of tools, given to the process that waits for them and told to a new one: the model sees the same."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from real_cli import Real, user

from claude_proxy.canon.blocks import AnyBlock, Image, Source, Text, ToolResult, ToolUse
from claude_proxy.canon.request import Message, Tool
from claude_proxy.simulator import tool_calls

NOTE = Tool(name="note", input_schema={"type": "object", "properties": {}})
_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PICTURE = Image(source=Source(type="base64", media_type="image/png", data=base64.b64encode(_PIXEL).decode()))
RESULTS: dict[str, tuple[Any, ...]] = {
    "49 k": (Text(text="x" * 49_000),),
    "60 k": (Text(text="y" * 60_000),),
    "600 k": (Text(text="z" * 600_000),),
    "nothing": (),
    "a picture": (PICTURE,),
    "words and a picture": (Text(text="see"), PICTURE),
}


def kept_on_disk(folder: Path, content: tuple[Any, ...]) -> list[Path]:
    """Give the files in the CLI's folders that hold any of this."""
    marks = [item.text[:1000].encode() for item in content if isinstance(item, Text) and len(item.text) > 1000]
    marks += [mark for item in content if isinstance(item, Image) for mark in (_PIXEL, item.source.data.encode())]  # type: ignore[union-attr]  # it has data
    files = [file for place in ("config", "home", "work") for file in (folder / place).rglob("*") if file.is_file()]
    assert files, "the CLI writes something at least"
    return [file for file in files if any(mark in file.read_bytes() for mark in marks)]


async def results_as_told(real: Real, talk: tuple[Message, ...], client: str) -> list[Any]:
    """Go on with a conversation, and give the results that arrive upstream."""
    await real.ask(*talk, tools=(NOTE,), client=client)
    return [
        {name: value for name, value in block.items() if name not in {"cache_control", "tool_use_id"}}
        for block in real.simulator.seen[-1].conversation[-1][1]
    ]


@pytest.mark.parametrize("kind", RESULTS)
async def test_results_arrive_whole_on_both_ways_and_nowhere_else(real: Real, kind: str) -> None:
    """K05: whatever their size, held and rebuilt are alike, and the CLI keeps no copy of them in a file."""
    real.simulator.queue.append(tool_calls(("note", {})))
    first = await real.ask(user("note it"), tools=(NOTE,), client="a")
    (call,) = [block.id for block in first.reply.content if isinstance(block, ToolUse)]
    result: AnyBlock = ToolResult(tool_use_id=call, content=RESULTS[kind])
    talk = (user("note it"), first.said, user(result))
    held = await results_as_told(real, talk, "a")
    rebuilt = await results_as_told(real, talk, "b")  # whose process has heard nothing of it
    assert held == rebuilt
    assert kept_on_disk(real.folder, RESULTS[kind]) == []
    texts = [item.get("text") for block in held for item in block["content"] or () if item["type"] == "text"]
    images = [item["source"]["data"] for block in held for item in block["content"] or () if item["type"] == "image"]
    assert [text for text in texts if text] == [item.text for item in RESULTS[kind] if getattr(item, "text", "")]
    assert images == [item.source.data for item in RESULTS[kind] if isinstance(item, Image)]
