"""The lines written to a child's stdin: control requests, messages, and answers to what it asks. Pure.

One NDJSON line each, with its line end. Shapes as the CLI's ``--input-format stream-json`` takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json

_encode = msgspec.json.Encoder().encode

SERVER = "client"
"""The name under which the client's tools are an MCP server of the child's."""


def _line(value: Any) -> bytes:
    return _encode(value) + b"\n"


def _control(request_id: str, request: Json) -> bytes:
    return _line({"type": "control_request", "request_id": request_id, "request": request})


def initialize(request_id: str, system: Sequence[str], *, with_tools: bool) -> bytes:
    """Tell a blank child its system prompt (which replaces the CLI's own) and whether the client has tools.

    It works once in a child's life: a second one is accepted and changes nothing.
    """
    request: Json = {"subtype": "initialize", "systemPrompt": list(system) or [""]}
    if with_tools:
        request["sdkMcpServers"] = [SERVER]
    return _control(request_id, request)


def tools_changed(request_id: str) -> bytes:
    """Have a child ask for the tools again, which it does before anything that is written after this.

    It must have the tool server by then. Source: the ``list_changed`` notification of the Model Context Protocol, for
    which the server's ``listChanged`` must be on.
    """
    notification = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    return _control(request_id, {"subtype": "mcp_message", "server_name": SERVER, "message": notification})


def apply_settings(request_id: str, settings: Json) -> bytes:
    """Set what the next upstream requests carry. It replaces the last one, so send all of it each time."""
    return _control(request_id, {"subtype": "apply_flag_settings", "settings": settings})


def list_models(request_id: str) -> bytes:
    """Ask what models the account offers; a blank child stays blank. Older versions answer an error."""
    return _control(request_id, {"subtype": "list_models"})


def context_usage(request_id: str, *, detail: str) -> bytes:
    """Ask how large the conversation is: ``full`` as the upstream counts it, ``summary`` as the CLI estimates it."""
    return _control(request_id, {"subtype": "get_context_usage", "detail": detail})


def user_message(content: Sequence[Json], *, ask: bool) -> bytes:
    """Give a user's turn; with ``ask`` the child asks the model, without it the turn is history.

    ``client_composed`` is what keeps the CLI from expanding ``@path`` and from running slash commands in the text.
    """
    line: Json = {
        "type": "user",
        "message": {"role": "user", "content": list(content)},
        "parent_tool_use_id": None,
        "session_id": "default",
        "client_composed": True,
    }
    if not ask:
        line["shouldQuery"] = False
    return _line(line)


def assistant_message(message_id: str, model: str, content: Sequence[Json]) -> bytes:
    """Give an assistant's turn of the history. Without ``model`` and the rest the CLI drops thinking blocks."""
    stop_reason = "tool_use" if any(block.get("type") == "tool_use" for block in content) else "end_turn"
    message = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
    return _line({"type": "assistant", "message": message, "parent_tool_use_id": None, "session_id": "default"})


def mcp_result(request_id: str, rpc_id: int | str | None, result: Json) -> bytes:
    """Answer an MCP request of the child's; a notification (no ``rpc_id``) is answered too, as the CLI waits for it."""
    rpc = {"jsonrpc": "2.0", "id": 0 if rpc_id is None else rpc_id, "result": result}
    return _response(request_id, {"mcp_response": rpc})


def refuse(request_id: str, why: str) -> bytes:
    """Answer a control request of the child's that we don't serve."""
    return _line({"type": "control_response", "response": {"subtype": "error", "request_id": request_id, "error": why}})


def _response(request_id: str, response: Json) -> bytes:
    return _line(
        {"type": "control_response", "response": {"subtype": "success", "request_id": request_id, "response": response}}
    )
