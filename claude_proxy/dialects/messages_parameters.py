"""A Messages request's parameters: how to think, how to write, when to stop; and what can't be honoured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Effort, Reasoning
from claude_proxy.dialects import messages_wire as wire
from claude_proxy.dialects.fields import lost_fields
from claude_proxy.dialects.messages_wire import one_of, refusal
from claude_proxy.errors import BadRequest

Shown = Literal["hidden", "omitted", "shown"]
"""What becomes of the model's reasoning in the reply; ``omitted``: its blocks are there, signed and without text."""

_EFFORTS: dict[str, Effort] = {effort: effort for effort in get_args(Effort)}
_SHORTEST_THOUGHT = 1024


@dataclass(frozen=True, slots=True)
class Thought:
    """How much the model shall think, and what the client sees of it."""

    reasoning: Reasoning
    shown: Shown = "hidden"


_DISPLAYS = ("summarized", "omitted", "updates")


def thought(request: wire.MessagesRequest, losses: list[str]) -> Thought:
    """Read ``thinking`` and ``output_config.effort``."""
    effort = _effort(request)
    given = request.thinking
    if given is None:
        # An effort is about all that the model does. Where it thinks anyway, that is thinking too.
        return Thought(Reasoning(mode="on", effort=effort) if effort else Reasoning())
    one_of(given.type, ("enabled", "adaptive", "disabled", "between_tools"), "thinking.type")
    if given.type == "disabled":
        losses += ["output_config.effort"] if effort else []
        return Thought(Reasoning(mode="off"))
    if given.type == "between_tools":
        losses.append("thinking.type")
    budget = _budget(given, request.max_tokens) if given.type == "enabled" else None
    where = f"thinking.{given.type}.display"
    if given.display == "updates":  # short words between tool calls, which Claude Code asks for
        losses.append("thinking.display")
    omitted = given.display is not None and one_of(given.display, _DISPLAYS, where) == "omitted"
    reasoning = Reasoning(mode="on", effort=effort, budget_tokens=budget, visible=not omitted)
    return Thought(reasoning, "omitted" if omitted else "shown")


def _effort(request: wire.MessagesRequest) -> Effort | None:
    given = request.output_config.effort if request.output_config else None
    return None if given is None else _EFFORTS[one_of(given, tuple(_EFFORTS), "output_config.effort")]


def _budget(given: wire.Thinking, max_tokens: int | None) -> int:
    where = "thinking.enabled.budget_tokens"
    if given.budget_tokens is None:
        raise refusal(where, "Field required")
    if given.budget_tokens < _SHORTEST_THOUGHT:
        raise refusal(where, f"Input should be greater than or equal to {_SHORTEST_THOUGHT}")
    if max_tokens is not None and max_tokens <= given.budget_tokens:
        raise BadRequest("`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens")
    return given.budget_tokens


def output_schema(request: wire.MessagesRequest) -> Json | None:
    """Read the schema that the reply must follow: of ``output_config.format``, or of the older ``output_format``."""
    newer = request.output_config.format if request.output_config else None
    where = "output_config.format" if newer else "output_format"
    given = newer or request.output_format
    if given is None:
        return None
    if given.type != "json_schema":
        raise refusal(f"{where}.type", "Input should be 'json_schema'")
    if given.schema is None:
        raise refusal(f"{where}.schema", "Field required")
    return given.schema


def check_ranges(request: wire.MessagesRequest) -> None:
    """Raise ``BadRequest`` for a number that no model takes, or a stop sequence that is none."""
    if request.max_tokens is not None and request.max_tokens < 1:
        raise refusal("max_tokens", "Input should be greater than or equal to 1")
    for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
        if value is not None and not 0 <= value <= 1:
            raise refusal(name, "range: 0..1")
    if request.top_k is not None and request.top_k < 0:
        raise refusal("top_k", "Input should be greater than or equal to 0")
    if not all(sequence.strip() for sequence in request.stop_sequences or ()):
        raise refusal("stop_sequences", "each stop sequence must contain non-whitespace")


def refuse_thread(request: wire.MessagesRequest) -> None:
    """Raise the ``BadRequest`` on which the SDKs send the whole history instead (M08).

    A continued thread holds neither history nor tools: answering it as it stands would be another conversation.
    """
    if request.thread is not None:
        raise BadRequest(
            "thread: Threads are not supported here. Send the full conversation without `thread`.",
            param="thread",
            details={"error_code": "thread_unsupported_request"},
        )


def unknown(raw: Json) -> Iterator[str]:
    """Name the fields that would change the answer and that nothing here can honour."""
    for name in lost_fields(raw, wire.MessagesRequest):
        asks = _ASKS.get(name)
        if asks is None or asks(raw[name]):
            yield name
    for name, shape in _NESTED.items():
        if raw.get(name) is not None:
            yield from lost_fields(raw[name], shape, f"{name}.")


_NESTED: dict[str, type[msgspec.Struct]] = {
    "output_config": wire.OutputConfig,
    "metadata": wire.Metadata,
    "thinking": wire.Thinking,
}


def _never(_: Any) -> bool:
    return False


def _clears(given: Any) -> bool:
    """Say whether ``context_management`` takes anything out of the conversation."""
    edits = given.get("edits") if isinstance(given, dict) and len(given) == 1 else [None]
    return not isinstance(edits, list) or any(not isinstance(e, dict) or e.get("keep") != "all" for e in edits)


_ASKS: dict[str, Callable[[Any], bool]] = {
    # Who pays, how fast and what is cached: the answer is the same.
    "service_tier": _never,
    "cache_control": _never,
    "diagnostics": _never,
    "billing_policy": _never,
    "fallback_credit_token": _never,
    # A list of switches. What they switch on are fields, each told by itself.
    "betas": _never,
    "speed": lambda given: given != "standard",
    "inference_geo": lambda given: given not in ("global", "not_available"),
    "context_management": _clears,
}
"""Fields that can be left out without changing the answer's meaning, and when not so."""
