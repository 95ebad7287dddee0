"""What the simulator is told to answer: one :class:`Reply` a request, and short makers for the usual ones. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

Json = dict[str, Any]
"""A JSON object."""


@dataclass(frozen=True)
class Reply:
    """One scripted answer to ``POST /v1/messages``.

    Attributes:
        blocks: The Messages content blocks of the reply. A ``tool_use`` without an ``id`` gets one.
        stop_reason: Why it ends, where neither ``max_tokens`` nor a stop sequence of the request ends it earlier.
        stop_sequence: The sequence that goes with the stop reason ``stop_sequence``.
        usage: Counts put over the computed ones; a value of ``None`` leaves that count out.
        pieces: Into how many deltas a block is split; 0 means one delta a word.
        deltas: The first text block's deltas, exactly.
        first_byte_seconds: The wait before the response begins.
        gap_seconds: The wait after each delta.
        stamped: Each delta of text is the moment when it is sent, by ``time.monotonic``, for who measures its way.
        status: The HTTP status; other than 200, ``error`` is the whole answer.
        error: ``{"type": …, "message": …}``.
        headers: Response headers, put over the simulator's own.
        error_after: After this many deltas comes ``error`` as an event, and the stream ends.
        cut_after: After this many SSE events the connection is cut; 0 is before any byte of the response.
        silent: Takes the request and never answers, until the client goes.
        raw: The body, whatever it is, in the place of an answer.
    """

    blocks: tuple[Json, ...] = ()
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    usage: Json | None = None
    pieces: int = 0
    deltas: tuple[str, ...] | None = None
    first_byte_seconds: float = 0
    gap_seconds: float = 0
    stamped: bool = False
    status: int = 200
    error: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error_after: int | None = None
    cut_after: int | None = None
    silent: bool = False
    raw: bytes | None = None


class ReplyFields(TypedDict, total=False):
    """The fields of a :class:`Reply` that its makers pass on."""

    stop_reason: str
    stop_sequence: str | None
    usage: Json | None
    pieces: int
    deltas: tuple[str, ...] | None
    first_byte_seconds: float
    gap_seconds: float
    stamped: bool
    headers: Mapping[str, str]
    error: Json | None
    error_after: int | None
    cut_after: int | None
    silent: bool
    raw: bytes | None


def text(*parts: str, **fields: Unpack[ReplyFields]) -> Reply:
    """Make a reply of one text block; several parts are its deltas, a single one is split by words."""
    if len(parts) > 1:
        fields.setdefault("deltas", parts)
    return Reply(blocks=({"type": "text", "text": "".join(parts)},), **fields)


def tool_calls(*calls: tuple[str, Json], text: str = "", **fields: Unpack[ReplyFields]) -> Reply:
    """Make a reply that calls these tools, ``(name, input)`` each, all in one turn, after ``text`` where given."""
    said = ({"type": "text", "text": text},) if text else ()
    uses = tuple({"type": "tool_use", "name": name, "input": arguments} for name, arguments in calls)
    fields.setdefault("stop_reason", "tool_use")
    return Reply(blocks=(*said, *uses), **fields)


def thinking(thought: str, text: str = "", *, signature: str | None = None, **fields: Unpack[ReplyFields]) -> Reply:
    """Make a reply that thinks first, and then says ``text`` where given."""
    said = ({"type": "text", "text": text},) if text else ()
    return Reply(blocks=(thinking_block(thought, signature), *said), **fields)


def thinking_block(thought: str, signature: str | None = None) -> Json:
    """Make a thinking block with a signature that the simulator accepts again."""
    return {"type": "thinking", "thinking": thought, "signature": signature or sign(thought)}


def sign(thought: str) -> str:
    """Give a signature for a thought."""
    return "sig" + hashlib.sha256(thought.encode()).hexdigest()


# ``type`` is the API's own name for it.
def error(status: int, type: str, message: str, **fields: Unpack[ReplyFields]) -> Reply:  # noqa: A002
    """Make an error answer; with ``error_after`` it comes inside a stream that began well."""
    fields.setdefault("error", {"type": type, "message": message})
    return Reply(status=status, **fields)
