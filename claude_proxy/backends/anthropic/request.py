"""A request of ours as a Messages body: the same grammar, so only parameters need a decision. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from claude_proxy.backends.anthropic.caching import legal
from claude_proxy.backends.anthropic.knowledge import UNKNOWN_MAXIMUM
from claude_proxy.backends.parameters import Abilities, draft_of
from claude_proxy.canon.blocks import AnyBlock, Json, Thinking
from claude_proxy.canon.codec import encode_block, encode_message
from claude_proxy.canon.request import Message, Request, Tool

_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")


@dataclass(frozen=True, slots=True)
class Sent:
    """A body, what of the request is lost in it (our field names), and the parameters that may be refused."""

    body: bytes
    losses: tuple[str, ...]
    parameters: frozenset[str]
    max_tokens: int


def render(request: Request, abilities: Abilities, *, counting: bool = False) -> Sent:
    """Give the body of a streamed request; ``counting``: of one that only counts its tokens."""
    losses: list[str] = []
    most = abilities.max_output
    wanted = request.max_tokens or most or UNKNOWN_MAXIMUM
    if most is not None and wanted > most:
        wanted = most
        losses.append("max_tokens")
    draft = draft_of(msgspec.structs.replace(request, max_tokens=wanted), abilities, off_is_said=False)
    losses += draft.losses
    messages = [_signed(message, losses) for message in request.messages]
    body: Json = {
        "model": request.model,
        "max_tokens": wanted,
        "stream": True,
        **draft.body,
        "messages": [encode_message(message) for message in messages if message.content],
    }
    system = [encode_block(block) for block in request.system]
    system += [{"type": "text", "text": note} for note in draft.notes]
    if system:
        body["system"] = system
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if draft.effort is not None:
        body["output_config"] = {**body.get("output_config", {}), "effort": draft.effort}
    if request.user_id is not None:
        body["metadata"] = {"user_id": request.user_id}
    body, changed = legal(body)
    if changed:
        losses.append("cache_control")
    if counting:
        body = {name: value for name, value in body.items() if name in _COUNTED}
    return Sent(msgspec.json.encode(body), tuple(dict.fromkeys(losses)), frozenset(draft.sent), wanted)


def _tool(tool: Tool) -> Json:
    said = {} if tool.description is None else {"description": tool.description}
    return {"name": tool.name, **said, "input_schema": tool.input_schema, **tool.extra}


def _signed(message: Message, losses: list[str]) -> Message:
    """Leave out thoughts without a signature: they are another model's, and the API refuses them."""
    kept: tuple[AnyBlock, ...] = tuple(
        block for block in message.content if not isinstance(block, Thinking) or block.signature
    )
    if len(kept) == len(message.content):
        return message
    losses.append("thinking")
    return msgspec.structs.replace(message, content=kept)
