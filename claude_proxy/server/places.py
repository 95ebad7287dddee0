"""How many turns may be under way at once, and when it is worth coming back where that is all. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from claude_proxy.errors import RateLimited

_WEIGHT = 0.1
"""Of the turn that has just ended among those before it."""

_SOONEST_SECONDS = 1.0
_LATEST_SECONDS = 60.0
"""What SDKs wait out by themselves; later than that the estimate is worth nothing anyway."""


@dataclass(slots=True)
class Places:
    """The places of turns. It is known how long those took that have ended, so how often one comes free."""

    taken: int = 0
    _mean_seconds: float = 0.0
    _sent_away: int = 0
    """How many were told to come back for whom no place has come free since."""

    def take(self, limit: int) -> None:
        """Take one of ``limit`` places; raise ``RateLimited`` where there is none."""
        if self.taken >= limit:
            self._sent_away += 1
            raise RateLimited(
                f"{limit} requests are under way, which is all that max-concurrent-requests allows",
                retry_after=self._wait(),
            )
        self.taken += 1

    def _wait(self) -> float:
        """Give when a place will be free for the last that was sent away, in seconds: those before it come first."""
        wait = self._sent_away * self._mean_seconds / self.taken
        return min(_LATEST_SECONDS, max(_SOONEST_SECONDS, wait))

    def leave(self, seconds: float) -> None:
        """Give a place back after this time."""
        self.taken -= 1
        self._sent_away = max(0, self._sent_away - 1)
        self._mean_seconds += (seconds - self._mean_seconds) * (_WEIGHT if self._mean_seconds else 1.0)
