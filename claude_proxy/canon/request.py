"""A request for one turn, the same whatever dialect it came in."""

from __future__ import annotations

from typing import Literal

import msgspec

from claude_proxy.canon.blocks import AnyBlock, Json, Text

Effort = Literal["low", "medium", "high", "xhigh", "max"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the conversation. Roles alternate: the dialects merge neighbours of one role."""

    role: Literal["user", "assistant"]
    content: tuple[AnyBlock, ...]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the client runs. ``input_schema`` is JSON Schema; ``extra`` keeps what only some backends know."""

    name: str
    description: str | None = None
    input_schema: Json = msgspec.field(default_factory=lambda: {"type": "object", "properties": {}})
    extra: Json = msgspec.field(default_factory=dict)


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the model may, must or must not call a tool; ``name`` goes with ``tool``."""

    type: Literal["auto", "any", "tool", "none"] = "auto"
    name: str | None = None
    disable_parallel_tool_use: bool = False


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much the model thinks before it answers.

    ``default``: nobody asked, so thinking is off where the model allows it. ``off``: the client said no thinking.
    ``on``: by ``effort`` (adaptive models) or ``budget_tokens``. ``visible``: the client wants to read it
    (only what was asked for is ever shown).
    """

    mode: Literal["default", "off", "on"] = "default"
    effort: Effort | None = None
    budget_tokens: int | None = None
    visible: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a backend needs for one turn. ``None`` means: not asked for.

    ``messages`` ends with the user's turn (a trailing assistant turn is a prefill, which today's models refuse).
    ``output_schema`` is the JSON schema the reply must follow.
    ``max_tokens`` ``None`` means the model's own maximum.
    """

    model: str
    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] = ()
    reasoning: Reasoning = Reasoning()
    output_schema: Json | None = None
    user_id: str | None = None
