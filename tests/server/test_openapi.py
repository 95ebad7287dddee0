"""The description of the API, held against the code that it is made of."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from aiohttp import web
from scripted_server import Serve

from claude_proxy.dialects.chat import CHAT
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.dialects.responses import RESPONSES
from claude_proxy.server import openapi, schemas
from claude_proxy.server.openapi import describe, described_path
from claude_proxy.server.routes import OPEN_PATHS, TURNS, routes

DESCRIBED = describe(routes(), OPEN_PATHS)
OPERATIONS = {(method.upper(), path) for path, methods in DESCRIBED["paths"].items() for method in methods}


def refs(value: Any) -> set[str]:
    """Give every schema that is pointed to."""
    if isinstance(value, dict):
        return {value["$ref"]} if "$ref" in value else set().union(*map(refs, value.values()))
    return set().union(*map(refs, value)) if isinstance(value, list) else set()


def test_each_route_is_described_and_each_description_is_a_route() -> None:
    """What the server really routes, and no more than that."""
    app = web.Application()
    app.add_routes(routes())
    routed = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    assert {where for where in routed if where[0] != "HEAD"} == OPERATIONS


@pytest.mark.parametrize("table", [openapi.ANSWERS, openapi.TEXTS, openapi.QUERIES, openapi.LINKS])
def test_what_is_said_by_hand_is_said_of_a_route(table: dict[tuple[str, str], Any]) -> None:
    """A route that is renamed takes its words with it."""
    assert set(table) <= OPERATIONS


def test_every_operation_says_what_it_is_for() -> None:
    """In its handler's own words, so that they are there once."""
    assert all(re.match("[A-Z].*", op["summary"]) for path in DESCRIBED["paths"].values() for op in path.values())


def test_every_dialect_s_request_is_described() -> None:
    """A new dialect has its line in ``REQUESTS``, ``REPLIES`` and ``EXAMPLES``."""
    names = {dialect.name for dialect, _ in TURNS.values()}
    assert names == set(schemas.REQUESTS) == set(schemas.REPLIES) == set(schemas.EXAMPLES)


def test_every_schema_that_is_pointed_to_is_there() -> None:
    """And the other way round: none is left over."""
    names = {f"#/components/schemas/{name}" for name in DESCRIBED["components"]["schemas"]}
    assert refs(DESCRIBED) <= names
    assert names - refs(DESCRIBED) == set()


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES], ids=lambda dialect: dialect.name)
def test_the_examples_can_be_sent(dialect: Any) -> None:
    """They are what a reader tries first."""
    assert dialect.parse(msgspec.json.encode(schemas.EXAMPLES[dialect.name])).losses == ()


def test_what_needs_no_key_says_so() -> None:
    """The rest may need one."""
    assert DESCRIBED["paths"]["/health"]["get"]["security"] == []
    assert "security" not in DESCRIBED["paths"]["/v1/models"]["get"]
    assert DESCRIBED["security"] == [{}, {"bearer": []}, {"x-api-key": []}]


@pytest.mark.parametrize(
    ("path", "described"),
    [("/v1/models/{name:.+}", "/v1/models/{name}"), ("/v1/responses/{id}/cancel", "/v1/responses/{id}/cancel")],
)
def test_a_path_s_pattern_is_left_out(path: str, described: str) -> None:
    """OpenAPI has parameters, and no patterns for them."""
    assert described_path(path) == described


async def test_it_is_served(serve: Serve) -> None:
    """As JSON that any OpenAPI tool reads, and behind the key like the rest."""
    server = await serve()
    async with server.http.get(f"{server.url}/openapi.json") as response:
        assert response.content_type == "application/json"
        assert await response.json() == DESCRIBED
    guarded = await serve(api_keys=("k",))
    async with guarded.http.get(f"{guarded.url}/openapi.json") as response:
        assert response.status == 401
