"""The endpoints: one table. A dialect is added by one line in ``TURNS``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any

import msgspec
from aiohttp import web

from claude_proxy import __version__
from claude_proxy.dialects.base import Dialect
from claude_proxy.dialects.chat import CHAT
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.dialects.responses import RESPONSES
from claude_proxy.server import responses
from claude_proxy.server.body import expect
from claude_proxy.server.catalog import (
    anthropic_entries,
    anthropic_entry,
    anthropic_list,
    find,
    offers,
    openai_entries,
    openai_list,
)
from claude_proxy.server.exchange import SERVER
from claude_proxy.server.failures import wants_anthropic
from claude_proxy.server.openapi import describe
from claude_proxy.server.status import health_of, snapshot_of, status
from claude_proxy.server.turns import Prepare, answer, count_tokens

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TURNS: dict[str, tuple[Dialect, Prepare | None]] = {
    "/v1/chat/completions": (CHAT, None),
    "/v1/messages": (MESSAGES, None),
    "/v1/responses": (RESPONSES, responses.prepare),
}
"""Where each dialect is spoken, and what must be done before a request of it can be translated."""

OPEN_PATHS = frozenset({"/health", "/readyz"})
"""What needs no key."""

GREETED_PATHS = frozenset({"/", "/api/hello"})
"""What clients ask before anything else, to see whether somebody is there; a HEAD needs no key."""

_COUNT_PATH = "/v1/messages/count_tokens"


def routes() -> list[web.RouteDef]:
    """Give the table of endpoints."""
    return [
        *(
            web.post(path, partial(answer, dialect=dialect, prepare=prepare), expect_handler=expect)
            for path, (dialect, prepare) in TURNS.items()
        ),
        web.post(_COUNT_PATH, partial(count_tokens, dialect=MESSAGES), expect_handler=expect),
        web.get("/v1/responses/{id}", responses.retrieve),
        web.delete("/v1/responses/{id}", responses.delete),
        web.get("/v1/responses/{id}/input_items", responses.list_input_items),
        web.post("/v1/responses/{id}/cancel", responses.cancel),
        *(web.get(path, greet) for path in sorted(GREETED_PATHS)),
        web.get("/v1/models", list_models),
        web.get("/v1/models/{name:.+}", show_model),
        web.get("/health", health),
        web.get("/readyz", ready),
        web.get("/api/status", show_status),
        web.get("/metrics", metrics),
        web.get("/openapi.json", describe_api),
    ]


async def greet(request: web.Request) -> web.Response:
    """Say who is here, and where what is."""
    del request
    return _json({"name": "claude-proxy", "version": __version__, "endpoints": [*TURNS, _COUNT_PATH, "/v1/models"]})


async def list_models(request: web.Request) -> web.Response:
    """Give what can be asked for."""
    server = request.app[SERVER].now()
    lists, _ = await offers(server)
    if wants_anthropic(request.headers):
        return _json(anthropic_list(anthropic_entries(lists)))
    return _json(openai_list(openai_entries(lists, server.config.model_aliases)))


async def show_model(request: web.Request) -> web.Response:
    """Give one model by any name that it can be asked for by."""
    server, name = request.app[SERVER].now(), request.match_info["name"]
    found = (await find(server, name))[0]
    full_name = f"{found.prefix}/{found.model_id}" if found.prefix else found.model_id
    lists, _ = await offers(server)
    if wants_anthropic(request.headers):
        by_id = {entry["id"]: entry for entry in anthropic_entries(lists)}
        return _json(by_id.get(full_name) or anthropic_entry(full_name, found.model_id))
    entries = {entry["id"].lower(): entry for entry in openai_entries(lists, server.config.model_aliases)}
    # A version that the upstream didn't list may exist all the same: what is known of it is its name.
    unlisted = {"id": full_name, "object": "model", "created": 0, "owned_by": found.backend}
    return _json(entries.get(name.lower()) or entries.get(full_name.lower()) or unlisted)


async def health(request: web.Request) -> web.Response:
    """Say that the server runs."""
    demo = {"demo": True} if request.app[SERVER].demo else {}
    return _json({"status": "ok", "version": __version__, **demo})


async def ready(request: web.Request) -> web.Response:
    """Say whether any backend can answer, and what keeps the others from it."""
    backends = request.app[SERVER].backends
    states = await asyncio.gather(*(health_of(backend) for backend in backends))
    is_ready = any(state.ready for state in states)
    told = [
        {"name": backend.name, "ready": state.ready, **({} if state.ready else {"detail": state.detail})}
        for backend, state in zip(backends, states, strict=True)
    ]
    return _json({"status": "ready" if is_ready else "not ready", "backends": told}, status=200 if is_ready else 503)


async def show_status(request: web.Request) -> web.Response:
    """Tell of the server, its backends, the last failures and what was used."""
    return _json(await status(request.app[SERVER].now()))


async def describe_api(request: web.Request) -> web.Response:
    """Describe the endpoints, as OpenAPI does."""
    del request
    return _json(_description())


@cache
def _description() -> dict[str, Any]:
    return describe(routes(), OPEN_PATHS)


async def metrics(request: web.Request) -> web.Response:
    """Give what Prometheus collects."""
    from claude_proxy.server.exposition import CONTENT_TYPE_LATEST, exposition  # noqa: PLC0415 - few ever ask

    server = request.app[SERVER].now()
    shots = await asyncio.gather(*(snapshot_of(backend) for backend in server.backends))
    by_name = {backend.name: shot for backend, shot in zip(server.backends, shots, strict=True)}
    body = exposition(server.metrics, server.exchanges.turns, by_name)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _json(value: Any, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")
