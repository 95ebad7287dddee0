"""The shapes that Chat Completions clients send. Pure.

Only one level is typed at a time, and every field may be null: real clients leave out, null and empty whatever they
don't need. Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from typing import Any

import msgspec


class StreamOptions(msgspec.Struct):
    """``stream_options``."""

    include_usage: bool | None = None


class ReasoningOptions(msgspec.Struct):
    """``reasoning``, as OpenRouter's clients send it."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None


class ThinkingOptions(msgspec.Struct):
    """``thinking``, as the Messages API has it."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class JsonSchemaFormat(msgspec.Struct):
    """``response_format.json_schema``."""

    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    """``response_format``."""

    type: str
    json_schema: JsonSchemaFormat | None = None


class ChatRequest(msgspec.Struct):
    """A request's top level: the fields that we read."""

    model: str | None = None
    messages: list[Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: str | list[str | None] | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    modalities: list[str] | None = None
    audio: Any = None
    tools: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Any] | None = None
    function_call: str | dict[str, Any] | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    reasoning: ReasoningOptions | None = None
    thinking: ThinkingOptions | None = None
    user: str | None = None
    safety_identifier: str | None = None


class ChatMessage(msgspec.Struct):
    """One of ``messages``, of whatever role."""

    role: str
    content: str | list[Any] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[Any] | None = None
    function_call: FunctionCall | None = None


class FunctionCall(msgspec.Struct):
    """What an assistant called. ``arguments`` is JSON text, from some clients the object itself."""

    name: str
    arguments: Any = None


class ToolCall(msgspec.Struct):
    """One of an assistant message's ``tool_calls``; ``index`` is a left-over of the stream it came in."""

    id: str
    function: FunctionCall
    type: str | None = None
    index: int | None = None


class ImageUrl(msgspec.Struct):
    """``image_url`` of a part."""

    url: str
    detail: str | None = None


class File(msgspec.Struct):
    """``file`` of a part."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    """One of a message's ``content``."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: str | ImageUrl | None = None
    file: File | None = None
    cache_control: dict[str, Any] | None = None


class Function(msgspec.Struct):
    """A function that can be called: of a tool, or one of the older ``functions``."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: dict[str, Any] | None = None


class Tool(msgspec.Struct):
    """One of ``tools``."""

    type: str = "function"
    function: Any = None
    cache_control: dict[str, Any] | None = None
