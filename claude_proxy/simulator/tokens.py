"""Token counts that are the same for the same input, and a prompt cache that hits where the real one would. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from claude_proxy.simulator.script import Json

IMAGE_TOKENS = 1_500
_KEPT_PREFIXES = 100_000
_UNCOUNTED = ("type", "cache_control", "signature")
_WORD = re.compile(r"\w+|[^\w\s]")


def count_words(text: str) -> int:
    """Count the words of a reply: one word is one token."""
    return len(text.split())


def count_tokens(body: Json) -> int:
    """Count what the model would read: system, tools and messages, each word and each mark one token."""
    return sum(_weigh(part) for _, part in _parts(body))


def _parts(body: Json) -> Iterator[tuple[str, Json]]:
    """Give the prompt part by part in the order in which the API caches it, each with where it belongs."""
    for tool in body.get("tools") or ():
        yield "tools", tool
    for block in _blocks(body.get("system") or []):
        yield "system", block
    for message in body.get("messages") or ():
        for block in _blocks(message.get("content") or []):
            yield message.get("role", ""), block


def _blocks(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _weigh(value: object) -> int:
    match value:
        case {"type": "image" | "document"}:
            return IMAGE_TOKENS
        case dict():
            return sum(_weigh(item) for name, item in value.items() if name not in _UNCOUNTED)
        case list():
            return sum(_weigh(item) for item in value)
        case str():
            return len(_WORD.findall(value))
        case _:
            return 1


class _Row(NamedTuple):
    """The prompt up to a part: its digest, its tokens, and how long it is kept where it is marked."""

    digest: bytes
    total: int
    ttl: str | None


@dataclass
class PromptCache:
    """Remembers the prefixes that requests marked with ``cache_control``, and counts what a request reads of them."""

    _known: dict[bytes, None] = field(default_factory=dict)

    def usage(self, body: Json) -> Json:
        """Give the input side of ``usage`` for a request, and remember its marked prefixes."""
        rows = self._rows(body)
        total = rows[-1].total if rows else 0
        while rows and rows[-1].ttl is None:
            rows.pop()
        read = max((row.total for row in rows if row.digest in self._known), default=0)
        created = {"5m": 0, "1h": 0}
        covered = read
        for row in rows:
            if row.ttl is not None and row.total > covered:
                created[row.ttl] += row.total - covered
                covered = row.total
        self._remember([row.digest for row in rows if row.ttl is not None])
        return {
            "input_tokens": total - covered,
            "cache_creation_input_tokens": covered - read,
            "cache_read_input_tokens": read,
            "cache_creation": {f"ephemeral_{ttl}_input_tokens": count for ttl, count in created.items()},
        }

    @staticmethod
    def _rows(body: Json) -> list[_Row]:
        digest = hashlib.sha256(body.get("model", "").encode())
        rows: list[_Row] = []
        total = 0
        for place, part in _parts(body):
            marker = part.get("cache_control")
            bare = {name: value for name, value in part.items() if name != "cache_control"}
            digest.update(place.encode() + msgspec.json.encode(bare, order="sorted"))
            total += _weigh(part)
            rows.append(_Row(digest.digest(), total, marker.get("ttl", "5m") if marker else None))
        if rows and body.get("cache_control"):
            rows[-1] = rows[-1]._replace(ttl=body["cache_control"].get("ttl", "5m"))
        return rows

    def _remember(self, prefixes: list[bytes]) -> None:
        self._known.update(dict.fromkeys(prefixes))
        while len(self._known) > _KEPT_PREFIXES:
            del self._known[next(iter(self._known))]
