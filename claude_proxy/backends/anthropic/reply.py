"""An upstream's SSE bytes to our events, whatever way they are split. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from claude_proxy.canon.codec import decode_event
from claude_proxy.canon.events import AnyEvent, MessageStop
from claude_proxy.canon.grammar import Grammar, State
from claude_proxy.errors import ProxyError, UpstreamError
from claude_proxy.framing import Lines, LineTooLong


@dataclass(slots=True)
class Reply:
    """Follows one reply. ``error`` is why it failed, once it has: nothing follows then."""

    error: ProxyError | None = None
    _lines: Lines = field(default_factory=Lines)
    _data: list[bytes] = field(default_factory=list)
    _grammar: Grammar = field(default_factory=Grammar)

    @property
    def is_whole(self) -> bool:
        """Whether ``message_stop`` has come."""
        return self._grammar.state is State.DONE

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Take the next bytes; give the events that they complete, those before a failure included."""
        found: list[AnyEvent] = []
        if self.error is not None or self.is_whole:
            return found
        try:
            for line in self._lines.feed(data):
                event = self._line(line.removesuffix(b"\r"))
                if event is not None:
                    self._grammar.check(event)
                    found.append(event)
                if isinstance(event, MessageStop):
                    break  # what comes after the end is nobody's
        except LineTooLong as error:
            self.error = UpstreamError(f"the upstream sent {error}")
        except ProxyError as error:
            self.error = error
        return found

    def _line(self, line: bytes) -> AnyEvent | None:
        if line.startswith(b"data:"):
            self._data.append(line[5:])
            return None
        if line or not self._data:
            return None  # ``event:`` repeats what the data says; comments say nothing
        data, self._data = b"\n".join(self._data), []
        return decode_event(data)

    def end(self) -> None:
        """Say that there are no more bytes."""
        try:
            self._grammar.check_end()
        except ProxyError as error:
            self.error = self.error or error
