"""How a Chat Completions reply ended, in our words: its finish reason and its usage. Pure."""

from __future__ import annotations

from typing import Any

from claude_proxy.backends.base import Used
from claude_proxy.canon.events import Usage
from claude_proxy.errors import UpstreamError

_ENDS = {
    "stop": "end_turn",
    "eos": "end_turn",
    "length": "max_tokens",
    "model_length": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "tool_use": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    "sensitive": "refusal",
}
_FAILURES = frozenset(("error", "insufficient_system_resource", "network_error", "abort"))
_CUT = frozenset(("max_tokens", "model_context_window_exceeded", "refusal"))
"""The ends that say more than that there are tool calls."""


def stop_reason(finish: str | None, *, has_calls: bool, is_refused: bool) -> str:
    """Give the stop reason; one that we don't know is passed on as it is.

    Raises ``UpstreamError`` for a finish reason that says that the upstream failed.
    """
    if finish in _FAILURES:
        raise UpstreamError(f"the upstream ended the reply with {finish!r}")
    reason = _ENDS.get(finish, finish) if finish else "end_turn"
    if is_refused and reason == "end_turn":
        return "refusal"
    if has_calls and reason not in _CUT:
        return "tool_use"
    # The tools were the upstream's own where there are no calls.
    return "end_turn" if reason == "tool_use" and not has_calls else reason


def usage(raw: Any) -> Usage:
    """Read a ``usage`` object; whatever isn't there stays ``None``."""
    raw = _object(raw)
    prompt = _count(raw.get("prompt_tokens"))
    details = _object(raw.get("prompt_tokens_details"))
    cached = _count(details.get("cached_tokens"))
    if cached is None:
        cached = _count(raw.get("prompt_cache_hit_tokens"))  # DeepSeek's name for it
    if prompt is not None and cached is not None and cached <= prompt:
        prompt -= cached
    return Usage(
        input_tokens=prompt,
        output_tokens=_count(raw.get("completion_tokens")),
        cache_read_input_tokens=cached,
        thinking_tokens=_count(_object(raw.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def used(document: Any) -> Used:
    """Read what a chunk or a whole answer says of its model and its tokens; some have them in their choice."""
    document = _object(document)
    choices = document.get("choices")
    choice = _object(choices[0]) if isinstance(choices, list) and choices else {}
    counted = _object(document.get("usage")) or _object(choice.get("usage"))
    model = document.get("model")
    return Used(model if isinstance(model, str) else "", usage(counted))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
