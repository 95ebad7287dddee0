"""Who is next of those that wait: one of each client's before the second of anybody's, in order within a client. Pure.

Whoever comes gets a round: the present one, or the one after its client's last. So sixty requests of one client wait
behind each other, and not before the single one of another; a client that comes back at once takes no one's turn.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


@dataclass(slots=True)
class FairQueue(Generic[T]):
    """What waits. Iterating gives it in the order in which it should be served."""

    _waiting: dict[T, tuple[str, int]] = field(default_factory=dict)
    """Client and round of each, in the order in which they came."""
    _served: dict[str, int] = field(default_factory=dict)
    """The last round in which a client was served, where that isn't over yet."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[T]:
        return iter(sorted(self._waiting, key=lambda item: self._waiting[item][1]))

    def __contains__(self, item: T) -> bool:
        return item in self._waiting

    @property
    def _present(self) -> int:
        return min((number for _, number in self._waiting.values()), default=0)

    def add(self, client: str, item: T) -> None:
        """Let an item of a client's wait."""
        own = [number for who, number in self._waiting.values() if who == client]
        last = max([*own, self._served.get(client, -1)])
        self._waiting[item] = client, max(self._present, last + 1)

    def serve(self, item: T) -> None:
        """Take out an item whose turn has come: its client comes after the others now."""
        client, number = self._waiting.pop(item)
        served = {**self._served, client: number}
        # Of rounds that are over nothing has to be known; where nobody waits, all begin anew.
        self._served = {who: last for who, last in served.items() if self._waiting and last >= self._present}

    def remove(self, item: T) -> None:
        """Take out an item that doesn't wait any more, at nobody's cost."""
        del self._waiting[item]
