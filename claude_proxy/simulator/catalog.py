"""The models endpoints' JSON, and the plan's rate limit headers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from claude_proxy.errors import BadRequest
from claude_proxy.simulator.models import ALL_EFFORTS, ModelRules
from claude_proxy.simulator.script import Json

_MOST = 1000
_HOUR = 3600
_DAY = 24 * _HOUR


def model_info(name: str, rules: ModelRules) -> Json:
    """Give one model as ``GET /v1/models/{id}`` does."""
    supported = {"supported": True}
    return {
        "type": "model",
        "id": name,
        "display_name": rules.display_name,
        "created_at": rules.created_at,
        "lifecycle": "active",
        "max_input_tokens": rules.context,
        "max_tokens": rules.max_output,
        "capabilities": {
            "image_input": supported,
            "pdf_input": supported,
            "structured_outputs": supported,
            "thinking": {
                "supported": True,
                "types": {
                    "adaptive": {"supported": rules.adaptive},
                    "enabled": supported,
                    "disabled": {"supported": not rules.always_thinks},
                },
            },
            "effort": {
                "supported": bool(rules.efforts),
                **{level: {"supported": level in rules.efforts} for level in ALL_EFFORTS},
            },
        },
    }


def model_list(models: Mapping[str, ModelRules], query: Mapping[str, str]) -> Json:
    """Give a page of ``GET /v1/models``: ``limit`` of them, after ``after_id`` where given."""
    try:
        limit = int(query.get("limit", "20"))
    except ValueError:
        raise BadRequest("limit: Input should be a valid integer, unable to parse string as an integer") from None
    if not 1 <= limit <= _MOST:
        raise BadRequest(f"limit: Input should be between 1 and {_MOST}")
    names = list(models)
    after = query.get("after_id", "")
    if after in models:
        names = names[names.index(after) + 1 :]
    page = names[:limit]
    return {
        "data": [model_info(name, models[name]) for name in page],
        "has_more": len(page) < len(names),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def rate_limits(now: int, *, rejected: bool = False) -> dict[str, str]:
    """Give the plan's headers at ``now`` in Unix seconds: a quarter used, or used up.

    Each window is about half over at any time: the CLI warns of what is used of one that has only just begun.
    """
    prefix = "anthropic-ratelimit-unified"
    status = "rejected" if rejected else "allowed"
    reset = now - now % _HOUR + 3 * _HOUR
    week = now - now % _DAY + 4 * _DAY
    headers = {
        f"{prefix}-status": status,
        f"{prefix}-reset": str(reset),
        f"{prefix}-representative-claim": "five_hour",
        f"{prefix}-fallback-percentage": "0.5",
        f"{prefix}-5h-status": status,
        f"{prefix}-5h-reset": str(reset),
        f"{prefix}-5h-utilization": "1.0" if rejected else "0.25",
        f"{prefix}-7d-status": "allowed",
        f"{prefix}-7d-reset": str(week),
        f"{prefix}-7d-utilization": "0.4",
        f"{prefix}-overage-status": "rejected",
        f"{prefix}-overage-disabled-reason": "org_level_disabled",
    }
    return {**headers, "retry-after": str(reset - now)} if rejected else headers
