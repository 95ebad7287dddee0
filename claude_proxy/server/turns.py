"""One request for a turn, from its body to its answer, whatever its dialect and its backend.

Of the body only ``model`` and ``stream`` are read before it is known who takes it: a backend that speaks the client's
dialect gets it as it came, for the others it is translated.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import msgspec
from aiohttp import web

from claude_proxy.backends.base import Backend, Turn
from claude_proxy.canon.events import AnyEvent
from claude_proxy.canon.grammar import Grammar
from claude_proxy.dialects.base import Dialect, Parsed, Stamp
from claude_proxy.dialects.messages import Messages
from claude_proxy.dialects.peek import peek
from claude_proxy.routing import Resolved
from claude_proxy.server.bodies import MOST_BYTES
from claude_proxy.server.body import read_body
from claude_proxy.server.candidates import first_answer
from claude_proxy.server.catalog import find
from claude_proxy.server.exchange import CURRENT, SERVER, Excerpt
from claude_proxy.server.failures import as_proxy_error
from claude_proxy.server.job import Job
from claude_proxy.server.relay import native, relay_stream, relay_whole
from claude_proxy.server.streaming import COUNTED, ClientGone, Wire, send_events

Prepare = Callable[[Job], Awaitable[None]]
"""What a dialect has done before its request is translated."""


async def answer(request: web.Request, dialect: Dialect, prepare: Prepare | None = None) -> web.StreamResponse:
    """Answer a request for a turn."""
    server = request.app[SERVER]
    CURRENT.get().dialect = dialect.name
    with server.exchanges.place(server.config.max_concurrent_requests):
        job = await _understand(request, dialect, prepare=prepare)
        return await (_streamed(job) if job.stream else _whole(job))


async def count_tokens(request: web.Request, dialect: Messages) -> web.StreamResponse:
    """Answer how many tokens a request would be, as its backend counts them."""
    server = request.app[SERVER]
    with server.exchanges.place(server.config.max_concurrent_requests):
        job = await _understand(request, dialect, dialect.parse_count)
        job.stream = False  # a number is never streamed, whatever else the request says
        async with job.exchange.stoppable():
            return await first_answer(job, lambda found, backend: _counted(job, found, backend))


async def _understand(
    request: web.Request,
    dialect: Dialect,
    parse: Callable[[bytes], Parsed] | None = None,
    prepare: Prepare | None = None,
) -> Job:
    server, exchange = request.app[SERVER].now(), CURRENT.get()
    async with exchange.stoppable():
        exchange.reading = True
        body = await read_body(request, server.config.body_limit_mb)
        exchange.reading = False
        if server.config.request_log:
            exchange.received = body
        asked = peek(body)
        candidates = await find(server, asked.model)
        stamp = Stamp(id=uuid4().hex, created=int(time.time()))
        job = Job(server, exchange, request, dialect, parse or dialect.parse, body, asked.stream, candidates, stamp)
        if prepare is not None:
            await prepare(job)
    return job


async def _counted(job: Job, found: Resolved, backend: Backend) -> web.Response:
    upstream = native(backend, job.dialect)
    if upstream is not None:
        return await relay_whole(job, found, upstream)
    with job.in_its_words():
        count = await backend.count_tokens(job.call(found))
    return web.Response(body=msgspec.json.encode({"input_tokens": count}), content_type="application/json")


async def _whole(job: Job) -> web.Response:
    async with job.exchange.stoppable():
        return await first_answer(job, lambda found, backend: _whole_of(job, found, backend))


async def _whole_of(job: Job, found: Resolved, backend: Backend) -> web.Response:
    upstream = native(backend, job.dialect)
    if upstream is not None:
        return await relay_whole(job, found, upstream)
    events: list[AnyEvent] = []
    grammar = Grammar()
    async with _turn(job, found, backend) as turn:
        async for event in turn.events:
            grammar.check(event)
            if type(event) in COUNTED:
                turn.used = turn.used.after(event)
            events.append(event)
        grammar.check_end()
    body = job.whole_reply(events)
    return web.Response(body=body, content_type="application/json")


async def _streamed(job: Job) -> web.StreamResponse:
    if job.server.config.request_log:
        job.exchange.sent = Excerpt(MOST_BYTES)
    copy = job.exchange.sent.add if job.exchange.sent is not None else None
    wire = Wire(job.request, job.dialect.keepalive, job.server.config.streaming.keepalive_seconds, copy)
    try:
        try:
            async with wire.kept_alive(), job.exchange.stoppable():
                await first_answer(
                    job, lambda found, backend: _stream_of(job, found, backend, wire), lambda: wire.begun
                )
        except ClientGone:
            raise
        except Exception as failure:
            if not wire.begun:
                raise
            job.exchange.error = as_proxy_error(failure)
            await wire.write(job.failed(job.exchange.error))
        await wire.end()
    except ClientGone:
        job.exchange.client_gone = True
    finally:
        # After the last byte, which it would keep waiting, and before its client's next request can be read.
        job.keep_reply()
    return wire.response


async def _stream_of(job: Job, found: Resolved, backend: Backend, wire: Wire) -> None:
    upstream = native(backend, job.dialect)
    if upstream is not None:
        job.reply = None
        await relay_stream(job, found, upstream, wire)
        return
    job.reply = job.stream_reply()
    async with _turn(job, found, backend) as turn:
        await send_events(turn, job.reply, wire)


@asynccontextmanager
async def _turn(job: Job, found: Resolved, backend: Backend) -> AsyncIterator[Turn]:
    """Run the turn; whatever way it is left, nothing of it goes on."""
    with job.in_its_words():
        async with backend.turn(job.call(found)) as turn:
            job.exchange.turn = turn
            try:
                yield turn
            finally:
                if isinstance(turn.events, AsyncGenerator):
                    await turn.events.aclose()
