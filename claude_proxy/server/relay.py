"""Requests that go to an upstream as they came, and its answers that come back as they are.

The hot path for upstreams that speak the client's dialect: nothing is parsed, and a chunk is only written.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from claude_proxy.backends.base import Backend, Native, Relayed
from claude_proxy.dialects.base import Dialect
from claude_proxy.errors import UpstreamError
from claude_proxy.routing import Resolved
from claude_proxy.server.job import Job
from claude_proxy.server.streaming import Wire

_ENDS = (b"event: message_stop", b"data: [DONE]")
"""How a stream's last event looks, which goes out with the stream's end. No delta does: its line ends are escaped."""


def native(backend: Backend, dialect: Dialect) -> Native | None:
    """Give the backend where it takes the dialect's requests as they are."""
    # Who says what it speaks is one: an ``isinstance`` looks at every member of the protocol, on every request.
    return cast("Native", backend) if getattr(backend, "speaks", None) == dialect.name else None


@asynccontextmanager
async def _relayed(job: Job, found: Resolved, backend: Native) -> AsyncIterator[Relayed]:
    async with backend.relay(job.original(found)) as relayed:
        job.exchange.turn = relayed
        try:
            yield relayed
        finally:
            # The client has it already, in the upstream's own words: this is for the log.
            job.exchange.error = relayed.error or job.exchange.error
            if isinstance(relayed.chunks, AsyncGenerator):
                await relayed.chunks.aclose()


async def relay_whole(job: Job, found: Resolved, backend: Native) -> web.Response:
    """Give the upstream's whole answer."""
    async with _relayed(job, found, backend) as relayed:
        body = b"".join([chunk async for chunk in relayed.chunks])
    return web.Response(body=body, headers={"Content-Type": relayed.content_type})


async def relay_stream(job: Job, found: Resolved, backend: Native, wire: Wire) -> None:
    """Send the upstream's events on as they come; raise ``UpstreamError`` where there are none."""
    empty = True
    async with _relayed(job, found, backend) as relayed:
        if not wire.begun:
            wire.response.headers["Content-Type"] = relayed.content_type
        async for chunk in relayed.chunks:
            empty = False
            if any(end in chunk for end in _ENDS):
                wire.hold(chunk)
            else:
                await wire.write(chunk)
    if empty:
        raise UpstreamError("the upstream ended its reply before it began")
