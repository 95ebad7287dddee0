"""A request of ours as a Chat Completions body. Pure.

What this kind of upstream can't be told is named as lost, by our field names. Upstreams differ in what they take, and
say so with a 400 that names the field: ``Refusals`` reads it, and the next body is made without.
Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from claude_proxy.backends.openai.messages import REASONING, Conversation
from claude_proxy.backends.parameters import must_call
from claude_proxy.canon.blocks import Json, Text
from claude_proxy.canon.request import Effort, Reasoning, Request, Tool, ToolChoice
from claude_proxy.errors import BadRequest, ProxyError

NEWER_LIMIT = "max_completion_tokens"
"""What OpenAI's own newer models call ``max_tokens``; what is compatible mostly knows the old name only."""

_LOSS_OF = {
    "max_tokens": "max_tokens",
    NEWER_LIMIT: "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop": "stop_sequences",
    "user": "user_id",
    "reasoning_effort": "reasoning",
    "response_format": "output_schema",
    "parallel_tool_calls": "disable_parallel_tool_use",
    "tool_choice": "tool_choice",
    "strict": "tools.strict",
    # Left out without a loss: the first is ours, the other is named where it is left out.
    "stream_options": None,
    REASONING: None,
}
"""The fields that an upstream may refuse, with the name of what is lost without them."""

_EFFORTS: dict[Effort, str] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_BUDGETS: tuple[tuple[int, Effort], ...] = ((2048, "low"), (8192, "medium"))
"""Up to so many tokens of thinking, and the effort that stands for them; above them it is high."""

_OURS_TO_DROP = frozenset(("cache_control", "type"))


@dataclass(frozen=True, slots=True)
class Sent:
    """A body, what of the request is lost in it, and the fields in it that an upstream may refuse."""

    body: Json
    losses: tuple[str, ...]
    refusable: frozenset[str]


@dataclass(frozen=True, slots=True)
class Refusals:
    """What an upstream's model is known not to take: ``fields``, and a ``max_tokens`` of ``tokens`` or more.

    ``wants_reasoning``: nor a turn with tool calls but without its reasoning, be it empty.
    """

    fields: frozenset[str] = frozenset()
    tokens: int | None = None
    wants_reasoning: bool = False

    def learned(self, error: ProxyError, sent: Sent) -> Refusals:
        """Give what is known after an error; the same where it blames no field that was ``sent``."""
        if type(error) is not BadRequest:
            return self
        limit = next((sent.body[name] for name in ("max_tokens", NEWER_LIMIT) if name in sent.body), None)
        if limit is not None and _TOO_MANY.search(error.message):
            return replace(self, tokens=limit)
        if _WANTS_REASONING.search(error.message):
            return replace(self, wants_reasoning=True)
        return replace(self, fields=self.fields | _blamed(error, sent))


@dataclass(slots=True)
class _Draft:
    refused: frozenset[str]
    body: Json
    losses: list[str] = field(default_factory=list)

    def put(self, name: str, value: Any) -> None:
        """Set a field, unless it has no value or the upstream is known to refuse it."""
        if value is None:
            return
        lost = _LOSS_OF[name]
        if name not in self.refused:
            self.body[name] = value
        elif lost is not None:
            self.losses.append(lost)


def render(request: Request, refusals: Refusals = Refusals()) -> Sent:
    """Give the body for a streamed reply, without what this upstream and model are known to refuse."""
    refused = refusals.fields
    conversation = Conversation(with_reasoning=REASONING not in refused, wants_reasoning=refusals.wants_reasoning)
    conversation.add_system((*request.system, *_notes(request, refused)))
    for message in request.messages:
        conversation.add(message)
    draft = _Draft(refused, {"model": request.model, "messages": conversation.messages, "stream": True})
    draft.put("stream_options", {"include_usage": True})
    _put_limit(request.max_tokens, refusals, draft)
    draft.put("temperature", request.temperature)
    draft.put("top_p", request.top_p)
    draft.put("stop", list(request.stop_sequences) or None)
    draft.put("user", request.user_id)
    draft.put("reasoning_effort", _effort(request.reasoning, draft.losses))
    draft.put("response_format", _format(request, draft.losses))
    if request.top_k is not None:
        draft.losses.append("top_k")
    _put_tools(request, draft)
    refusable = {name for name in _LOSS_OF if name in draft.body}
    if any(REASONING in message for message in conversation.messages):
        refusable.add(REASONING)
    if any("strict" in tool["function"] for tool in draft.body.get("tools", ())):
        refusable.add("strict")
    return Sent(draft.body, tuple(dict.fromkeys([*conversation.losses, *draft.losses])), frozenset(refusable))


def _notes(request: Request, refused: frozenset[str]) -> tuple[Text, ...]:
    choice = request.tool_choice
    is_forced = choice is not None and choice.type in {"any", "tool"}
    return (Text(text=must_call(choice)),) if choice and is_forced and "tool_choice" in refused else ()


def _put_limit(limit: int | None, refusals: Refusals, draft: _Draft) -> None:
    if limit is not None and refusals.tokens is not None and limit >= refusals.tokens:
        # More than the model has: without a limit it gives what it can.
        draft.losses.append("max_tokens")
    else:
        draft.put(NEWER_LIMIT if "max_tokens" in draft.refused else "max_tokens", limit)


def _effort(reasoning: Reasoning, losses: list[str]) -> str | None:
    if reasoning.mode == "default":
        return None
    if reasoning.mode == "off":
        return "none"
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens is not None:
        losses.append("reasoning.budget_tokens")
        budget = reasoning.budget_tokens
        effort = next((effort for most, effort in _BUDGETS if budget <= most), "high")
    if effort in {"xhigh", "max"}:
        losses.append("reasoning")
    return _EFFORTS[effort or "medium"]


def _format(request: Request, losses: list[str]) -> Json | None:
    schema = request.output_schema
    if schema is None:
        return None
    strict = is_strict(schema)
    if not strict:
        # Some upstreams hold it all the same. OpenAI's own doesn't promise to.
        losses.append("output_schema")
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": strict}}


def is_strict(schema: Any) -> bool:
    """Say whether OpenAI's strict mode takes a schema: every object closed, and all of its properties required."""
    if isinstance(schema, list):
        return all(map(is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required")
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        return set(properties) <= set(required) and all(map(is_strict, properties.values())) and _inner(schema)
    return _inner(schema)


def _inner(schema: Json) -> bool:
    """Check the schemas inside another; ``enum`` and the like hold values, which may look like schemas."""
    definitions = [value for name in ("$defs", "definitions") for value in _values(schema.get(name))]
    return all(is_strict(value) for value in [*definitions, *(schema.get(name) for name in _NESTED)])


def _values(definitions: Any) -> list[Any]:
    return list(definitions.values()) if isinstance(definitions, dict) else []


_NESTED = ("items", "anyOf", "allOf", "oneOf")


def _put_tools(request: Request, draft: _Draft) -> None:
    tools = [tool for tool in request.tools if tool.extra.get("type") in (None, "custom")]
    if len(tools) < len(request.tools):
        # Tools that run at Anthropic (a web search, say): the others work without them.
        draft.losses.append("tools")
    if not tools:
        return
    draft.body["tools"] = [_tool(tool, draft) for tool in tools]
    choice = request.tool_choice or ToolChoice()
    if request.tool_choice is not None:
        named: Json = {"type": "function", "function": {"name": choice.name}}
        draft.put("tool_choice", named if choice.type == "tool" else _CHOICES[choice.type])
    if choice.disable_parallel_tool_use:
        draft.put("parallel_tool_calls", False)  # noqa: FBT003 - it is the field's value


_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def _tool(tool: Tool, draft: _Draft) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.input_schema
    for name, value in tool.extra.items():
        if name == "strict" and value and "strict" not in draft.refused:
            function["strict"] = True
        elif value not in (None, False) and name not in _OURS_TO_DROP:
            draft.losses.append(f"tools.{name}")
    return {"type": "function", "function": function}


_REFUSAL = re.compile(
    r"unsupported|not support|n't support|unrecogni[sz]ed|unknown|unexpected|not (permitted|allowed|accepted)"
    r"|invalid (parameter|argument|value)|input should be|cannot be used|no longer|deprecated|extra (inputs|fields)"
    r"|additional properties",
    re.IGNORECASE,
)
"""How the known upstreams say that they don't take a field, or not with this value."""

_WANTS_REASONING = re.compile(
    rf"missing\W.*{REASONING}|{REASONING}\W.*(must be|required|missing)", re.IGNORECASE | re.DOTALL
)
_CODES = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
_TOO_MANY = re.compile(
    r"max_(completion_)?tokens\W.*(too (large|many|big|high)|at most|range|maximum|less than or equal|exceed)",
    re.IGNORECASE | re.DOTALL,
)


def _blamed(error: BadRequest, sent: Sent) -> frozenset[str]:
    """Name the field that an error refuses, the first one named; empty: no field is to blame."""
    if not _REFUSAL.search(error.message) and error.code not in _CODES:
        return frozenset()
    path = re.split(r"[.\[\]]+", error.param or "")
    named = [name for name in sorted(sent.refusable) if name in path]
    if named:
        return frozenset(named[:1])
    found = [(match.start(), name) for name in sent.refusable if (match := _word(name).search(error.message))]
    return frozenset([min(found)[1]] if found else ())


def _word(name: str) -> re.Pattern[str]:
    # Where a field's name is an everyday word, it counts only as one that is named: quoted, or a path's end.
    everyday = name in {"user", "stop", "strict"}
    return re.compile(rf"['\"`.]{name}['\"`]" if everyday else rf"(?<![A-Za-z_]){name}(?![A-Za-z_])")
