"""Backends on their way out: closed when the last request that may still use them has ended, and never forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from claude_proxy.backends.base import Backend

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Leaving:
    """Every backend that no new request gets any more."""

    _closings: dict[asyncio.Task[None], asyncio.Event] = field(default_factory=dict)

    def see_off(self, backend: Backend, unused: asyncio.Event) -> None:
        """Close a backend as soon as ``unused`` is set."""
        closing = asyncio.create_task(_close_when(unused, backend), name=f"close {backend.name}")
        self._closings[closing] = unused
        closing.add_done_callback(self._closings.pop)

    async def close(self) -> None:
        """Close those that are left now, used or not."""
        for unused in self._closings.values():
            unused.set()
        await asyncio.gather(*self._closings)


async def _close_when(unused: asyncio.Event, backend: Backend) -> None:
    await unused.wait()
    await close([backend])
    log.debug("%s is closed: the last request that it had is over", backend.name)


async def close(backends: Iterable[Backend]) -> None:
    """Close all; one that fails is told of, and keeps no other from it."""
    every = list(backends)
    closings = await asyncio.gather(*(backend.close() for backend in every), return_exceptions=True)
    for backend, failure in zip(every, closings, strict=True):
        if failure is not None:
            log.error("the backend %s didn't close cleanly", backend.name, exc_info=failure)
