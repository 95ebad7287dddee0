"""An upstream's SSE bytes to our events, whatever way they are split. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from claude_proxy.canon.codec import decode_event
from claude_proxy.canon.events import AnyEvent, MessageStop
from claude_proxy.canon.grammar import Grammar, State
from claude_proxy.errors import UpstreamError
from claude_proxy.framing import Lines, LineTooLong


@dataclass(slots=True)
class Reply:
    """Follows one reply. A failure is raised behind the events before it; nothing follows then."""

    _lines: Lines = field(default_factory=Lines)
    _data: list[bytes] = field(default_factory=list)
    _grammar: Grammar = field(default_factory=Grammar)

    @property
    def is_finished(self) -> bool:
        """Whether ``message_stop`` has come."""
        return self._grammar.state is State.DONE

    @property
    def is_over(self) -> bool:
        """The same: what comes behind it is nobody's."""
        return self.is_finished

    def feed(self, data: bytes) -> Iterator[AnyEvent]:
        """Take the next bytes; give the events that they complete."""
        if self.is_over:
            return
        try:
            for line in self._lines.feed(data):
                event = self._line(line.removesuffix(b"\r"))
                if event is not None:
                    self._grammar.check(event)
                    yield event
                if isinstance(event, MessageStop):
                    return
        except LineTooLong as error:
            raise UpstreamError(f"the upstream sent {error}") from error

    def _line(self, line: bytes) -> AnyEvent | None:
        if line.startswith(b"data:"):
            self._data.append(line[5:])
            return None
        if line or not self._data:
            return None  # ``event:`` repeats what the data says; comments say nothing
        data, self._data = b"\n".join(self._data), []
        return decode_event(data)

    def end(self) -> Iterator[AnyEvent]:
        """Take the end of the answer; raise ``UpstreamError`` where the reply isn't complete."""
        self._grammar.check_end()
        return iter(())
