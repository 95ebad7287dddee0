"""A scripted reply to the message and the streaming events that the real API would send for it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from claude_proxy.simulator.script import Json, Reply
from claude_proxy.simulator.tokens import count_words

_WORDS = re.compile(r"\s*\S+|\s+")
_UNLIMITED = 1 << 40  # a lenient simulator takes requests without max_tokens
_EMPTY: dict[str, Json] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}


@dataclass(frozen=True)
class Rendered:
    """A reply as it will be sent: the whole message, and how each of its blocks is split."""

    message: Json
    deltas: tuple[tuple[Json, ...], ...]


def render(reply: Reply, body: Json, *, token: str, input_usage: Json, omit_thinking: bool = False) -> Rendered:
    """Give what is sent for ``reply``, ended where the request's stop sequences and ``max_tokens`` end it.

    ``token`` makes the ids: the same token gives the same ids.
    """
    blocks, reason, sequence = _stopped(reply, body)
    blocks = [_finished(block, f"toolu_01{token}{index:02}", omit_thinking) for index, block in enumerate(blocks)]
    message = {
        "id": f"msg_01{token}",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", ""),
        "content": blocks,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": _usage(reply, blocks, input_usage),
    }
    exact = reply.deltas
    deltas = []
    for block in blocks:
        own = exact if block["type"] == "text" else None
        deltas.append(tuple(_block_deltas(block, reply.pieces, own)))
        exact = None if own is not None else exact
    return Rendered(message, tuple(deltas))


def events(rendered: Rendered) -> Iterator[Json]:
    """Give the streaming events, in order."""
    message = rendered.message
    usage = message["usage"]
    start = {name: value for name, value in usage.items() if name != "output_tokens_details"}
    start |= {"output_tokens": 1} if "output_tokens" in usage else {}
    empty = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": start}
    yield {"type": "message_start", "message": empty}
    yield {"type": "ping"}
    for index, (block, deltas) in enumerate(zip(message["content"], rendered.deltas, strict=True)):
        opened = {**block, **_EMPTY.get(block["type"], {})}
        yield {"type": "content_block_start", "index": index, "content_block": opened}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    totals = {name: value for name, value in usage.items() if name != "cache_creation"}
    yield {"type": "message_delta", "delta": ended, "usage": totals}
    yield {"type": "message_stop"}


def _stopped(reply: Reply, body: Json) -> tuple[list[Json], str, str | None]:
    """Cut the blocks at the first stop sequence or at ``max_tokens`` words of text, whichever comes first."""
    left = body.get("max_tokens") or _UNLIMITED
    kept: list[Json] = []
    for block in reply.blocks:
        if block["type"] != "text":
            kept.append(block)
            continue
        said, sequence = _until_stop(block["text"], body.get("stop_sequences") or ())
        if count_words(said) > left:
            cut = "".join(_WORDS.findall(said)[:left])
            return [*kept, *_unless_empty(block, cut)], "max_tokens", None
        if sequence is not None:
            return [*kept, *_unless_empty(block, said)], "stop_sequence", sequence
        left -= count_words(said)
        kept.append(block)
    return kept, reply.stop_reason, reply.stop_sequence


def _until_stop(text: str, sequences: Sequence[str]) -> tuple[str, str | None]:
    found = [(text.find(sequence), sequence) for sequence in sequences if sequence in text]
    if not found:
        return text, None
    at, sequence = min(found)
    return text[:at], sequence


def _unless_empty(block: Json, text: str) -> list[Json]:
    return [{**block, "text": text}] if text else []


def _finished(block: Json, tool_use_id: str, omit_thinking: bool) -> Json:  # noqa: FBT001 - private, named by its callers
    if block["type"] == "tool_use":
        return {"type": "tool_use", "id": tool_use_id, **{k: v for k, v in block.items() if k != "type"}}
    if block["type"] == "thinking" and omit_thinking:
        return {**block, "thinking": ""}
    return block


def _usage(reply: Reply, blocks: list[Json], input_usage: Json) -> Json:
    thought = sum(count_words(block["thinking"]) for block in reply.blocks if block["type"] == "thinking")
    said = sum(count_words(_payload(block)) for block in blocks if block["type"] in ("text", "tool_use"))
    usage = {**input_usage, "output_tokens": max(1, thought + said), "service_tier": "standard"}
    if thought:
        usage["output_tokens_details"] = {"thinking_tokens": thought}
    usage.update(reply.usage or {})
    return {name: value for name, value in usage.items() if value is not None}


def _payload(block: Json) -> str:
    return json.dumps(block["input"], ensure_ascii=False) if block["type"] == "tool_use" else str(block["text"])


def _block_deltas(block: Json, pieces: int, exact: tuple[str, ...] | None) -> Iterator[Json]:
    match block["type"]:
        case "text":
            said = _clipped(exact, len(block["text"])) if exact is not None else _split(block["text"], pieces)
            yield from ({"type": "text_delta", "text": piece} for piece in said)
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": piece} for piece in _split(block["thinking"], pieces))
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            yield {"type": "input_json_delta", "partial_json": ""}
            written = _payload(block) if block["input"] else ""
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in _split(written, pieces))
        case _:
            return


def _split(text: str, pieces: int) -> list[str]:
    if pieces <= 0:
        return _WORDS.findall(text)
    size = max(1, -(-len(text) // pieces))
    return [text[at : at + size] for at in range(0, len(text), size)]


def _clipped(deltas: tuple[str, ...], length: int) -> list[str]:
    """Give the deltas up to ``length`` characters."""
    kept: list[str] = []
    for delta in deltas:
        if length <= 0 < len(delta):
            break
        kept.append(delta[:length])
        length -= len(delta)
    return kept
