"""What of a request's parameters goes to the child, and what has to be left out and named. Pure.

Today's models always think, and answer 400 to ``temperature`` other than 1, ``top_k``, ``top_p`` under 0.95,
switched-off thinking and a forced tool; older ones take them. So what a model is known to refuse is left out and named
as lost, what isn't known is sent, and a refusal is remembered (``failures.refused_parameters``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Effort, Request

_MODEL_MAXIMUM = 999_999
"""The CLI lowers it to the model's own maximum, which only the CLI knows."""

_EVERY_MODELS_MAXIMUM = 32_000
"""No model that the CLI offers takes less."""

BESIDE_TEMPERATURE = "top_p beside temperature"
"""What a model refuses that takes either of the two, but not both."""

_MIN_TOP_P = 0.95
_MIN_BUDGET = 1024
_EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")
_BUDGETS: dict[Effort, int] = {"low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 31999}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What is known of a model; ``None`` is unknown. ``refused`` are parameters that it has answered 400 to."""

    thinking_off: bool | None = None
    adaptive: bool | None = None
    efforts: tuple[str, ...] | None = None
    max_output: int | None = None
    refused: frozenset[str] = frozenset()

    @property
    def always_thinks(self) -> bool:
        """Whether thinking can't be switched off."""
        return self.thinking_off is False or "thinking" in self.refused

    @property
    def thinks_adaptively(self) -> bool:
        """Whether to ask for thinking by effort rather than by a budget of tokens."""
        return self.adaptive is not False and "adaptive" not in self.refused

    def without(self, parameters: frozenset[str]) -> Abilities:
        """Give the abilities of a model that has just refused ``parameters``."""
        return replace(self, refused=self.refused | parameters)


@dataclass(frozen=True, slots=True)
class Plan:
    """``settings`` for ``apply_flag_settings``, ``losses`` by our field names, sentences for the system prompt.

    ``sent`` names the parameters that the model may refuse.
    """

    settings: Json
    losses: tuple[str, ...]
    system_notes: tuple[str, ...] = ()
    sent: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Draft:
    body: Json = field(default_factory=dict)
    effort: str | None = None
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)


def plan(request: Request, abilities: Abilities, *, plan_login: bool) -> Plan:
    """Decide what is sent. ``plan_login``: signed in to a subscription, where ``metadata`` stays the CLI's own."""
    draft = _Draft()
    thinking = _plan_thinking(request, abilities, draft)
    _plan_sampling(request, abilities, draft, thinking=thinking)
    _plan_tool_choice(request, abilities, draft, thinking=thinking)
    if request.stop_sequences:
        draft.body["stop_sequences"] = list(request.stop_sequences)
    if request.output_schema is not None:
        draft.body["output_config"] = {"format": {"type": "json_schema", "schema": request.output_schema}}
    if request.user_id is not None:
        if plan_login:
            draft.losses.append("user_id")
        else:
            draft.body["metadata"] = {"user_id": request.user_id}
    limit = _plan_max_tokens(request, abilities, draft)
    settings: Json = {
        "env": {
            "CLAUDE_CODE_EXTRA_BODY": json.dumps(draft.body, ensure_ascii=False),
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": str(limit),
        },
        "effortLevel": draft.effort,
    }
    return Plan(settings, tuple(draft.losses), tuple(draft.notes), frozenset(draft.sent))


def _plan_max_tokens(request: Request, abilities: Abilities, draft: _Draft) -> int:
    """Put ``max_tokens`` into the body where it is safe there; return the limit for the CLI to lower to the model's.

    The CLI reads its limit once for a whole tool loop, the body for each request. But only the limit is lowered.
    """
    wanted = request.max_tokens
    if wanted is None or wanted > (abilities.max_output or _EVERY_MODELS_MAXIMUM):
        return wanted or _MODEL_MAXIMUM
    draft.body["max_tokens"] = wanted
    return _MODEL_MAXIMUM


def _plan_thinking(request: Request, abilities: Abilities, draft: _Draft) -> bool:
    """Decide on thinking; return whether the model will think."""
    reasoning = request.reasoning
    if reasoning.mode != "on":
        if reasoning.mode == "off" and abilities.always_thinks:
            draft.losses.append("reasoning")
        return _switch_off(abilities, draft)
    if abilities.thinks_adaptively:
        draft.body["thinking"] = {"type": "adaptive", **({"display": "summarized"} if reasoning.visible else {})}
        draft.sent.add("adaptive")
        draft.effort = _effort(request, abilities, draft)
        if draft.effort is not None:
            draft.sent.add("effort")
        return True
    budget = reasoning.budget_tokens or _BUDGETS[reasoning.effort or "medium"]
    if request.max_tokens is not None:
        budget = min(budget, request.max_tokens - 1)
    if budget < _MIN_BUDGET:
        draft.losses.append("reasoning")
        return _switch_off(abilities, draft)
    draft.body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return True


def _switch_off(abilities: Abilities, draft: _Draft) -> bool:
    """Switch thinking off where the model allows it; return whether it will think all the same."""
    if abilities.always_thinks:
        return True
    draft.body["thinking"] = {"type": "disabled"}
    draft.sent.add("thinking")
    return False


def _effort(request: Request, abilities: Abilities, draft: _Draft) -> str | None:
    """Give the effort level: the one asked for, the nearest below that the model has, or what a budget stands for."""
    wanted = request.reasoning.effort
    if wanted is None and request.reasoning.budget_tokens is not None:
        budget = request.reasoning.budget_tokens
        wanted = next((effort for effort in _EFFORTS if budget <= _BUDGETS[effort]), "max")
        draft.losses.append("reasoning.budget_tokens")
    known = () if "effort" in abilities.refused else abilities.efforts
    if wanted is None or known is None or wanted in known:
        return wanted
    draft.losses.append("reasoning")
    below = [effort for effort in _EFFORTS[: _EFFORTS.index(wanted)] if effort in known]
    return below[-1] if below else None


def _plan_sampling(request: Request, abilities: Abilities, draft: _Draft, *, thinking: bool) -> None:
    refused_when_thinking = {
        "temperature": request.temperature is not None and request.temperature != 1,
        "top_p": request.top_p is not None and request.top_p < _MIN_TOP_P,
        "top_k": request.top_k is not None,
    }
    for name, refused in refused_when_thinking.items():
        value = getattr(request, name)
        if value is None:
            continue
        second = name == "top_p" and "temperature" in draft.body and BESIDE_TEMPERATURE in abilities.refused
        if second or name in abilities.refused or (thinking and refused):
            draft.losses.append(name)
        else:
            draft.body[name] = value
            draft.sent.add(name)


def _plan_tool_choice(request: Request, abilities: Abilities, draft: _Draft, *, thinking: bool) -> None:
    choice = request.tool_choice
    if choice is None or not request.tools:
        return
    forced = choice.type in {"any", "tool"}
    kind = choice.type
    if forced and (thinking or "tool_choice" in abilities.refused):
        which = f"the tool `{choice.name}`" if choice.type == "tool" else "one of the tools"
        draft.notes.append(f"You must call {which} in this reply, before anything else.")
        draft.losses.append("tool_choice")
        kind = "auto"
    value: Json = {"type": kind}
    if kind == "tool":
        value["name"] = choice.name
    if choice.disable_parallel_tool_use and kind != "none":
        value["disable_parallel_tool_use"] = True
    draft.body["tool_choice"] = value
    if forced and kind != "auto":
        draft.sent.add("tool_choice")
