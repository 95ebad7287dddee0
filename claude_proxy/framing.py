"""Bytes to lines and back: NDJSON from a child, SSE to a client. Pure: any split of the input gives the same output."""

from __future__ import annotations

from dataclasses import dataclass, field


class LineTooLong(ValueError):
    """A peer sent more than the agreed number of bytes without a line end."""


@dataclass(slots=True)
class Lines:
    """Splits a byte stream into lines; ``feed`` gives each line once it is complete, without its line end.

    A line over ``limit`` bytes raises :class:`LineTooLong`, before it is held in full.
    """

    limit: int = 256 << 20
    _parts: list[bytes] = field(default_factory=list)
    _held: int = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the lines that they complete."""
        head, newline, rest = data.partition(b"\n")
        self._held += len(head)
        if self._held > self.limit:
            raise LineTooLong(f"a line of more than {self.limit} bytes")
        if not newline:
            self._parts.append(head)
            return []
        first = b"".join([*self._parts, head])
        lines = rest.split(b"\n")
        last = lines.pop()
        self._parts = [last] if last else []
        self._held = len(last)
        if self._held > self.limit:
            raise LineTooLong(f"a line of more than {self.limit} bytes")
        return [first, *lines]


def sse_data(payload: bytes) -> bytes:
    """Frame one JSON document (which holds no line end) as an SSE event without a name, as OpenAI streams it."""
    return b"data: " + payload + b"\n\n"


def sse_event(name: str, payload: bytes) -> bytes:
    """Frame one JSON document as a named SSE event, as Anthropic streams it."""
    return b"event: " + name.encode() + b"\ndata: " + payload + b"\n\n"


def sse_comment(text: str) -> bytes:
    """Frame a comment, which every SSE client ignores: what keeps a silent connection alive."""
    return b": " + text.encode() + b"\n\n"
