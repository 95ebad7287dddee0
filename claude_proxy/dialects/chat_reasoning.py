"""How a Chat Completions client asks for reasoning: in three ways, of which the first that says something wins. Pure.

``reasoning_effort`` is OpenAI's, ``reasoning`` OpenRouter's and ``thinking`` the Messages API's.
"""

from __future__ import annotations

from claude_proxy.canon.request import Effort, Reasoning
from claude_proxy.dialects.chat_wire import ChatRequest, ReasoningOptions, ThinkingOptions
from claude_proxy.errors import BadRequest

_EFFORTS: dict[str, Effort | None] = {
    "none": None,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_OFF = Reasoning(mode="off")


def reasoning(wire: ChatRequest) -> Reasoning:
    """Read how much the model shall think, and whether the client wants to read it."""
    asked = (
        by_effort(wire.reasoning_effort, "reasoning_effort"),
        _by_options(wire.reasoning or ReasoningOptions()),
        _by_thinking(wire.thinking),
    )
    said = [one for one in asked if one is not None]
    if not said or said[0].mode != "on":
        return said[0] if said else Reasoning()
    return Reasoning(
        mode="on",
        effort=next((one.effort for one in said if one.effort), None),
        budget_tokens=next((one.budget_tokens for one in said if one.budget_tokens), None),
        visible=said[0].visible and not (wire.reasoning and wire.reasoning.exclude),
    )


def by_effort(given: str | None, where: str) -> Reasoning | None:
    """Read an effort level by OpenAI's name; ``None`` where none is given."""
    if given is None:
        return None
    if given not in _EFFORTS:
        raise BadRequest(f"{where}: {given!r} isn't one of {', '.join(_EFFORTS)}", param=where)
    effort = _EFFORTS[given]
    return Reasoning(mode="on", effort=effort, visible=True) if effort else _OFF


def _by_options(given: ReasoningOptions) -> Reasoning | None:
    effort = by_effort(given.effort, "reasoning.effort")
    if given.enabled is False or effort == _OFF:
        return _OFF
    if not given.enabled and effort is None and given.max_tokens is None:
        return None
    budget = _budget(given.max_tokens, "reasoning.max_tokens")
    return Reasoning(mode="on", effort=effort.effort if effort else None, budget_tokens=budget, visible=True)


def _by_thinking(given: ThinkingOptions | None) -> Reasoning | None:
    if given is None:
        return None
    if given.type == "disabled":
        return _OFF
    if given.type not in ("enabled", "adaptive"):
        raise BadRequest(
            f"thinking.type: {given.type!r} isn't one of enabled, adaptive, disabled", param="thinking.type"
        )
    budget = _budget(given.budget_tokens, "thinking.budget_tokens")
    return Reasoning(mode="on", budget_tokens=budget, visible=given.display != "omitted")


def _budget(tokens: int | None, where: str) -> int | None:
    if tokens is not None and tokens < 1:
        raise BadRequest(f"{where}: it must be at least 1", param=where)
    return tokens
