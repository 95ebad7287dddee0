"""Sampling, thinking and output: what a model takes, alone and together. Pure."""

from __future__ import annotations

import re
from typing import Any

from claude_proxy.errors import BadRequest
from claude_proxy.simulator.models import ALL_EFFORTS, ModelRules
from claude_proxy.simulator.script import Json
from claude_proxy.simulator.validate.fields import Kinds, kind, one_of, refuse, shape, tag
from claude_proxy.simulator.validate.schemas import check_output_schema

_SHORTEST_THOUGHT = 1024
_LEAST_TOP_P = 0.95
_DISPLAYS = ("summarized", "omitted")
_THINKING: dict[str, tuple[Kinds, Kinds]] = {
    "adaptive": ({"type": "string"}, {"display": "string"}),
    "disabled": ({"type": "string"}, {}),
    "enabled": ({"type": "string", "budget_tokens": "integer"}, {"display": "string"}),
}


def check_max_tokens(wanted: int, model: str, rules: ModelRules) -> None:
    """Refuse less than one token, and more than the model gives."""
    if wanted < 1:
        refuse("max_tokens", "Input should be greater than or equal to 1")
    if wanted > rules.max_output:
        refuse(
            "max_tokens",
            f"{wanted} > {rules.max_output}, which is the maximum allowed number of output tokens for {model}",
        )


def check_thinking(thinking: Any, rules: ModelRules, max_tokens: int | None) -> None:
    """Refuse a way of thinking that the model doesn't have."""
    name = tag(thinking, "thinking", _THINKING)
    shape(thinking, f"thinking.{name}", *_THINKING[name])
    if thinking.get("display") is not None:
        one_of(thinking["display"], f"thinking.{name}.display", _DISPLAYS)
    if name == "adaptive" and not rules.adaptive:
        raise BadRequest("adaptive thinking is not supported on this model", param="thinking")
    if name == "disabled" and rules.always_thinks:
        refuse("thinking", "Thinking may not be disabled for this model")
    if name == "enabled":
        if thinking["budget_tokens"] < _SHORTEST_THOUGHT:
            refuse("thinking.enabled.budget_tokens", "Input should be greater than or equal to 1024")
        if max_tokens is not None and max_tokens <= thinking["budget_tokens"]:
            raise BadRequest("`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens")


def check_sampling(body: Json, *, thinks: bool) -> None:
    """Refuse sampling parameters out of range, and those that don't go with thinking or with each other."""
    temperature, top_p, top_k = (body.get(name) for name in ("temperature", "top_p", "top_k"))
    for name in ("temperature", "top_p"):
        if body.get(name) is not None and not 0 <= body[name] <= 1:
            refuse(name, "range: 0..1")
    if top_k is not None and top_k < 0:
        refuse("top_k", "Input should be greater than or equal to 0")
    if not thinks:
        if temperature is not None and top_p is not None:
            raise BadRequest(
                "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
                param="top_p",
            )
        return
    refused = {
        "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.": temperature
        not in (None, 1),
        "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled or in adaptive mode.": (
            top_p is not None and top_p < _LEAST_TOP_P
        ),
        "`top_k` must be unset when thinking is enabled or in adaptive mode.": top_k is not None,
    }
    for complaint, broken in refused.items():
        if broken:
            name = complaint.split("`")[1]
            raise BadRequest(f"{complaint} Please consult our documentation.", param=name)


def check_stop_sequences(sequences: list[Any]) -> None:
    """Refuse a stop sequence of nothing."""
    for index, sequence in enumerate(sequences):
        kind(sequence, f"stop_sequences.{index}", "string")
        if not sequence.strip():
            refuse("stop_sequences", "each stop sequence must contain non-whitespace")


def check_metadata(metadata: Json) -> None:
    """Refuse metadata other than an opaque ``user_id``."""
    shape(metadata, "metadata", {}, {"user_id": "string"})
    if re.fullmatch(r"[^@\s\"]+@[^@\s\"]+\.[a-zA-Z]{2,}", metadata.get("user_id") or ""):
        refuse("metadata.user_id", "user_id appears to contain an email address")


def check_output(config: Json, rules: ModelRules) -> None:
    """Refuse an effort that the model doesn't have, and a format that it can't keep to."""
    shape(config, "output_config", {}, {"effort": "string", "format": "object", "task_budget": "object"})
    if config.get("effort") is not None:
        one_of(config["effort"], "output_config.effort", ALL_EFFORTS)
        if config["effort"] not in rules.efforts:
            refuse("output_config.effort", "This model does not support the effort parameter.")
    if config.get("format") is not None:
        tag(config["format"], "output_config.format", ("json_schema",))
        shape(config["format"], "output_config.format", {"type": "string", "schema": "object"}, {})
        check_output_schema(config["format"]["schema"], "output_config.format.schema")
