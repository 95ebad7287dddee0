"""An API key is asked in the plan's place only where somebody has said that it may be: it costs money."""

from __future__ import annotations

import pytest
from scripted_server import ScriptedBackend, Serve

from claude_proxy.config.schema import Routing
from claude_proxy.errors import Unavailable


@pytest.mark.parametrize(
    ("plan", "fall_back", "status"),
    [("silent", False, 503), ("silent", True, 200), ("answers", False, 200)],
)
async def test_a_plan_that_cannot_say_what_it_has_is_not_replaced_unasked(
    serve: Serve, plan: str, *, fall_back: bool, status: int
) -> None:
    """The CLI is missing, say, and the key has a model of the same name."""
    cli = ScriptedBackend(name="claude-cli", kind="claude-cli")
    if plan == "silent":
        cli.offered = Unavailable("the claude CLI isn't installed")
    key = ScriptedBackend(name="claude-api-key", kind="claude-api-key")
    server = await serve(cli, key, routing=Routing(fall_back_to_api_key=fall_back))
    async with server.message() as response:
        body = await response.json()
    assert response.status == status
    assert bool(key.calls) is (plan == "silent" and fall_back)
    if status != 200:
        assert body["error"]["message"] == "the claude CLI isn't installed"


async def test_a_key_before_the_plan_is_asked_all_the_same(serve: Serve) -> None:
    """Who prefers the key has said so."""
    key = ScriptedBackend(name="claude-api-key", kind="claude-api-key")
    cli = ScriptedBackend(name="claude-cli", offered=Unavailable("the claude CLI isn't installed"))
    server = await serve(key, cli)
    async with server.message() as response:
        assert response.status == 200
    assert key.calls
