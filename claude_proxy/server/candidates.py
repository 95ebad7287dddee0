"""Who answers a request: the best candidate, and where that one fails before the first byte, maybe another."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from claude_proxy.backends.base import Backend
from claude_proxy.errors import ProxyError
from claude_proxy.routing import Resolved, goes_on
from claude_proxy.server.job import Job

log = logging.getLogger(__name__)

T = TypeVar("T")
Run = Callable[[Resolved, Backend], Awaitable[T]]
"""Lets one candidate answer."""


async def first_answer(job: Job, run: Run[T], begun: Callable[[], bool] = lambda: False) -> T:
    """Run the candidates until one answers; raise the last one's failure. Once ``begun``, nothing is tried again."""
    by_name = {backend.name: backend for backend in job.server.backends}
    routing, exchange = job.server.config.routing, job.exchange
    left = [(found, by_name[found.backend]) for found in job.candidates]
    while True:
        (found, backend), *left = left
        exchange.model, exchange.backend = found.model_id, backend.name
        exchange.turn, exchange.losses = None, ()
        try:
            return await run(found, backend)
        except ProxyError as error:
            left = [
                (found, other)
                for found, other in left
                if goes_on(error, backend.kind, other.kind, fall_back_to_api_key=routing.fall_back_to_api_key)
            ]
            if not left or begun():
                raise
            log.warning("%s failed (%s), going on with %s", backend.name, error.message, left[0][1].name)
