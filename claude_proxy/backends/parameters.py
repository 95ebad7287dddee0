"""What of a request's parameters a Messages API takes, and what has to be left out and named. Pure.

Today's models always think, and answer 400 to ``temperature`` other than 1, ``top_k``, ``top_p`` under 0.95,
switched-off thinking and a forced tool; older ones take them. So what a model is known to refuse is left out and named
as lost, what isn't known is sent, and a refusal is remembered (``refused_parameters``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Effort, Request, ToolChoice
from claude_proxy.errors import BadRequest, ProxyError

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


@dataclass(slots=True)
class Draft:
    """Fields of the upstream request's ``body``, the ``effort`` that goes with them, and ``losses`` by our field names.

    ``notes`` are sentences for the system prompt, ``sent`` names the parameters that the model may refuse.
    """

    body: Json = field(default_factory=dict)
    effort: str | None = None
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)


def draft_of(request: Request, abilities: Abilities, *, off_is_said: bool) -> Draft:
    """Decide on all parameters but ``max_tokens`` and ``user_id``.

    ``off_is_said``: the upstream would think where nothing is said of it, so it is told not to.
    """
    draft = Draft()
    thinking = _plan_thinking(request, abilities, draft, off_is_said=off_is_said)
    _plan_sampling(request, abilities, draft, thinking=thinking)
    _plan_tool_choice(request, abilities, draft, thinking=thinking)
    if request.stop_sequences:
        draft.body["stop_sequences"] = list(request.stop_sequences)
    if request.output_schema is not None:
        draft.body["output_config"] = {"format": {"type": "json_schema", "schema": request.output_schema}}
    return draft


def _plan_thinking(request: Request, abilities: Abilities, draft: Draft, *, off_is_said: bool) -> bool:
    """Decide on thinking; return whether the model will think."""
    reasoning = request.reasoning
    if reasoning.mode != "on":
        if reasoning.mode == "off" and abilities.always_thinks:
            draft.losses.append("reasoning")
        if reasoning.effort is not None:
            # It says how much of everything is written, thought or not.
            _plan_effort(request, abilities, draft)
        if reasoning.mode == "default" and not off_is_said:
            return abilities.always_thinks
        return _switch_off(abilities, draft)
    if abilities.thinks_adaptively:
        draft.body["thinking"] = {"type": "adaptive", **({"display": "summarized"} if reasoning.visible else {})}
        draft.sent.add("adaptive")
        _plan_effort(request, abilities, draft)
        return True
    budget = reasoning.budget_tokens or _BUDGETS[reasoning.effort or "medium"]
    if request.max_tokens is not None:
        budget = min(budget, request.max_tokens - 1)
    if budget < _MIN_BUDGET:
        draft.losses.append("reasoning")
        return _switch_off(abilities, draft)
    draft.body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return True


def _switch_off(abilities: Abilities, draft: Draft) -> bool:
    """Switch thinking off where the model allows it; return whether it will think all the same."""
    if abilities.always_thinks:
        return True
    draft.body["thinking"] = {"type": "disabled"}
    draft.sent.add("thinking")
    return False


def _plan_effort(request: Request, abilities: Abilities, draft: Draft) -> None:
    draft.effort = _effort(request, abilities, draft)
    if draft.effort is not None:
        draft.sent.add("effort")


def _effort(request: Request, abilities: Abilities, draft: Draft) -> str | None:
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


def _plan_sampling(request: Request, abilities: Abilities, draft: Draft, *, thinking: bool) -> None:
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


def _plan_tool_choice(request: Request, abilities: Abilities, draft: Draft, *, thinking: bool) -> None:
    choice = request.tool_choice
    if choice is None or not request.tools:
        return
    forced = choice.type in {"any", "tool"}
    kind = choice.type
    if forced and (thinking or "tool_choice" in abilities.refused):
        draft.notes.append(must_call(choice))
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


def must_call(choice: ToolChoice) -> str:
    """Say in the system prompt what a forced tool choice would have said."""
    which = f"the tool `{choice.name}`" if choice.type == "tool" else "one of the tools"
    return f"You must call {which} in this reply, before anything else."


_PARAMETERS = ("tool_choice", "temperature", "top_k", "top_p", "adaptive", "thinking", "effort")


def refused_parameters(error: ProxyError, sent: frozenset[str]) -> frozenset[str]:
    """Say which of the parameters that were ``sent`` a 400 names, so that they can be left out the next time."""
    if type(error) is not BadRequest or error.status != 400:  # noqa: PLR2004
        return frozenset()
    text = error.message.lower()
    named = [name for name in _PARAMETERS if name in text and name in sent]
    if "temperature" in named and "top_p" in named and "both" in text:
        return frozenset({BESIDE_TEMPERATURE})
    return frozenset(named[:1])
