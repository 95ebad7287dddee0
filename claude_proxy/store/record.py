"""A response as it is kept, and a conversation as it is given back. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """A response to keep.

    ``client`` is whose it is: nobody else ever sees it. ``earlier`` are the items of the conversation that it went on
    with, ``parent`` the response that they came from. ``size`` is about what it takes in memory, in bytes: what came
    earlier, too, which it alone may still hold.
    """

    id: str
    client: str
    created: int
    body: bytes
    input: tuple[Json, ...]
    output: tuple[Json, ...]
    earlier: tuple[Json, ...] = ()
    parent: str | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """All items up to a response: ``input`` is what it answered, earlier turns included, and ``output`` its own.

    ``size`` is about what they take in memory, in bytes.
    """

    input: tuple[Json, ...]
    output: tuple[Json, ...]
    size: int = field(default=0, compare=False)

    @property
    def items(self) -> tuple[Json, ...]:
        """What the next turn goes on from."""
        return (*self.input, *self.output)
