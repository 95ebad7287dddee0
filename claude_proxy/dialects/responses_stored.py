"""A response that is kept: the conversation to go on from, and the list of its input. Pure.

Source: https://platform.openai.com/docs/api-reference/responses/input-items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.responses_reply import ResponsesStream
from claude_proxy.dialects.responses_request import ResponsesOptions
from claude_proxy.errors import BadRequest

_PREFIXES = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}
_MOST = 100


def conversation(parsed: Parsed, reply: ResponsesStream) -> tuple[Json, ...]:
    """Give the items that a request going on from this reply is parsed with, as ``earlier``.

    Instructions aren't in it: OpenAI doesn't carry them over either.
    """
    options: ResponsesOptions = parsed.options
    return (*options.earlier, *options.input, *reply.items)


def input_items(parsed: Parsed, token: str, *, encrypted: bool = False) -> list[Json]:
    """Give the whole input of a response as the API lists it, oldest first: each item with an id, and whole.

    ``token`` is the one that the reply was stamped with. ``encrypted`` shows what the model thought, sealed.
    """
    options: ResponsesOptions = parsed.options
    return [
        _listed(item, f"{token}i{index:04d}", encrypted=encrypted)
        for index, item in enumerate((*options.earlier, *options.input))
    ]


def _listed(item: Json, token: str, *, encrypted: bool) -> Json:
    kind = item.get("type") or "message"
    whole: Json = {"status": "completed"} | item | {"type": kind}
    whole["id"] = item.get("id") or f"{_PREFIXES.get(kind, 'item')}_{token}"
    if kind == "message":
        whole["content"] = _parts(item.get("content"), "output_text" if item["role"] == "assistant" else "input_text")
    if not encrypted:
        whole.pop("encrypted_content", None)
    return whole


def _parts(content: Any, kind: str) -> list[Any]:
    parts = content if isinstance(content, list) else [content or ""]
    return [_part({"type": kind, "text": part} if isinstance(part, str) else part) for part in parts]


def _part(part: Json) -> Json:
    return _DEFAULTS.get(part["type"], {}) | part


_DEFAULTS: dict[str, Json] = {
    "output_text": {"annotations": [], "logprobs": []},
    "input_image": {"detail": "auto"},
}


def page(items: Sequence[Json], *, limit: int = 20, order: str = "desc", after: str | None = None) -> bytes:
    """Give one page of a list of items, which come oldest first; ``after`` is the last id of the page before."""
    if not 1 <= limit <= _MOST:
        raise BadRequest(f"limit: it must be between 1 and {_MOST}", param="limit")
    if order not in _ORDERS:
        raise BadRequest(f"order: {order!r} isn't one of asc, desc", param="order")
    ordered = _ORDERS[order](items)
    ids = [item["id"] for item in ordered]
    if after is not None and after not in ids:
        raise BadRequest(f"after: there is no item {after!r}", param="after")
    begin = ids.index(after) + 1 if after is not None else 0
    found = ordered[begin : begin + limit]
    return msgspec.json.encode(
        {
            "object": "list",
            "data": found,
            "first_id": found[0]["id"] if found else None,
            "last_id": found[-1]["id"] if found else None,
            "has_more": begin + limit < len(ordered),
        }
    )


_ORDERS: dict[str, Callable[[Sequence[Json]], list[Json]]] = {
    "asc": list,
    "desc": lambda items: list(reversed(items)),
}
