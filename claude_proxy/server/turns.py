"""One request for a turn, from its body to its answer, whatever its dialect and its backend."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import msgspec
from aiohttp import web

from claude_proxy.backends.base import Backend, Call, Turn
from claude_proxy.canon.events import AnyEvent
from claude_proxy.canon.grammar import Grammar
from claude_proxy.dialects.base import Dialect, Parsed, Stamp
from claude_proxy.errors import BadRequest, ProxyError
from claude_proxy.server.body import read_body
from claude_proxy.server.catalog import find
from claude_proxy.server.exchange import CURRENT, SERVER, Exchange, Server
from claude_proxy.server.failures import as_proxy_error
from claude_proxy.server.streaming import ClientGone, Wire, relay


@dataclass(frozen=True, slots=True)
class _Work:
    """A request that has been understood, and who takes it."""

    dialect: Dialect
    parsed: Parsed
    stamp: Stamp
    backend: Backend
    call: Call


async def answer(request: web.Request, dialect: Dialect) -> web.StreamResponse:
    """Answer a request for a turn."""
    server, exchange = request.app[SERVER], CURRENT.get()
    with server.exchanges.place(server.config.max_concurrent_requests):
        async with exchange.stoppable():
            exchange.reading = True
            body = await read_body(request, server.config.body_limit_mb)
            exchange.reading = False
            work = await _understand(server, exchange, dialect, body)
        if work.parsed.stream:
            wire = Wire(request, dialect.keepalive, server.config.streaming.keepalive_seconds)
            return await _streamed(work, exchange, wire)
        return await _whole(work, exchange)


async def _understand(server: Server, exchange: Exchange, dialect: Dialect, body: bytes) -> _Work:
    parsed = _parse(dialect, body)
    exchange.names, exchange.losses = dialect.names, parsed.losses
    if server.config.strict and parsed.losses:
        fields = ", ".join(parsed.losses)
        raise BadRequest(f"these fields can't be honoured, and the server is strict: {fields}", param=parsed.losses[0])
    found = await find(server, parsed.request.model)
    exchange.model, exchange.backend = found.model_id, found.backend
    request = msgspec.structs.replace(parsed.request, model=found.model_id)
    return _Work(
        dialect=dialect,
        parsed=parsed,
        stamp=Stamp(id=uuid4().hex, created=int(time.time())),
        backend=next(backend for backend in server.backends if backend.name == found.backend),
        call=Call(request=request, client=exchange.client, strict=server.config.strict),
    )


def _parse(dialect: Dialect, body: bytes) -> Parsed:
    try:
        return dialect.parse(body)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None


@asynccontextmanager
async def _turn(work: _Work, exchange: Exchange) -> AsyncIterator[Turn]:
    """Run the turn, ended by shutdown; whatever way it is left, nothing of it goes on."""
    try:
        async with exchange.stoppable(), work.backend.turn(work.call) as turn:
            exchange.turn = turn
            try:
                yield turn
            finally:
                if isinstance(turn.events, AsyncGenerator):
                    await turn.events.aclose()
    except ProxyError as error:
        if error.param is not None:
            error.param = work.dialect.names.get(error.param, error.param)
        raise


async def _whole(work: _Work, exchange: Exchange) -> web.Response:
    events: list[AnyEvent] = []
    grammar = Grammar()
    async with _turn(work, exchange) as turn:
        async for event in turn.events:
            grammar.check(event)
            events.append(event)
        grammar.check_end()
    body = work.dialect.collect(work.parsed, events, work.stamp)
    return web.Response(body=body, content_type="application/json")


async def _streamed(work: _Work, exchange: Exchange, wire: Wire) -> web.StreamResponse:
    reply = work.dialect.stream(work.parsed, work.stamp)
    try:
        try:
            async with wire.kept_alive(), _turn(work, exchange) as turn:
                await relay(turn, reply, wire)
        except ClientGone:
            raise
        except Exception as failure:
            if not wire.begun:
                raise
            exchange.error = as_proxy_error(failure)
            await wire.write(reply.fail(exchange.error))
        await wire.end()
    except ClientGone:
        exchange.client_gone = True
    return wire.response
