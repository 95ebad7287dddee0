"""The conversation as a whole: who speaks when, and which result belongs to which call. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from claude_proxy.errors import BadRequest
from claude_proxy.simulator.models import ModelRules
from claude_proxy.simulator.script import Json
from claude_proxy.simulator.validate.content import check_content
from claude_proxy.simulator.validate.fields import kind, one_of, refuse, shape

_NO_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."

Turn = tuple[str, list[tuple[int, int, Json]]]
"""A role, and its blocks with the places where they stand; neighbours of one role are one turn."""


def check_messages(messages: Any, rules: ModelRules, signatures: Collection[str], *, thinks: bool) -> None:
    """Refuse a conversation that the API refuses."""
    kind(messages, "messages", "list")
    if not messages:
        refuse("messages", "at least one message is required")
    for index, message in enumerate(messages):
        path = f"messages.{index}"
        shape(message, path, {"role": "string", "content": "any"}, {})
        one_of(message["role"], f"{path}.role", ("user", "assistant", "system"))
        check_content(message["content"], f"{path}.content", message["role"], signatures)
    _check_system(messages)
    _check_nonempty(messages)
    turns = _turns(messages)
    _check_end(turns, rules, thinks=thinks)
    _check_ids(turns)
    _check_pairs(turns)


def _check_system(messages: list[Json]) -> None:
    first = next((i for i, message in enumerate(messages) if message["role"] == "user"), len(messages))
    early = next((i for i, message in enumerate(messages[:first]) if message["role"] == "system"), None)
    if early is not None:
        refuse(f"messages.{early}", "a message with role `system` must come after the first `user` message")


def _check_nonempty(messages: list[Json]) -> None:
    spoken = [index for index, message in enumerate(messages) if message["role"] != "system"]
    for index in spoken:
        message = messages[index]
        if not message["content"] and (message["role"] != "assistant" or index != spoken[-1]):
            refuse(
                f"messages.{index}",
                "all messages must have non-empty content except for the optional final assistant message",
            )


def _turns(messages: list[Json]) -> list[Turn]:
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if role == "system":
            continue
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
        turns[-1][1].extend((index, place, block) for place, block in enumerate(blocks))
    return turns


def _check_end(turns: list[Turn], rules: ModelRules, *, thinks: bool) -> None:
    role, blocks = turns[-1]
    if role != "assistant":
        return
    if not rules.prefill or thinks:
        raise BadRequest(_NO_PREFILL, param="messages")
    if blocks and blocks[-1][2].get("text", "").endswith((" ", "\n", "\t")):
        refuse("messages", "final assistant content cannot end with trailing whitespace")


def _check_ids(turns: list[Turn]) -> None:
    seen: set[str] = set()
    for index, place, block in _of_type(turns, "tool_use"):
        if block["id"] in seen:
            refuse(f"messages.{index}.content.{place}", "`tool_use` ids must be unique")
        seen.add(block["id"])


def _of_type(turns: list[Turn], name: str) -> Iterator[tuple[int, int, Json]]:
    for _, blocks in turns:
        yield from (found for found in blocks if found[2]["type"] == name)


def _check_pairs(turns: list[Turn]) -> None:
    """Refuse a result without its call in the turn before, and a call without its result first in the turn after."""
    nobody: Turn = ("", [])
    for before, turn in zip([nobody, *turns], [*turns, nobody], strict=True):
        calls = {block["id"]: index for index, _, block in _of_type([before], "tool_use")}
        leading = _check_results(turn, calls)
        missing = [name for name in calls if name not in leading]
        if missing:
            refuse(
                f"messages.{calls[missing[0]]}",
                f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
            )


def _check_results(turn: Turn, calls: Collection[str]) -> set[str]:
    """Give the ids whose results stand at the turn's beginning."""
    found: set[str] = set()
    leading: set[str] = set()
    at_beginning = True
    for index, place, block in turn[1]:
        if block["type"] != "tool_result":
            at_beginning = False
            continue
        name = block["tool_use_id"]
        path = f"messages.{index}.content.{place}"
        if name not in calls:
            refuse(
                path,
                f"unexpected `tool_use_id` found in `tool_result` blocks: {name}. Each `tool_result` block must have "
                "a corresponding `tool_use` block in the previous message.",
            )
        if name in found:
            refuse(
                path,
                f"each tool_use must have a single result. Found multiple `tool_result` blocks with id: {name}",
            )
        found.add(name)
        if at_beginning:
            leading.add(name)
    return leading
