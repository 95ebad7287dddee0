"""One child in front of a simulator of its own, and the conversation that the probe has with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claude_proxy.backends.claude_cli import conversation, parameters, tools, transcript
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.conversation import Task
from claude_proxy.backends.claude_cli.parameters import Abilities
from claude_proxy.canon.blocks import AnyBlock, Json, Text, ToolResult
from claude_proxy.canon.collect import Collector
from claude_proxy.canon.collect import Reply as Collected
from claude_proxy.canon.request import Message, Request
from claude_proxy.simulator import Reply, Simulator

_BEFORE_CHARACTERS = 40
_AFTER_CHARACTERS = 60


@dataclass(slots=True)
class Scene:
    """One child, the upstream behind it, and their conversation so far. ``file`` holds ``secret``.

    ``lists_tools_early``: the child asks for the tools as it starts.
    """

    child: Child
    simulator: Simulator
    model: str
    file: Path
    secret: str
    lists_tools_early: bool
    messages: tuple[Message, ...] = ()

    @property
    def bodies(self) -> list[Json]:
        """What arrived upstream."""
        return [seen.body for seen in self.simulator.seen]

    @property
    def body(self) -> Json:
        """What arrived last; empty where nothing did."""
        return self.simulator.seen[-1].body if self.simulator.seen else {}

    @property
    def told(self) -> list[tuple[str, list[Json]]]:
        """The conversation as it last arrived upstream."""
        last = self.simulator.seen[-1].conversation if self.simulator.seen else []
        return [(role, _without_notes(blocks)) for role, blocks in last]

    async def begin(self, reply: Reply, *messages: Message, **fields: Any) -> Collected:
        """Tell the blank child everything, and ask."""
        self.messages = messages
        await conversation.begin(self.child, self._task(reply, **fields))
        return await self._collected()

    async def follow(self, reply: Reply, words: str, **fields: Any) -> Collected:
        """Say the next thing."""
        self.messages += (user(words),)
        conversation.follow(self.child, self._task(reply, **fields))
        return await self._collected()

    async def answer(self, reply: Reply, *results: ToolResult) -> Collected:
        """Give the results of the calls that are held."""
        self.messages += (user(*results),)
        await conversation.answer(self.child, self._task(reply), {result.tool_use_id: result for result in results})
        return await self._collected()

    def _task(self, reply: Reply, **fields: Any) -> Task:
        self.simulator.queue.append(reply)
        request = Request(model=self.model, messages=self.messages, **fields)
        plan = parameters.plan(request, Abilities(), plan_login=True)
        return Task(request, self.messages, plan, tools.listing(request.tools)[0])

    async def _collected(self) -> Collected:
        collector = Collector()
        async for event in self.child.events():
            collector.feed(event)
        reply = collector.reply()
        self.messages += (Message(role="assistant", content=reply.content),)
        return reply


def user(*content: str | AnyBlock) -> Message:
    """Give a user's turn; strings are text blocks."""
    return Message(role="user", content=tuple(Text(text=item) if isinstance(item, str) else item for item in content))


def assistant(*content: AnyBlock) -> Message:
    """Give an assistant's turn."""
    return Message(role="assistant", content=content)


def plain(messages: tuple[Message, ...]) -> list[tuple[str, list[Json]]]:
    """Give messages as they should arrive: each as (role, blocks)."""
    return [(message.role, transcript.encode_content(message.content)) for message in messages]


def _without_notes(blocks: list[Json]) -> list[Json]:
    """Leave out notes of the CLI's own, such as today's date, which stand beside a client's words in some versions."""
    return [block for block in blocks if not str(block.get("text", "")).startswith("<system-reminder>")]


def difference(got: Any, wanted: Any) -> str | None:
    """Say where the two differ, with a few characters around the place."""
    if got == wanted:
        return None
    texts = [json.dumps(value, sort_keys=True, default=str, ensure_ascii=False) for value in (got, wanted)]
    same = next((at for at, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), min(map(len, texts)))
    found, expected = (text[max(0, same - _BEFORE_CHARACTERS) : same + _AFTER_CHARACTERS] for text in texts)
    return f"{found} arrived in the place of {expected}"
