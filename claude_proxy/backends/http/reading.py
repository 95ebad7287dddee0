"""A reply as our events, as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from claude_proxy.backends.http.attempts import read_some
from claude_proxy.canon.events import AnyEvent
from claude_proxy.errors import ProxyError


class Reader(Protocol):
    """Reads one answer. Both ways to feed it give events before they raise the ``ProxyError`` behind them."""

    @property
    def is_finished(self) -> bool:
        """Whether the upstream has said that the reply is complete: how the connection ends says nothing then."""

    @property
    def is_over(self) -> bool:
        """Whether the last event has been given: nothing more needs to be read."""

    def feed(self, data: bytes) -> Iterator[AnyEvent]:
        """Take the next bytes."""

    def end(self) -> Iterator[AnyEvent]:
        """Take the end of the answer."""


@dataclass(slots=True)
class Begun:
    """A reply whose first events are there; ``error`` is what came right behind them."""

    reader: Reader
    events: list[AnyEvent]
    error: ProxyError | None


async def begun(response: aiohttp.ClientResponse, reader: Reader) -> Begun:
    """Read until the first event is there; raise where there is none."""
    while True:
        data = await read_some(response)
        events, error = _taken(reader.feed(data) if data else reader.end())
        if events:
            return Begun(reader, events, error)
        if error is not None:
            raise error


def _taken(events: Iterator[AnyEvent]) -> tuple[list[AnyEvent], ProxyError | None]:
    """Give events, and the failure that ended them."""
    taken: list[AnyEvent] = []
    try:
        for event in events:
            taken.append(event)  # noqa: PERF402 - `list` would lose them where one raises
    except ProxyError as error:
        return taken, error
    return taken, None


async def events(response: aiohttp.ClientResponse, begun: Begun) -> AsyncGenerator[AnyEvent]:
    """Give a reply's events to its end; raise where it breaks off, or fails."""
    for event in begun.events:
        yield event
    if begun.error is not None:
        raise begun.error
    reader = begun.reader
    while not reader.is_over:
        for event in await _more(response, reader):
            yield event


async def _more(response: aiohttp.ClientResponse, reader: Reader) -> Iterator[AnyEvent]:
    try:
        data = await read_some(response)
    except ProxyError:
        if not reader.is_finished:
            raise
        data = b""
    return reader.feed(data) if data else reader.end()
