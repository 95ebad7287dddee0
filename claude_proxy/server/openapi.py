"""An OpenAPI description of the endpoints, made of the table of routes itself: a route that is there is described.

What an endpoint is for is its handler's own docstring, and its request is what its dialect reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

from aiohttp import web

from claude_proxy import __version__
from claude_proxy.server.schemas import EXAMPLES, REPLIES, REQUESTS, ref, schemas

Json = dict[str, Any]

ANSWERS = {
    ("POST", "/v1/messages/count_tokens"): "messages.Count",
    ("GET", "/v1/responses/{id}"): "responses.Response",
    ("DELETE", "/v1/responses/{id}"): "responses.Deleted",
    ("GET", "/v1/responses/{id}/input_items"): "Page",
    ("GET", "/v1/models"): "Models",
    ("GET", "/v1/models/{name}"): "Model",
    ("GET", "/health"): "Health",
    ("GET", "/readyz"): "Readiness",
}
"""What else than a dialect's reply is answered; ``Any`` where nothing is said here."""

TEXTS = {("GET", "/metrics"): "text/plain"}
"""What isn't JSON, and what it is then."""

QUERIES: dict[tuple[str, str], dict[str, Json]] = {
    ("GET", "/v1/responses/{id}"): {
        "include": {"type": "array", "items": {"type": "string"}},
        "stream": {"type": "boolean"},
    },
    ("GET", "/v1/responses/{id}/input_items"): {
        "include": {"type": "array", "items": {"type": "string"}},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100},
        "order": {"enum": ["asc", "desc"]},
        "after": {"type": "string"},
    },
}

LINKS: dict[tuple[str, str], tuple[str, str, str]] = {
    ("POST", "/v1/responses"): ("/v1/responses/{id}", "id", "$response.body#/id"),
    ("GET", "/v1/models"): ("/v1/models/{name}", "name", "$response.body#/data/0/id"),
}
"""Where something of an answer can be asked with: below which path, as which parameter."""

_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_JSON, _STREAM = "application/json", "text/event-stream"


def describe(table: Iterable[web.RouteDef], open_paths: Collection[str]) -> Json:
    """Describe a table of routes. ``open_paths`` need no key."""
    paths: Json = {}
    table = list(table)
    for route in table:
        operation = _operation(route)
        if route.path in open_paths:
            operation["security"] = []
        if links := _links(route, table):
            operation["responses"]["200"]["links"] = links
        paths.setdefault(described_path(route.path), {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "claude-proxy",
            "version": __version__,
            "description": "OpenAI's and Anthropic's APIs as one local server has them. Where this is silent, it is as "
            "in their own references; fields that aren't named here are taken, too.",
        },
        # Keys are needed only where the server has some.
        "security": [{}, *({name: []} for name in _KEYS)],
        "paths": paths,
        "components": {"securitySchemes": _KEYS, "schemas": schemas()},
    }


def described_path(path: str) -> str:
    """Give a route's path as OpenAPI writes it: a parameter has a name there, and no pattern."""
    return "/".join(
        part.partition(":")[0] + "}" if part.startswith("{") and ":" in part else part for part in path.split("/")
    )


def _operation(route: web.RouteDef) -> Json:
    handler, dialect = route.handler, None
    if isinstance(handler, partial):
        given = handler.keywords.get("dialect")
        handler, dialect = handler.func, given.name if given is not None else None
    where = (route.method, described_path(route.path))
    answer = ANSWERS.get(where) or (REPLIES.get(dialect, "Any") if dialect else "Any")
    content: Json = {_JSON: {"schema": ref(answer)}}
    if dialect and where not in ANSWERS:
        content[_STREAM] = {"schema": ref("Event")}
    if where in TEXTS:
        content = {TEXTS[where]: {"schema": {"type": "string"}}}
    failure = {_JSON: {"schema": {"anyOf": [ref("messages.Error"), ref("chat.Error")]}}}
    if answer == "Readiness":
        failure[_JSON]["schema"]["anyOf"].append(ref(answer))
    operation: Json = {
        "summary": (handler.__doc__ or "").partition("\n")[0],
        "responses": {"200": {"description": "The answer.", "content": content}}
        | {kind: {"description": "A failure, in the API's own shape.", "content": failure} for kind in ("4XX", "5XX")},
    }
    if parameters := _parameters(where):
        operation["parameters"] = parameters
    if dialect:
        schema = ref(REQUESTS[dialect]) if dialect in REQUESTS else {"type": "object"}
        body = {"schema": schema, **({"example": EXAMPLES[dialect]} if dialect in EXAMPLES else {})}
        operation["requestBody"] = {"required": True, "content": {_JSON: body}}
    return operation


def _links(route: web.RouteDef, table: Iterable[web.RouteDef]) -> Json:
    below, parameter, value = LINKS.get((route.method, described_path(route.path)), ("", "", ""))
    targets = [(to.method.lower(), described_path(to.path)) for to in table]
    return {
        f"{method} {path}": {
            "operationRef": f"#/paths/{path.replace('/', '~1')}/{method}",
            "parameters": {parameter: value},
        }
        for method, path in targets
        if below and path.startswith(below)
    }


def _parameters(where: tuple[str, str]) -> list[Json]:
    names = [part[1:-1] for part in where[1].split("/") if part.startswith("{")]
    in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return in_path + [
        {"name": name, "in": "query", "schema": schema} for name, schema in QUERIES.get(where, {}).items()
    ]
