"""An answer's bytes to JSON documents: an SSE stream's, one an event, or the one that isn't streamed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.backends.openai.failures import from_object
from claude_proxy.canon.blocks import UNREADABLE
from claude_proxy.errors import UpstreamError
from claude_proxy.framing import Lines, LineTooLong

_decode = msgspec.json.Decoder().decode


@dataclass(slots=True)
class Documents:
    """Reads an answer; ``feed`` gives each document once it is complete, whatever the split of the bytes.

    ``is_done``: ``[DONE]`` has come, and what follows it is ignored. Both line ends, comments, other fields, events
    over several ``data`` lines, and events without a blank line between them are taken.
    """

    is_done: bool = False
    _lines: Lines = field(default_factory=Lines)
    _data: list[bytes] = field(default_factory=list)
    _whole: list[bytes] | None = None
    """The lines of an answer that turned out to be no stream."""
    _is_error: bool = False

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take the next bytes."""
        try:
            lines = self._lines.feed(data)
        except LineTooLong as error:
            raise UpstreamError(f"the upstream sent {error}") from error
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))

    def end(self) -> Iterator[Any]:
        """Take the end of the answer: its last line may lack a line end."""
        yield from self.feed(b"\n\n")
        if self._whole is not None and not self.is_done:
            yield self._decoded(self._whole)

    def _line(self, line: bytes) -> Iterator[Any]:
        if self._whole is not None:
            self._whole.append(line)
            return
        if line.lstrip()[:1] in (b"{", b"["):
            self._whole = [line]
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            yield from self._before_more()
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._is_error = value.strip() == b"error"
        elif not line and self._data:
            yield from self._event()

    def _before_more(self) -> Iterator[Any]:
        """Give the event before another ``data`` line, where it is one and only its blank line is missing."""
        if self._data:
            try:
                _decode(b"\n".join(self._data))
            except UNREADABLE:
                return
            yield from self._event()

    def _event(self) -> Iterator[Any]:
        data, is_error = self._data, self._is_error
        self._data, self._is_error = [], False
        if self.is_done or not any(data):
            return
        if data[0].strip() == b"[DONE]":
            self.is_done = True
            return
        document = self._decoded(data)
        if is_error and isinstance(document, dict) and not document.get("error"):
            raise from_object(document)
        yield document

    def _decoded(self, lines: list[bytes]) -> Any:
        try:
            return _decode(b"\n".join(lines))
        except UNREADABLE as error:
            raise UpstreamError(f"the upstream sent something that isn't JSON: {error}") from error
