"""What is asked of a response that is kept: itself, and the list of its input. Pure.

Source: https://platform.openai.com/docs/api-reference/responses/input-items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
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


def named(items: Sequence[Json], token: str) -> tuple[Json, ...]:
    """Give items each with an id: what the client sent without one gets one that stays.

    ``token`` is the one that the reply was stamped with.
    """
    return tuple(
        item if item.get("id") else item | {"id": f"{_PREFIXES.get(_kind(item), 'item')}_{token}i{index:04d}"}
        for index, item in enumerate(items)
    )


def input_items(items: Sequence[Json], *, encrypted: bool = False) -> list[Json]:
    """Give named items as the API lists them: each one whole. ``encrypted`` shows what the model thought, sealed."""
    return [_listed(item, encrypted=encrypted) for item in items]


def unsealed(response: bytes, output: Sequence[Json]) -> bytes:
    """Give a response's JSON with what the model thought, sealed. ``output`` are its items as they were kept."""
    whole: Json = msgspec.json.decode(response)
    return msgspec.json.encode(whole | {"output": output})


def _listed(item: Json, *, encrypted: bool) -> Json:
    kind = _kind(item)
    whole: Json = {"status": "completed"} | item | {"type": kind}
    if kind == "message":
        whole["content"] = _parts(item.get("content"), "output_text" if item["role"] == "assistant" else "input_text")
    if not encrypted:
        whole.pop("encrypted_content", None)
    return whole


def _kind(item: Json) -> str:
    return item.get("type") or "message"


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
