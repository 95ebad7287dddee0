"""Connections, before there is a request: what isn't HTTP is refused in words, and they can't use up the machine.

A client that sends the beginning of a request for ever holds nothing but its connection, and that only until it has
waited for :data:`IDLE_SECONDS`, or until there are too many: then those go first that have waited longest.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from claude_proxy.errors import BadRequest, ProxyError
from claude_proxy.server.failures import as_proxy_error, for_anyone, respond

IDLE_SECONDS = 90.0
"""How long a connection may be there without a whole request: clients keep them open for minutes."""

_MOST = 4096
_LEAST = 64
_HEADERS_TOO_LARGE = 431

log = logging.getLogger(__name__)


def most_connections() -> int:
    """Say how many connections there may be: half of what this process may open, so that children and files can be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Without a limit it is negative.
    return max(_LEAST, min(soft // 2, _MOST)) if soft >= 0 else _MOST


@dataclass(slots=True)
class Connections:
    """All that are open. Beyond ``most``, room is made: never at the cost of a request that is being answered."""

    most: int
    _open: dict[_Connection, None] = field(default_factory=dict)

    def opened(self, connection: _Connection) -> None:
        """Count one more."""
        self._open[connection] = None
        if len(self._open) > self.most:
            waiting = [one for one in self._open if one.waits_until is not None and one is not connection]
            leaves = min(waiting, key=lambda one: one.waits_until or 0, default=connection)
            log.info("there are more than %d connections: the one that has waited longest is closed", self.most)
            leaves.force_close()

    def closed(self, connection: _Connection) -> None:
        """Count one less."""
        self._open.pop(connection, None)


class _Connection(web.RequestHandler):
    """aiohttp's connection, counted, and with our words for what it can't read."""

    __slots__ = ("_all",)

    def __init__(self, connections: Connections, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._all = connections

    @property
    def waits_until(self) -> float | None:
        """When it is closed if no request comes; ``None`` while one is being answered."""
        return None if self._current_request is not None else self._next_keepalive_close_time

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._all.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._all.closed(self)
        super().connection_lost(exc)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no request. What was wrong is said to the client alone: it may be part of a conversation."""
        if request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        request_id = f"req_{uuid4().hex}"
        error = _refusal(exc, message)
        log.info("refused what is no HTTP request: %s (%s)", type(exc).__name__, request_id)
        response = respond(error, for_anyone, request_id)
        response.headers.update({"request-id": request_id, "x-request-id": request_id, "Server": "claude-proxy"})
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what went wrong here; a body that can't be read is its client's affair, who has been told."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError | HttpProcessingError):
            super().log_exception(*args, **kw)


def _refusal(exc: BaseException | None, message: str | None) -> ProxyError:
    if isinstance(exc, LineTooLong):
        return BadRequest("the request line or a header is too long", status=_HEADERS_TOO_LARGE)
    if isinstance(exc, HttpProcessingError):
        return BadRequest(f"this is no HTTP request that can be read: {_first_line(message)}")
    return as_proxy_error(exc if isinstance(exc, Exception) else RuntimeError(message))


def _first_line(message: str | None) -> str:
    return (message or "").partition("\n")[0].strip(" :")[:200]


class Runner(web.AppRunner):
    """Runs an application on connections of ours."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float) -> None:
        # A client that leaves must end its turn.
        super().__init__(app, handler_cancellation=True, shutdown_timeout=shutdown_timeout)
        self.connections = Connections(most_connections())

    @property
    def server(self) -> Any:
        """What makes a connection: asyncio calls it for each one that it accepts."""
        server = super().server
        if server is None:
            return None
        loop = asyncio.get_running_loop()
        return partial(
            _Connection, self.connections, server, loop=loop, keepalive_timeout=IDLE_SECONDS, access_log=None
        )
