"""The response object, and what of it a failure or the usage makes. Pure.

Source: https://platform.openai.com/docs/api-reference/responses/object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.events import Usage
from claude_proxy.dialects.chat_error import error_object
from claude_proxy.errors import ProxyError

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a response stands. ``reason`` says why it is incomplete."""

    status: str = "in_progress"
    reason: str | None = None
    error: Json | None = None


_OUTCOMES = {
    "max_tokens": Outcome("incomplete", "max_output_tokens"),
    "model_context_window_exceeded": Outcome("incomplete", "max_output_tokens"),
    "refusal": Outcome("incomplete", "content_filter"),
}


def outcome(stop_reason: str | None) -> Outcome:
    """Give what a reply that ended so is in the Responses API."""
    return _OUTCOMES.get(stop_reason or "", Outcome("completed"))


_CODES = {
    "rate_limit_error": "rate_limit_exceeded",
    "invalid_request_error": "invalid_prompt",
    "request_too_large": "invalid_prompt",
}
_KEPT_CODES = frozenset(("context_length_exceeded",))
"""Codes that the reference doesn't list and that clients look for."""


def failure(error: ProxyError) -> Outcome:
    """Give what a failed reply is."""
    told = error_object(error)["error"]
    code = error.code if error.code in _KEPT_CODES else _CODES.get(error.kind, "server_error")
    return Outcome("failed", error=told | {"code": code})


@dataclass(frozen=True, slots=True)
class Response:
    """What is the same in all of a reply's response objects: ``tail`` is its end, made once."""

    id: str
    created_at: int
    model: str
    tail: bytes

    @staticmethod
    def of(id_: str, created_at: int, model: str, echo: Json) -> Response:
        """Begin a response that repeats ``echo`` of its request."""
        return Response(id_, created_at, model, b"," + _encode(echo)[1:])

    def render(self, now: Outcome, output: list[Any], usage: Json | None) -> bytes:
        """Give the response's JSON as things stand."""
        head = {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": now.status,
            "error": now.error,
            "incomplete_details": {"reason": now.reason} if now.reason else None,
            "model": self.model,
            "output": output,
            "usage": usage,
        }
        return _encode(head)[:-1] + self.tail


def usage_object(usage: Usage) -> Json | None:
    """Give the counts as the Responses API has them; ``None`` where the upstream didn't tell enough.

    Its details are no options there: what the upstream doesn't tell of counts as none.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    written = usage.cache_creation_input_tokens or 0
    cached = usage.cache_read_input_tokens or 0
    total = usage.input_tokens + written + cached
    return {
        "input_tokens": total,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens or 0},
        "total_tokens": total + usage.output_tokens,
    }
