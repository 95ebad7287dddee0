"""What the server asks of a dialect. Adding one: a request half, a response half, a line in ``server/routes.py``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from claude_proxy.canon.events import AnyEvent
from claude_proxy.canon.request import Request
from claude_proxy.errors import ProxyError


@dataclass(frozen=True, slots=True)
class Parsed:
    """A client's request in our types, and what of it was lost on the way.

    ``losses`` are the dialect's own field names, each once. ``options`` is what the dialect's response half needs to
    know of the request; nobody else looks into it.
    """

    request: Request
    stream: bool = False
    losses: tuple[str, ...] = ()
    options: Any = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a reply can't know by itself, since dialects read no clock and make no ids.

    ``id`` is a random token without a prefix; ``created`` is in Unix seconds.
    """

    id: str
    created: int


class ReplyStream(Protocol):
    """One streamed reply under way. Everything it gives is complete SSE frames, or nothing."""

    def feed(self, event: AnyEvent) -> bytes:
        """Frames for the next event of a legal sequence."""

    def finish(self) -> bytes:
        """Frames after ``message_stop``."""

    def fail(self, error: ProxyError) -> bytes:
        """The dialect's error event, and whatever must follow it. Nothing comes after."""


class Dialect(Protocol):
    """One HTTP API that clients speak."""

    name: str
    keepalive: bytes
    """What is written while the model is silent."""
    names: Mapping[str, str]
    """Our field names to the dialect's, where they differ: a backend's losses are told in the client's words."""

    def parse(self, body: bytes) -> Parsed:
        """Translate a request; raise ``BadRequest`` naming the field where it can't be."""

    def stream(self, parsed: Parsed, stamp: Stamp) -> ReplyStream:
        """Begin a streamed reply."""

    def collect(self, parsed: Parsed, events: Iterable[AnyEvent], stamp: Stamp) -> bytes:
        """Give the whole reply's JSON: the same frames as ``stream`` makes, folded together."""

    def error(self, error: ProxyError, request_id: str) -> bytes:
        """Give an error's JSON body."""
