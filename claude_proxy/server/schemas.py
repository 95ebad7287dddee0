"""JSON Schemas of what the endpoints take and give, for ``/openapi.json``. Pure.

Requests are taken from the shapes that the dialects read them with, so they can't say anything else than the code. What
stands in a list there is typed as it is read, one level at a time: ``_INSIDE`` puts the levels together again. Replies
are said in outline: they are the APIs' own, whose references say more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from claude_proxy.dialects import chat_wire as chat
from claude_proxy.dialects import messages_wire as messages
from claude_proxy.dialects import responses_wire as responses

Json = dict[str, Any]

REQUESTS = {
    "chat": "chat.ChatRequest",
    "messages": "messages.MessagesRequest",
    "responses": "responses.ResponsesRequest",
}
"""What a request of each dialect looks like."""

REPLIES = {"chat": "chat.Completion", "messages": "messages.Reply", "responses": "responses.Response"}
"""What the reply looks like where it isn't streamed."""

_SHAPES: dict[str, Sequence[type[msgspec.Struct]]] = {
    "chat": (chat.ChatRequest, chat.ChatMessage, chat.Part, chat.ToolCall, chat.Tool, chat.Function),
    "messages": (
        messages.MessagesRequest,
        messages.Message,
        messages.Tagged,
        messages.TextBlock,
        messages.ImageBlock,
        messages.DocumentBlock,
        messages.ThinkingBlock,
        messages.ToolUseBlock,
        messages.ToolResultBlock,
        messages.Base64Source,
        messages.UrlSource,
        messages.CustomTool,
        messages.Choice,
    ),
    "responses": (
        responses.ResponsesRequest,
        responses.MessageItem,
        responses.CallItem,
        responses.OutputItem,
        responses.ReasoningItem,
        responses.Part,
        responses.Function,
        responses.Custom,
    ),
}

_BLOCKS = tuple(
    f"messages.{name}" for name in ("TextBlock", "ImageBlock", "DocumentBlock", "ToolUseBlock", "ToolResultBlock")
)
_SOURCES = ("messages.Base64Source", "messages.UrlSource")
_INSIDE: dict[str, Sequence[str]] = {
    "chat.ChatRequest.messages": ("chat.ChatMessage",),
    "chat.ChatRequest.tools": ("chat.Tool",),
    "chat.ChatRequest.functions": ("chat.Function",),
    "chat.ChatMessage.content": ("chat.Part", "Text"),
    "chat.ChatMessage.tool_calls": ("chat.ToolCall",),
    "chat.Tool.function": ("chat.Function",),
    "messages.MessagesRequest.messages": ("messages.Message",),
    "messages.MessagesRequest.system": ("messages.TextBlock",),
    "messages.MessagesRequest.tools": ("messages.CustomTool",),
    "messages.MessagesRequest.tool_choice": ("messages.Choice",),
    # A block of a type that isn't known goes on as it is.
    "messages.Message.content": (*_BLOCKS, "messages.ThinkingBlock", "messages.Tagged"),
    "messages.ToolResultBlock.content": ("messages.TextBlock", "messages.ImageBlock"),
    "messages.ImageBlock.source": _SOURCES,
    "messages.DocumentBlock.source": _SOURCES,
    "responses.ResponsesRequest.input": tuple(
        f"responses.{name}" for name in ("MessageItem", "CallItem", "OutputItem", "ReasoningItem")
    ),
    "responses.ResponsesRequest.tools": ("responses.Function", "responses.Custom"),
    "responses.MessageItem.content": ("responses.Part",),
    "responses.OutputItem.output": ("responses.Part",),
}
"""What a list holds, or where the shape says anything at all, what stands there."""

_VALUES: dict[str, Sequence[str]] = {
    "chat.ChatMessage.role": ("system", "developer", "user", "assistant", "tool", "function"),
    "chat.Part.type": ("text", "image_url", "file", "refusal"),
    "chat.Tool.type": ("function",),
    "chat.ToolCall.type": ("function",),
    "messages.Message.role": ("user", "assistant", "system"),
    "messages.TextBlock.type": ("text",),
    "messages.ImageBlock.type": ("image",),
    "messages.DocumentBlock.type": ("document",),
    "messages.ThinkingBlock.type": ("thinking",),
    "messages.ToolUseBlock.type": ("tool_use",),
    "messages.ToolResultBlock.type": ("tool_result",),
    "messages.Base64Source.type": ("base64",),
    "messages.UrlSource.type": ("url",),
    "messages.Choice.type": ("auto", "any", "tool", "none"),
    "responses.MessageItem.type": ("message",),
    "responses.MessageItem.role": ("user", "assistant", "system", "developer"),
    "responses.CallItem.type": ("function_call", "custom_tool_call"),
    "responses.OutputItem.type": ("function_call_output", "custom_tool_call_output"),
    "responses.ReasoningItem.type": ("reasoning",),
    "responses.Part.type": ("input_text", "output_text", "refusal", "input_image", "input_file"),
    "responses.Function.type": ("function",),
    "responses.Custom.type": ("custom",),
}
"""The names that the code tells things apart by."""


def ref(name: str) -> Json:
    """Point to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> Json:
    """Give every schema by its name."""
    found = dict(_ANSWERS)
    for dialect, shapes in _SHAPES.items():
        _, made = msgspec.json.schema_components(shapes, ref_template=ref(f"{dialect}.{{name}}")["$ref"])
        found |= {f"{dialect}.{name}": schema for name, schema in made.items()}
    for where, names in _INSIDE.items():
        field, inside = _field(found, where), [ref(name) for name in names]
        one = inside[0] if len(inside) == 1 else {"anyOf": inside}
        lists = [kind for kind in (field, *field.get("anyOf", ())) if kind.get("type") == "array"]
        for kind in lists:
            kind["items"] = one
        if not lists:
            default = {"default": field["default"]} if "default" in field else {}
            field.clear()
            field |= {"anyOf": [*inside, {"type": "null"}], **default} if default else one
    for where, values in _VALUES.items():
        field = _field(found, where)
        kind = next(kind for kind in (field, *field.get("anyOf", ())) if kind.get("type") == "string")
        kind["enum"] = list(values)
    return found


def _field(found: Json, where: str) -> Json:
    name, _, field = where.rpartition(".")
    known: Json = found[name]["properties"][field]
    return known


def _object(required: Json, **optional: Any) -> Json:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


EXAMPLES: Json = {
    "chat": {"model": "sonnet", "messages": [{"role": "user", "content": "Hello"}]},
    "messages": {"model": "sonnet", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]},
    "responses": {"model": "sonnet", "input": "Hello"},
}
"""The shortest request of each dialect."""

_TEXT, _NUMBER, _FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_NULLABLE = {"type": ["string", "null"]}
_OBJECTS = {"type": "array", "items": {"type": "object"}}

_ANSWERS: Json = {
    "chat.Completion": _object(
        {"id": _TEXT, "object": {"const": "chat.completion"}, "created": _NUMBER, "model": _TEXT, "choices": _OBJECTS},
        usage={"type": "object"},
    ),
    "messages.Reply": _object(
        {
            "id": _TEXT,
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "model": _TEXT,
            "content": _OBJECTS,
            "stop_reason": _NULLABLE,
            "usage": {"type": "object"},
        }
    ),
    "messages.Count": _object({"input_tokens": _NUMBER}),
    "responses.Response": _object(
        {"id": _TEXT, "object": {"const": "response"}, "status": _TEXT, "model": _TEXT, "output": _OBJECTS}
    ),
    "responses.Deleted": _object({"id": _TEXT, "object": {"const": "response"}, "deleted": {"const": True}}),
    "Page": _object({"object": {"const": "list"}, "data": _OBJECTS, "has_more": _FLAG}),
    "Models": _object({"data": _OBJECTS}),
    "Model": _object({"id": _TEXT}),
    "Health": _object({"status": {"const": "ok"}, "version": _TEXT}),
    "Readiness": _object({"status": {"enum": ["ready", "not ready"]}, "backends": _OBJECTS}),
    "Any": {"type": "object"},
    "Text": _TEXT,
    "Event": _object({"data": _TEXT}, event=_TEXT),
    "chat.Error": _object({"error": _object({"message": _TEXT, "type": _TEXT, "param": _NULLABLE, "code": _NULLABLE})}),
    "messages.Error": _object(
        {
            "type": {"const": "error"},
            "error": _object({"type": _TEXT, "message": _TEXT}),
            "request_id": _TEXT,
        }
    ),
}
