"""A server on loopback that tells what it is given to tell, as ours does or as another would."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

NOW = 1_764_000_000.0
"""When everything here is told: 2025-11-24, 16:00 UTC."""


@dataclass
class Telling:
    """Where it listens, what it tells by path, and what it was asked with."""

    answers: dict[str, tuple[int, Any]]
    port: int = 0
    name: str = "claude-proxy"
    keys: list[str | None] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Give the path's answer."""
        self.keys.append(request.headers.get("Authorization"))
        status, told = self.answers.get(request.path, (404, {"error": {"message": "no such path", "code": None}}))
        body = told if isinstance(told, bytes) else msgspec.json.encode(told)
        return web.Response(status=status, body=body, headers={"Server": self.name})


@asynccontextmanager
async def telling(
    *, name: str = "claude-proxy", port: int = 0, secure: ssl.SSLContext | None = None, **answers: tuple[int, Any]
) -> AsyncIterator[Telling]:
    """Run one. ``status`` and ``models`` are what it answers with at ``/api/status`` and ``/v1/models``."""
    paths = {"status": "/api/status", "models": "/v1/models"}
    told = Telling({paths[key]: value for key, value in answers.items()}, name=name)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", told.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=secure)
        await site.start()
        told.port = runner.addresses[0][1]
        yield told
    finally:
        await runner.cleanup()


def usage_row(model: str = "", backend: str = "", **counts: Any) -> dict[str, Any]:
    """Give a row of the usage, of one model or of all."""
    named = {"model": model, "backend": backend} if model else {}
    return {
        **named,
        "requests": 3,
        "failed": 0,
        "input_tokens": 10_000,
        "output_tokens": 2_099,
        "cache_read_tokens": 120_000,
        "cache_write_tokens": 432,
        "list_price_usd": 0.1234,
        **counts,
    }


def document(**changed: Any) -> dict[str, Any]:
    """Give what ``/api/status`` answers, of a quiet server that one person uses."""
    sonnet = usage_row("claude-sonnet-5-5", "claude-cli")
    return {
        "version": "0.1.0",
        "pid": 4711,
        "started_at": NOW - 7999,
        "uptime_seconds": 7999.0,
        "demo": False,
        "ready": True,
        "config": "/home/me/config.yaml",
        "requests": {"open": 2, "most": 64},
        "backends": [cli_backend()],
        "errors": [],
        "usage": {
            "enabled": True,
            "prices_date": "2026-11-01",
            "today": {"since": NOW, "models": [sonnet], "total": usage_row()},
            "month": {"since": NOW, "models": [sonnet], "total": usage_row()},
        },
        **changed,
    }


def cli_backend(profile: str = "", **changed: Any) -> dict[str, Any]:
    """Give a sign-in of the CLI as ``/api/status`` tells it."""
    return {
        "name": f"claude-cli/{profile}" if profile else "claude-cli",
        "kind": "claude-cli",
        "profile": profile,
        "ready": True,
        "detail": "claude CLI 9.9.9",
        "account": "me@example.test (max)",
        "version": "9.9.9",
        "limits": None,
        "pool": {"warm": 1, "busy": 2, "idle": 1, "leaving": 0, "waiting": 0, "most": 4, "memory_mb": 612.4},
        **changed,
    }


def limits(*windows: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """Give a plan's limits as ``/api/status`` tells them."""
    told = {"status": "allowed", "extra_usage": False, "binding": "five_hour", "reported_at": NOW - 90}
    return {**told, "windows": list(windows), **changed}
