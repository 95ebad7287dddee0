"""``cache_control`` as the API takes it: at most four marks, none that lasts an hour after one of five minutes. Pure.

Source: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from claude_proxy.canon.blocks import Json

_MOST = 4


def legal(body: Json) -> tuple[Json, bool]:
    """Give a request body with a legal choice of its cache marks, and whether any was taken out or shortened.

    Kept are the last mark of the tools and of the system prompt, which every turn shares, and then the latest ones.
    """
    if _is_legal([mark for _, _, mark in _marks(body)]):
        return body, False
    body = msgspec.json.decode(msgspec.json.encode(body))  # blocks may be the client's own objects: not ours to change
    marks = list(_marks(body))
    kept = {max(places) for part in ("tools", "system") if (places := _places(marks, part))}
    for place in reversed(range(len(marks))):
        if len(kept) < _MOST:
            kept.add(place)
    short = False
    for place, (_, block, mark) in enumerate(marks):
        if place not in kept:
            del block["cache_control"]
        elif short:
            block["cache_control"] = {name: value for name, value in mark.items() if name != "ttl"}
        else:
            short = _is_short(mark)
    return body, True


def _is_legal(marks: list[Json]) -> bool:
    lasting = [not _is_short(mark) for mark in marks]
    return len(marks) <= _MOST and lasting == sorted(lasting, reverse=True)


def _is_short(mark: Json) -> bool:
    return mark.get("ttl") != "1h"


def _places(marks: list[tuple[str, Json, Json]], part: str) -> list[int]:
    return [place for place, (where, _, _) in enumerate(marks) if where == part]


def _marks(body: Json) -> Iterator[tuple[str, Json, Json]]:
    """Give part, block and mark of each marked block, in the order in which the API processes them."""
    for part in ("tools", "system"):
        yield from ((part, block, block["cache_control"]) for block in body.get(part, ()) if _is_marked(block))
    for message in body["messages"]:
        for block in message["content"]:
            inner = block.get("content") if block.get("type") == "tool_result" else None
            for one in (*(inner or ()), block):
                if _is_marked(one):
                    yield "messages", one, one["cache_control"]


def _is_marked(block: Json) -> bool:
    return isinstance(block.get("cache_control"), dict)
