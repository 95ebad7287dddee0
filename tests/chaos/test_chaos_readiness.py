"""``/readyz`` tells the truth: whether the next request can be answered, and if not, why."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import fake_claude
import pytest
from chaos_stage import asked
from real_cli import running, until
from scripted_server import Running, ScriptedBackend, Serve

from claude_proxy.backends.claude_cli import backend as cli_backend
from claude_proxy.backends.claude_cli import policy
from claude_proxy.backends.claude_cli.account import Account
from claude_proxy.simulator import Simulator


async def readiness(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    """Give the status, and the reason of the first backend."""
    async with http.get(f"{url}/readyz") as response:
        told: dict[str, Any] = await response.json()
        return response.status, told["backends"][0].get("detail", "")


@pytest.fixture(autouse=True)
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody be signed in: the stand-in for the CLI can't say."""

    async def account(*_: object) -> Account:
        return Account(signed_in=True, label="me")

    monkeypatch.setattr(cli_backend, "read_account", account)


async def test_a_cli_that_does_not_start_is_not_ready(serve: Serve, tmp_path: Path) -> None:
    """While requests are refused because of it, with its own last words; requests are told when to come again."""
    path = fake_claude.install(tmp_path)
    async with (
        Simulator() as simulator,
        running(tmp_path, simulator, start=False, warm=1, path=path, env={"FAKE": "exits"}) as backend,
    ):
        server = await serve(backend)
        # Each try waits longer than the last, so that this is seen in between.
        await until(lambda: backend._pool.trouble, 20)
        status, why = await readiness(server.http, server.url)
        assert status == 503
        assert "out of luck" in why
        refused = await asked(server.http, server.url, "chat")
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1


async def test_a_pool_that_is_dead_is_not_ready(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours that nobody foresaw: every request is told to have the server restarted, none hangs."""
    async with (
        Simulator() as simulator,
        running(tmp_path, simulator, start=False, path=fake_claude.install(tmp_path)) as backend,
    ):
        server = await serve(backend)
        assert (await readiness(server.http, server.url))[0] == 200

        def fails(*_: object) -> None:
            raise RuntimeError("a mistake")

        monkeypatch.setattr(policy, "next_deadline", fails)
        backend._pool.crew.changed.set()
        await until(lambda: backend._pool.closed)
        status, why = await readiness(server.http, server.url)
        assert (status, "restart the server" in why) == (503, True)
        assert "restart the server" in (await asked(server.http, server.url, "messages")).failed


async def test_a_server_that_drains_takes_nobody_in(serve: Serve, backend: ScriptedBackend) -> None:
    """Who asks for readiness while open streams end finds nobody there; the stream has its time."""
    going = asyncio.Event()
    backend.script = [*backend.script[:2], going, *backend.script[2:]]
    server = await serve(shutdown_seconds=10)
    stream = asyncio.create_task(asked(server.http, server.url, "responses", stream=True))
    await backend.reached(1)
    server.stop.set()
    with pytest.raises(ConnectionError):
        await _connected_for_ever(server)
    going.set()
    assert (await stream).is_whole


async def _connected_for_ever(server: Running) -> None:
    async with asyncio.timeout(5):
        while True:
            _, writer = await asyncio.open_connection(server.where.host, server.where.port)
            writer.close()
            await asyncio.sleep(0.01)
