"""What the server tells of itself."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest
from scripted_server import Running, ScriptedBackend, Serve, reply
from telling_backend import TellingBackend

from claude_proxy import __version__
from claude_proxy.backends.base import Health
from claude_proxy.errors import BadRequest, NotSignedIn, UpstreamError


async def status(server: Running, **headers: str) -> dict[str, Any]:
    """Ask for it."""
    async with server.http.get(f"{server.url}/api/status", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        told: dict[str, Any] = await response.json()
    return told


async def test_the_server_itself(serve: Serve) -> None:
    """Its version, process and age, and that nothing has happened yet."""
    server = await serve(max_concurrent_requests=9)
    told = await status(server)
    assert abs(told.pop("started_at") - time.time()) < 60
    assert 0 <= told.pop("uptime_seconds") < 60
    usage = told.pop("usage")
    assert usage["enabled"]
    assert usage["today"]["models"] == usage["month"]["models"] == []
    assert told == {
        "version": __version__,
        "pid": os.getpid(),
        "demo": False,
        "ready": True,
        "config": None,
        "requests": {"open": 0, "most": 9},
        "backends": [
            {
                "name": "scripted",
                "kind": "claude-cli",
                "profile": "",
                "ready": True,
                "detail": "fine",
                "account": None,
                "version": None,
                "limits": None,
                "pool": None,
            }
        ],
        "errors": [],
    }


async def test_a_plan_and_a_pool(serve: Serve) -> None:
    """In percent and megabytes, by what the processes do."""
    server = await serve(TellingBackend())
    (told,) = (await status(server))["backends"]
    assert told["profile"] == "work"
    assert told["limits"] == {
        "status": "allowed",
        "extra_usage": True,
        "binding": "five_hour",
        "reported_at": 1000.0,
        "windows": [
            {"name": "five_hour", "used_percent": 37.5, "resets_at": 2000.0, "status": "allowed"},
            {"name": "seven_day", "used_percent": None, "resets_at": None, "status": None},
        ],
    }
    assert told["pool"] == {
        "warm": 1,
        "busy": 1,
        "idle": 0,
        "leaving": 0,
        "waiting": 2,
        "most": 4,
        "memory_mb": 150.0,
        "processes": [
            {"pid": 7, "model": "sonnet", "phase": "busy", "seconds": 3.2, "memory_mb": 150.0},
            {"pid": None, "model": "opus", "phase": "warm", "seconds": 0.0, "memory_mb": 0.0},
        ],
    }


async def test_who_is_signed_in(serve: Serve) -> None:
    """As the backend says; not being ready is no failure of the status."""
    health = Health(ready=False, detail="not signed in", account="me (max)", version="2.1")
    server = await serve(ScriptedBackend(state=health))
    told = await status(server)
    assert not told["ready"]
    (backend,) = told["backends"]
    assert [backend[name] for name in ("ready", "detail", "account", "version")] == [
        False,
        "not signed in",
        "me (max)",
        "2.1",
    ]


async def test_the_demo_is_nobodys(serve: Serve) -> None:
    """Its dummy token counts as a sign-in for the CLI."""
    server = await serve(ScriptedBackend(state=Health(ready=True, detail="", account="demo")), demo=True)
    told = await status(server)
    assert told["demo"]
    assert told["backends"][0]["account"] is None


async def test_what_is_under_way(serve: Serve, backend: ScriptedBackend) -> None:
    """Turns, and not the question itself."""
    gate = asyncio.Event()
    backend.entry = [gate]
    server = await serve()
    asked = asyncio.ensure_future(server.chat()._coro)
    await backend.reached(1)
    assert (await status(server))["requests"]["open"] == 1
    gate.set()
    await asked
    assert (await status(server))["requests"]["open"] == 0


async def test_what_was_used(serve: Serve) -> None:
    """Up to this moment, by model."""
    server = await serve()
    for _ in range(2):
        async with server.chat() as response:
            await response.read()
    assert (await status(server))["usage"]["month"]["models"] == [
        {
            "model": "claude-sonnet-5-5",
            "backend": "scripted",
            "requests": 2,
            "failed": 0,
            "input_tokens": 6,
            "output_tokens": 10,
            "cache_read_tokens": 0,
            "cache_write_tokens": 0,
            "list_price_usd": 0.000112,
        }
    ]


async def test_the_last_failures(serve: Serve, backend: ScriptedBackend) -> None:
    """Each with what finds it in the log, one line of it, and no secret."""
    backend.entry = [UpstreamError("it said:\n  Bearer abcdefgh12345 is wrong " + "x" * 300)]
    server = await serve()
    async with server.chat() as response:
        request_id = response.headers["request-id"]
    (told,) = (await status(server))["errors"]
    assert abs(told.pop("at") - time.time()) < 60
    message = told.pop("message")
    assert message.startswith("it said: Bearer *** is wrong xxx")
    assert len(message) == 200
    assert told == {
        "status": 502,
        "type": "UpstreamError",
        "model": "claude-sonnet-5-5",
        "backend": "scripted",
        "request_id": request_id,
    }


async def test_the_latest_failures_come_first_and_no_more_than_ten(serve: Serve, backend: ScriptedBackend) -> None:
    """Also one of a stream whose status was 200."""
    server = await serve()
    for number in range(11):
        backend.entry = [BadRequest(f"wrong {number}")]
        async with server.chat() as response:
            await response.read()
    backend.entry, backend.script = (), [*reply("hi")[:3], NotSignedIn("signed out")]
    async with server.chat(stream=True) as response:
        assert response.status == 200
        await response.read()
    messages = [told["message"] for told in (await status(server))["errors"]]
    assert messages == ["signed out", *(f"wrong {number}" for number in range(10, 1, -1))]


@pytest.mark.parametrize("path", ["/api/status", "/metrics"])
async def test_they_need_a_key_where_there_is_one(serve: Serve, path: str) -> None:
    """Who may ask nothing may not look either."""
    server = await serve(api_keys=("sk-ours",))
    async with server.http.get(server.url + path) as response:
        assert response.status == 401
    async with server.http.get(server.url + path, headers={"x-api-key": "sk-ours"}) as response:
        assert response.status == 200
