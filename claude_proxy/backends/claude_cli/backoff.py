"""When children may be started: not in the way of a turn that has just begun, and not again and again in vain. Pure.

All times are in seconds on one clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from claude_proxy.errors import Unavailable

_AFTER_LENDING = 0.3
"""A start competes for the processor with the turn that has just begun, so it waits a moment."""

_MAX_WAIT = 30.0

_BREAK_AFTER = 3
"""Failed starts in a row after which those who ask are refused, too, until the next try is due."""


@dataclass(slots=True)
class Backoff:
    """``due`` is when a child may next be started that nobody waits for."""

    due: float = 0.0
    _failures: int = 0
    _reason: str = ""

    def lent(self, now: float) -> None:
        """A warm child has gone to a request. Further ones don't put the next start off any more."""
        if self.due <= now:
            self.due = now + _AFTER_LENDING

    def answered(self, now: float) -> bool:
        """A turn's client has its first delta, so a start is in nobody's way; say whether that changes anything."""
        if self._failures or self.due <= now:
            return False
        self.due = now
        return True

    def failed(self, reason: str, now: float) -> None:
        """A child couldn't be started, or ended before it said anything: wait longer each time."""
        self._failures += 1
        self._reason = reason
        self.due = now + min(_MAX_WAIT, 2.0 ** min(self._failures, 10) / 4)

    def started(self) -> None:
        """A child has started well."""
        self._failures = 0

    def refusal(self, now: float) -> Unavailable | None:
        """Give why not even a request may try a start now: it has failed too often."""
        if self._failures < _BREAK_AFTER or self.due <= now:
            return None
        return Unavailable(f"the claude CLI doesn't start: {self._reason}", retry_after=self.due - now)
