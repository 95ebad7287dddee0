"""The server as a whole: what every request passes, how it starts, and how it ends without cutting anybody off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from aiohttp import web

from claude_proxy.backends.base import Backend
from claude_proxy.config.schema import Config
from claude_proxy.ledger.entry import CLIENT_GONE
from claude_proxy.ledger.store import Ledger
from claude_proxy.server import guard
from claude_proxy.server.access import log_finished
from claude_proxy.server.bodies import log_bodies
from claude_proxy.server.connections import Runner
from claude_proxy.server.exchange import CURRENT, SERVER, Exchange, Server
from claude_proxy.server.failures import as_proxy_error, forget_frames, respond, shape_for
from claude_proxy.server.finished import note_finished
from claude_proxy.server.headers import handed_on, lost, renamed, server_timing
from claude_proxy.server.leaving import close
from claude_proxy.server.listen import Listening, bind, listening, ssl_context, stopped_by_signals, told_in_a_line
from claude_proxy.server.routes import GREETED_PATHS, OPEN_PATHS, routes
from claude_proxy.store.responses import ResponseStore

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OnReady = Callable[[Listening], Awaitable[None] | None]
Beside = Callable[[Server], Coroutine[Any, Any, None]]
"""What runs as long as the server listens, and may change what it goes by."""

CLIENT_CLOSED_REQUEST = CLIENT_GONE
"""What the log says where the client left before its answer; nothing is sent."""

_BACKLOG = 1024
_GRACE_SECONDS = 1.0
"""How long a failed stream has to tell its client so."""

log = logging.getLogger(__name__)


def build_app(
    config: Config,
    backends: Sequence[Backend],
    *,
    demo: bool = False,
    store: ResponseStore | None = None,
    ledger: Ledger | None = None,
) -> web.Application:
    """Build the application, for :class:`Runner`."""
    # Bodies are limited where they are read, before and after decompression; aiohttp's own limit is off.
    app = web.Application(middlewares=[_envelope], client_max_size=0)
    # Without a place on disk, responses and what was used are kept in memory.
    app[SERVER] = Server(config, backends, demo, store or ResponseStore(days=config.responses_days), ledger or Ledger())
    app.add_routes(routes())
    app.on_response_prepare.append(_add_headers)
    app.on_startup.append(_open_store)
    app.on_shutdown.append(_drain)
    app.on_cleanup.append(_close_store)
    return app


@web.middleware
async def _envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Follow a request from its first to its last byte: it gets an id, a guard, an answer and a line in the log."""
    server, exchange = request.app[SERVER], Exchange()
    config = server.config
    status, response = CLIENT_CLOSED_REQUEST, None
    with server.exchanges.track(exchange):
        try:
            response = await _admit(request, handler, config, exchange)
            status = CLIENT_CLOSED_REQUEST if exchange.client_gone else response.status
        except Exception as failure:  # noqa: BLE001 - whatever happens, the client gets an answer in its own shape
            known = [resource.canonical for resource in request.app.router.resources()]
            exchange.error = error = as_proxy_error(failure, request.path, known)
            status = error.status
            allow = failure.headers["Allow"] if isinstance(failure, web.HTTPMethodNotAllowed) else None
            response = respond(error, shape_for(request.path, request.headers), exchange.id, allow=allow)
        finally:
            log_finished(request, status, exchange)
            note_finished(server, status, exchange)
            if config.request_log:
                log_bodies(request, response, exchange)
            forget_frames(exchange.error)
    return response


async def _admit(request: web.Request, handler: Handler, config: Config, exchange: Exchange) -> web.StreamResponse:
    guard.check_host(request.headers, config)
    exchange.origin = guard.allowed_origin(request.headers, config)
    if guard.is_preflight(request.method, request.headers):
        return web.Response(status=204, headers=guard.preflight_headers(request.headers))
    if request.path not in OPEN_PATHS and not (request.method == "HEAD" and request.path in GREETED_PATHS):
        exchange.client = guard.client_of(request.headers, config.api_keys)
    return await handler(request)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    exchange = CURRENT.get()
    turn = exchange.turn
    told = handed_on(turn.headers) if turn is not None else {}
    told |= {"request-id": exchange.id, "x-request-id": exchange.id}
    if request.app[SERVER].demo:
        told["x-claude-proxy-demo"] = "1"
    if exchange.backend:
        told["x-claude-proxy-backend"] = exchange.answered_by
    timings = dict(turn.timings) if turn is not None else {}
    losses = list(exchange.losses)
    if turn is not None:
        losses += renamed(turn.losses, exchange.names)
    if isinstance(response, web.Response):
        # A stream's headers go out long before its total is known.
        timings["total"] = exchange.elapsed()
    if losses:
        told["x-claude-proxy-lost"] = lost(losses)
    if timings:
        told["server-timing"] = server_timing(timings)
    response.headers.update(told)
    response.headers["Server"] = "claude-proxy"
    if exchange.origin is not None:
        extra = {name: "" for name in ("retry-after", "x-should-retry") if name in response.headers}
        response.headers.update(guard.cors_headers(exchange.origin, told | extra))


async def serve_forever(
    config: Config,
    backends: Sequence[Backend],
    *,
    demo: bool = False,
    store: ResponseStore | None = None,
    ledger: Ledger | None = None,
    on_ready: OnReady | None = None,
    beside: Beside | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Listen until ``stop`` is set or SIGINT or SIGTERM comes, then let what is open end, and close the backends.

    Raises ``OSError`` where the address can't be had. A second signal ends without waiting.
    """
    stop = stop or asyncio.Event()
    app = build_app(config, backends, demo=demo, store=store, ledger=ledger)
    context = ssl_context(config.tls)
    sockets = await bind(config.host, config.port)
    # The last resort of ``shutdown_timeout`` comes after our own drain.
    runner = Runner(app, shutdown_timeout=_GRACE_SECONDS)
    await runner.setup()
    try:
        with stopped_by_signals(stop, app[SERVER].hurry), told_in_a_line():
            try:
                for sock in sockets:
                    await web.SockSite(runner, sock, ssl_context=context, backlog=_BACKLOG).start()
                await _run(app[SERVER], listening(sockets, secure=context is not None), on_ready, beside, stop)
            except BaseException:
                # After a failure, or where this task is cancelled, nobody waits for open streams.
                app[SERVER].hurry.set()
                raise
            finally:
                await runner.cleanup()
    finally:
        for sock in sockets:
            sock.close()
        await close(app[SERVER].backends)
        await app[SERVER].leaving.close()


async def _run(
    server: Server, where: Listening, on_ready: OnReady | None, beside: Beside | None, stop: asyncio.Event
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for backend in server.backends:
            tasks.create_task(backend.start())
        # Starting returns at once; one that doesn't keeps neither requests nor the news of readiness waiting.
        await asyncio.sleep(0)
        told = on_ready(where) if on_ready else None
        if told is not None:
            await told
        companion = tasks.create_task(beside(server)) if beside else None
        await stop.wait()
        if companion is not None:
            companion.cancel()


async def _drain(app: web.Application) -> None:
    server = app[SERVER]
    await server.exchanges.drain(server.config.shutdown_seconds, server.hurry, grace_seconds=_GRACE_SECONDS)


async def _open_store(app: web.Application) -> None:
    app[SERVER].store.start()


async def _close_store(app: web.Application) -> None:
    await app[SERVER].store.close()
    await app[SERVER].ledger.close()
