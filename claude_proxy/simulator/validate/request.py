"""A whole request, field by field. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from claude_proxy.errors import BadRequest, ContextTooLong, NotFound
from claude_proxy.simulator.models import ModelRules
from claude_proxy.simulator.script import Json
from claude_proxy.simulator.tokens import count_tokens
from claude_proxy.simulator.validate.caching import check_cache_marks
from claude_proxy.simulator.validate.content import check_text_blocks
from claude_proxy.simulator.validate.fields import Kinds, one_of, shape
from claude_proxy.simulator.validate.messages import check_messages
from claude_proxy.simulator.validate.parameters import (
    check_max_tokens,
    check_metadata,
    check_output,
    check_sampling,
    check_stop_sequences,
    check_thinking,
)
from claude_proxy.simulator.validate.tools import check_choice, check_tools

_COUNTED: Kinds = {
    "system": "any",
    "tools": "list",
    "tool_choice": "object",
    "thinking": "object",
    "output_config": "object",
    "cache_control": "object",
    "context_management": "object",
    "mcp_servers": "list",
    "betas": "list",
    "speed": "string",
    "compaction": "object",
    "billing_policy": "any",
}
_OPTIONAL: Kinds = {
    **_COUNTED,
    "metadata": "object",
    "stop_sequences": "list",
    "stream": "boolean",
    "temperature": "number",
    "top_p": "number",
    "top_k": "integer",
    "service_tier": "string",
    "container": "any",
    "diagnostics": "object",
    "inference_geo": "string",
    "fallbacks": "any",
    "fallback_credit_token": "any",
    "thread": "object",
}


def check(
    body: Json, models: Mapping[str, ModelRules], signatures: Collection[str] = (), *, counting: bool = False
) -> None:
    """Raise what the real API answers to a request that it refuses.

    ``signatures`` are the thinking signatures that were issued; ``counting`` is for ``count_tokens``, which takes less.
    """
    required = {"model": "string", "messages": "list"} | ({} if counting else {"max_tokens": "integer"})
    shape(body, "", required, _COUNTED if counting else _OPTIONAL)
    rules = models.get(body["model"])
    if rules is None:
        raise NotFound(f"model: {body['model']}")
    if body.get("thread") is not None:
        raise BadRequest(
            "thread: Threads are not supported here. Send the full conversation without `thread`.",
            code="thread_unsupported_request",
        )
    thinking = body.get("thinking") or {}
    thinks = rules.always_thinks or thinking.get("type") in ("adaptive", "enabled")
    _check_parameters(body, rules, thinks=thinks)
    _check_prompt(body, rules, signatures, thinks=thinks)


def _check_parameters(body: Json, rules: ModelRules, *, thinks: bool) -> None:
    if "max_tokens" in body:
        check_max_tokens(body["max_tokens"], body["model"], rules)
    if body.get("thinking") is not None:
        check_thinking(body["thinking"], rules, body.get("max_tokens"))
    check_sampling(body, thinks=thinks)
    check_stop_sequences(body.get("stop_sequences") or [])
    check_metadata(body.get("metadata") or {})
    check_output(body.get("output_config") or {}, rules)
    if body.get("service_tier") is not None:
        one_of(body["service_tier"], "service_tier", ("auto", "standard_only"))


def _check_prompt(body: Json, rules: ModelRules, signatures: Collection[str], *, thinks: bool) -> None:
    system = body.get("system")
    if system is not None and not isinstance(system, str):
        check_text_blocks(system, "system")
    check_tools(body.get("tools") or [])
    if body.get("tool_choice") is not None:
        check_choice(body["tool_choice"], body.get("tools") or [], thinks=thinks)
    check_messages(body["messages"], rules, signatures, thinks=thinks)
    check_cache_marks(body)
    tokens = count_tokens(body)
    if tokens > rules.context:
        raise ContextTooLong(f"prompt is too long: {tokens} tokens > {rules.context} maximum")
