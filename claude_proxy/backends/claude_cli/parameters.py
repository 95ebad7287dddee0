"""What of a request's parameters goes to the child: what the model takes, in the CLI's own settings. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from claude_proxy.backends.parameters import BESIDE_TEMPERATURE, Abilities, Draft, draft_of
from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Request

__all__ = ["BESIDE_TEMPERATURE", "Abilities", "Plan", "plan"]

_MODEL_MAXIMUM = 999_999
"""The CLI lowers it to the model's own maximum, which only the CLI knows."""

_EVERY_MODELS_MAXIMUM = 32_000
"""No model that the CLI offers takes less."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``settings`` for ``apply_flag_settings``, ``losses`` by our field names, sentences for the system prompt.

    ``sent`` names the parameters that the model may refuse.
    """

    settings: Json
    losses: tuple[str, ...]
    system_notes: tuple[str, ...] = ()
    sent: frozenset[str] = frozenset()


def plan(request: Request, abilities: Abilities, *, plan_login: bool) -> Plan:
    """Decide what is sent. ``plan_login``: signed in to a subscription, where ``metadata`` stays the CLI's own."""
    draft = draft_of(request, abilities, off_is_said=True)
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


def _plan_max_tokens(request: Request, abilities: Abilities, draft: Draft) -> int:
    """Put ``max_tokens`` into the body where it is safe there; return the limit for the CLI to lower to the model's.

    The CLI reads its limit once for a whole tool loop, the body for each request. But only the limit is lowered.
    """
    wanted = request.max_tokens
    if wanted is None or wanted > (abilities.max_output or _EVERY_MODELS_MAXIMUM):
        return wanted or _MODEL_MAXIMUM
    draft.body["max_tokens"] = wanted
    return _MODEL_MAXIMUM
