"""What the simulator was asked, for a test to look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from claude_proxy.simulator.script import Json


@dataclass
class Seen:
    """One request as it arrived, and what became of it.

    Attributes:
        body: The JSON body; empty where it wasn't a JSON object.
        headers: The request's headers; look-up ignores case.
        path: Path and query string.
        at: When it came, on the monotonic clock.
        gone: The client left before the answer's end.
        finished: The answer went out whole, as it was scripted.
        status: The HTTP status of the answer.
        problem: What the rules refused it for.
    """

    body: Json
    headers: Mapping[str, str]
    path: str
    at: float
    gone: bool = False
    finished: bool = False
    status: int = 0
    problem: str | None = None

    @property
    def conversation(self) -> list[tuple[str, list[Json]]]:
        """The turns as (role, blocks): no system messages, no cache marks, every content as a list of blocks."""
        messages = self.body.get("messages", ())
        return [(m["role"], _plain(m["content"])) for m in messages if m["role"] != "system"]


def _plain(content: str | list[Json]) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [
        {name: _inner(name, value) for name, value in block.items() if name != "cache_control"} for block in content
    ]


def _inner(name: str, value: Any) -> Any:
    return _plain(value) if name == "content" and isinstance(value, str | list) else value
