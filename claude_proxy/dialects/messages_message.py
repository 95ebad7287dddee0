"""A whole message: the stream's own events, folded together as the SDKs do it. Pure.

Nothing is translated here a second time, so what is streamed and what isn't can't differ.
Source: https://docs.anthropic.com/en/api/messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.canon.collect import parse_input
from claude_proxy.canon.events import AnyEvent
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.messages_response import MessagesStream

_decode = msgspec.json.Decoder(Json).decode


def collect(parsed: Parsed, events: Iterable[AnyEvent], stamp: Stamp) -> bytes:
    """Give the message that a complete, legal sequence of events makes."""
    stream, folding = MessagesStream(parsed, stamp), _Folding()
    for event in events:
        for raw in _decoded(stream.feed(event)):
            folding.take(raw)
    return msgspec.json.encode(folding.message)


def _decoded(frames: bytes) -> Iterator[Json]:
    for frame in frames.split(b"\n\n"):
        if frame:
            yield _decode(frame.partition(b"\ndata: ")[2])


@dataclass(slots=True)
class _Folding:
    message: Json = field(default_factory=dict)
    _pieces: list[str] = field(default_factory=list)

    def take(self, raw: Json) -> None:
        fold = _FOLDS.get(raw["type"])
        if fold is not None:
            fold(self, raw)

    def begin(self, raw: Json) -> None:
        self.message = raw["message"]

    def open(self, raw: Json) -> None:
        self.message["content"].append(raw["content_block"])
        self._pieces = []

    def grow(self, raw: Json) -> None:
        block, delta = self.message["content"][-1], raw["delta"]
        match delta:
            case {"type": "text_delta", "text": str(piece)}:
                self._pieces.append(piece)
            case {"type": "thinking_delta", "thinking": str(piece)}:
                self._pieces.append(piece)
            case {"type": "input_json_delta", "partial_json": str(piece)}:
                self._pieces.append(piece)
            case {"type": "citations_delta", "citation": citation}:
                block["citations"] = [*(block.get("citations") or []), citation]
            case _:
                # A signature, and whatever we don't know: the newer value counts.
                block |= {name: value for name, value in delta.items() if name != "type"}

    def close(self, _: Json) -> None:
        block, joined = self.message["content"][-1], "".join(self._pieces)
        kind = block["type"]
        if kind in ("text", "thinking"):
            block[kind] += joined
        elif "input" in block and joined:
            block["input"] = parse_input(joined)

    def end(self, raw: Json) -> None:
        self.message |= raw["delta"]
        self.message["usage"] |= raw["usage"]


_FOLDS: dict[str, Callable[[_Folding, Any], None]] = {
    "message_start": _Folding.begin,
    "content_block_start": _Folding.open,
    "content_block_delta": _Folding.grow,
    "content_block_stop": _Folding.close,
    "message_delta": _Folding.end,
}
