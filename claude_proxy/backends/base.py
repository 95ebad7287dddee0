"""What the server asks of a backend. Adding one: a file or folder here, and a line in ``cli/serve.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from claude_proxy.canon.events import AnyEvent
from claude_proxy.canon.request import Request


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a backend offers. ``id`` is the upstream's exact name, ``aliases`` the other names it answers to.

    ``context_window`` and ``max_output_tokens`` are in tokens, ``None`` where the upstream doesn't say.
    """

    id: str
    display_name: str
    aliases: tuple[str, ...] = ()
    effort_levels: tuple[str, ...] = ()
    context_window: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to a backend.

    ``client`` tells one client from another (a digest of its key, never the key). ``strict`` makes every loss a 400.
    """

    request: Request
    client: str = ""
    strict: bool = False


@dataclass(slots=True)
class Turn:
    """A turn under way. Iterate ``events`` to its end; leaving the context early stops the turn upstream.

    ``losses`` (names of request fields), ``timings`` (seconds by name: ``queue``, ``claim``, ``first_byte``) and
    ``headers`` (rate limits to hand on) are complete once the first event is there.
    """

    events: AsyncIterator[AnyEvent]
    losses: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a backend can answer now, and what a person should know: ``detail`` is one line."""

    ready: bool
    detail: str
    account: str | None = None
    version: str | None = None


class Backend(Protocol):
    """One upstream."""

    name: str

    async def start(self) -> None:
        """Begin work in the background; return at once. Never raises for an upstream that can't be reached."""

    async def close(self) -> None:
        """End everything that was started. No child and no task is left behind."""

    async def models(self) -> Sequence[Model]:
        """What can be asked for. Raises ``ProxyError`` where the upstream can't say."""

    async def health(self) -> Health:
        """Say whether the next request can be answered."""

    def turn(self, call: Call) -> AbstractAsyncContextManager[Turn]:
        """Run one turn. Entering waits for a place; a failure is a ``ProxyError``, on entering or while iterating."""
