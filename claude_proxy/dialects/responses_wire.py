"""The shapes that Responses clients send. Pure.

Only one level is typed at a time, and every field may be null: real clients leave out, null and empty whatever they
don't need. Source: https://platform.openai.com/docs/api-reference/responses/create.
"""

from __future__ import annotations

from typing import Any

import msgspec


class ReasoningOptions(msgspec.Struct):
    """``reasoning``; ``generate_summary`` is the older name of ``summary``."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class TextFormat(msgspec.Struct):
    """``text.format``."""

    type: str
    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class TextOptions(msgspec.Struct):
    """``text``."""

    format: TextFormat | None = None
    verbosity: str | None = None


class StreamOptions(msgspec.Struct):
    """``stream_options``: nothing in it changes what is said."""

    include_obfuscation: bool | None = None


class ResponsesRequest(msgspec.Struct):
    """A request's top level: the fields that we read."""

    model: str | None = None
    input: str | list[Any] | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    tools: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    include: list[str] | None = None
    truncation: str | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
    user: str | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    background: bool | None = None
    conversation: Any = None
    prompt: Any = None


class Named(msgspec.Struct):
    """What an item or a tool says of what it is. An item without a type is a message."""

    type: str | None = None


class MessageItem(Named):
    """A ``message`` of ``input``. ``phase`` says whether it was the last word or on the way there."""

    role: str = ""
    content: str | list[Any] | None = None
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class CallItem(Named):
    """A ``function_call`` or ``custom_tool_call``: the one has ``arguments``, the other ``input``."""

    call_id: str = ""
    name: str = ""
    namespace: str | None = None
    arguments: Any = None
    input: str | None = None
    id: str | None = None
    status: str | None = None


class OutputItem(Named):
    """A ``function_call_output`` or ``custom_tool_call_output``. Its names repeat those of the call."""

    call_id: str = ""
    output: str | list[Any] | None = None
    id: str | None = None
    status: str | None = None
    name: str | None = None
    namespace: str | None = None


class ReasoningItem(Named):
    """A ``reasoning`` item."""

    id: str | None = None
    summary: list[Any] | None = None
    content: list[Any] | None = None
    encrypted_content: str | None = None
    status: str | None = None


class AdditionalTools(Named):
    """An ``additional_tools`` item: tools that come with the input."""

    tools: list[Any] | None = None
    id: str | None = None
    role: str | None = None


class Part(msgspec.Struct):
    """One of a message's ``content`` or of an output."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None
    prompt_cache_breakpoint: Any = None
    cache_control: dict[str, Any] | None = None


class Function(Named):
    """A tool of type ``function``.

    ``defer_loading`` would have it found by a search first, ``async`` and ``allowed_callers`` say who else may call it,
    ``output_schema`` what comes back: it can be called as always without them.
    """

    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    output_schema: Any = None
    allowed_callers: Any = None
    cache_control: dict[str, Any] | None = None


class Custom(Named):
    """A tool of type ``custom``, which takes any text, or text of a format."""

    name: str = ""
    description: str | None = None
    format: dict[str, Any] | None = None
    defer_loading: bool | None = None
    allowed_callers: Any = None
    cache_control: dict[str, Any] | None = None


class Namespace(Named):
    """A tool of type ``namespace``: functions and custom tools under one name."""

    name: str = ""
    description: str | None = None
    tools: list[Any] | None = None
