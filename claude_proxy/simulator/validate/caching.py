"""The cache marks of a request: how many, of which kind, in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from claude_proxy.errors import BadRequest
from claude_proxy.simulator.script import Json
from claude_proxy.simulator.validate.fields import one_of, refuse, shape

_MOST = 4


def check_cache_marks(body: Json) -> None:
    """Refuse too many marks, unknown ones, and a long-lived one after a short-lived one."""
    marks = list(_marks(body))
    for path, mark in marks:
        shape(mark, path, {"type": "string"}, {"ttl": "string", "scope": "string"})
        one_of(mark["type"], f"{path}.type", ("ephemeral",))
        one_of(mark.get("ttl") or "5m", f"{path}.ttl", ("5m", "1h"))
    if len(marks) > _MOST:
        raise BadRequest(f"A maximum of {_MOST} blocks with cache_control may be provided. Found {len(marks)}.")
    short = False
    for path, mark in marks:
        if mark.get("ttl") != "1h":
            short = True
        elif short:
            refuse(
                f"{path}.ttl",
                "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks "
                "are processed in the following order: `tools`, `system`, `messages`.",
            )


def _marks(body: Json) -> Iterator[tuple[str, Any]]:
    """Give the marks in the order in which the API processes them."""
    yield from _in_blocks(body.get("tools"), "tools")
    yield from _in_blocks(body.get("system"), "system")
    for index, message in enumerate(body["messages"]):
        yield from _in_blocks(message["content"], f"messages.{index}.content")
    if body.get("cache_control") is not None:
        yield "cache_control", body["cache_control"]


def _in_blocks(blocks: Any, path: str) -> Iterator[tuple[str, Any]]:
    for index, block in enumerate(blocks if isinstance(blocks, list) else ()):
        if block.get("type") == "tool_result":
            yield from _in_blocks(block.get("content"), f"{path}.{index}.content")
        if block.get("cache_control") is not None:
            yield f"{path}.{index}.cache_control", block["cache_control"]
