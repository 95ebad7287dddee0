"""An upstream's SSE bytes on their way to the client: whole events at a time, looked at for how they end. Pure.

An event's name and data stand at the beginning of a line, and JSON text has no line ends in it; so a search for the two
endings there finds them and nothing that the model wrote. Nothing is decoded but what says how many tokens it took: the
first event, and the one before the last.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from claude_proxy.backends.base import UNTOLD, Used
from claude_proxy.canon.codec import decode_event
from claude_proxy.errors import ProxyError, UpstreamError

_LONGEST_EVENT = 256 << 20
_FIELDS = (b"event:", b"data:", b":", b"id:", b"retry:", b"\r\n", b"\n")
_END = re.compile(rb'^(?:event: ?|data: ?\{"type": ?")(message_stop|error)\b', re.MULTILINE)
_COUNT = re.compile(rb'^(?:event: ?|data: ?\{"type": ?")message_delta\b', re.MULTILINE)
_DATA = re.compile(rb"^data:(.*)$", re.MULTILINE)


@dataclass(slots=True)
class Watch:
    """Follows one stream."""

    has_ended: bool = False
    """Its last event has come: ``message_stop``, or an ``error``, which the client reads for itself."""
    error: ProxyError | None = None
    """What that ``error`` says."""
    used: Used = UNTOLD
    """Who answers, and the tokens so far."""
    _begun: bool = False
    _parts: list[bytes] = field(default_factory=list)
    _held: int = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing follows."""
        return self.has_ended

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; give the events that they complete, as they came.

        Raises the ``ProxyError`` that a stream begins with, and ``UpstreamError`` for what is no stream of events.
        """
        # An event's end may be split between two reads: the last three bytes are looked at again.
        if self._parts:
            last = self._parts.pop()
            data, self._held = last + data, self._held - len(last)
        ends = [(at, len(mark)) for mark in (b"\n\n", b"\r\n\r\n") if (at := data.rfind(mark)) >= 0]
        cut = sum(max(ends, default=(0, 0)))
        if not cut:
            self._hold(data)
            return b""
        events = b"".join((*self._parts, data[:cut]))
        self._parts, self._held = [], 0
        self._hold(data[cut:])
        if not events.startswith(_FIELDS):
            raise UpstreamError("the upstream sent something other than events")
        if not self._begun:
            self._check_first(events)
        # Few events have one of these words, and hardly a delta: what costs more is done for them only.
        if b"message_" in events or b"error" in events:
            self._look(events)
        return events

    def _look(self, events: bytes) -> None:
        if (count := _COUNT.search(events)) and (data := _DATA.search(events, count.start())):
            with suppress(ProxyError):  # it is the client's to read
                self.used = self.used.after(decode_event(msgspec.Raw(data[1].strip())))
        if end := _END.search(events):
            self.has_ended = True
            if end[1] == b"error":
                self.error = _told(events[end.start() :])

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._held += len(data)
        if self._held > _LONGEST_EVENT:
            raise UpstreamError(f"the upstream sent an event of more than {_LONGEST_EVENT} bytes")
        # The tail is kept apart so that a long event isn't copied again with each read.
        self._parts += [data[:-3], data[-3:]] if len(data) > 3 else [data]  # noqa: PLR2004

    def _check_first(self, events: bytes) -> None:
        data = _DATA.search(events)
        if data is None:
            return  # a comment
        self.used = self.used.after(decode_event(msgspec.Raw(data[1].strip())))
        self._begun = True

    def end(self) -> bytes:
        """Say that there are no more bytes; give what was held back. Raises ``UpstreamError`` where it broke off."""
        if not self.has_ended:
            raise UpstreamError("the upstream's reply broke off")
        rest, self._parts = b"".join(self._parts), []
        return rest


def _told(event: bytes) -> ProxyError:
    """Give the failure that an ``error`` event stands for."""
    data = _DATA.search(event)
    try:
        decode_event(msgspec.Raw(data[1].strip() if data else b"{}"))
    except ProxyError as error:
        return error
    return UpstreamError("the upstream failed and gave no reason")
