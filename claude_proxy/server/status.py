"""What the server tells of itself: ``/api/status``, and what ``/metrics`` and ``/readyz`` need of the backends."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import Any

import msgspec

from claude_proxy import __version__
from claude_proxy.backends.base import Backend, Health, Inspectable, Plan, Process, ProcessPool, Snapshot
from claude_proxy.ledger.usage import OFF
from claude_proxy.server.exchange import Server

Json = dict[str, Any]

_HEALTH_SECONDS = 5
_MEGABYTE = 1e6


async def status(server: Server) -> Json:
    """Give the whole status. Times are in Unix seconds."""
    backends = await asyncio.gather(*(_backend(backend, demo=server.demo) for backend in server.backends))
    return {
        "version": __version__,
        "pid": os.getpid(),
        "started_at": server.started_at,
        "uptime_seconds": round(time.monotonic() - server.began, 1),
        "demo": server.demo,
        "ready": any(backend["ready"] for backend in backends),
        "config": None if server.config_path is None else str(server.config_path),
        "requests": {"open": server.exchanges.turns, "most": server.config.max_concurrent_requests},
        "backends": backends,
        "errors": [msgspec.to_builtins(failure) for failure in server.failures],
        "usage": await server.ledger.usage() if server.config.usage_statistics_enabled else OFF,
    }


async def health_of(backend: Backend) -> Health:
    """Ask a backend whether it can answer; one that doesn't say can't."""
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            return await backend.health()
    except Exception as failure:  # noqa: BLE001 - a backend that can't even say is not ready, whatever the reason
        return Health(ready=False, detail=f"no answer ({type(failure).__name__})")


async def snapshot_of(backend: Backend) -> Snapshot:
    """Give how a backend is, as far as it has anything to tell."""
    return await backend.snapshot() if isinstance(backend, Inspectable) else Snapshot()


async def _backend(backend: Backend, *, demo: bool) -> Json:
    health, shot = await asyncio.gather(health_of(backend), snapshot_of(backend))
    return {
        "name": backend.name,
        "kind": backend.kind,
        "profile": shot.profile,
        "ready": health.ready,
        "detail": health.detail,
        # The demo's dummy token counts as a sign-in for the CLI, and is nobody's.
        "account": None if demo else health.account,
        "version": health.version,
        "limits": None if shot.plan is None else _limits(shot.plan),
        "pool": None if shot.pool is None else _pool(shot.pool),
    }


def _limits(plan: Plan) -> Json:
    return {
        "status": plan.status,
        "extra_usage": plan.extra_usage,
        "binding": plan.binding,
        "reported_at": plan.reported_at,
        "windows": [
            {
                "name": window.name,
                "used_percent": None if window.used is None else round(window.used * 100, 2),
                "resets_at": window.resets_at,
                "status": window.status,
            }
            for window in plan.windows
        ],
    }


def _pool(pool: ProcessPool) -> Json:
    counts = Counter(process.phase for process in pool.processes)
    return {
        **{phase: counts[phase] for phase in pool.phases},
        "waiting": pool.waiting,
        "most": pool.most,
        "memory_mb": _megabytes(sum(process.memory_bytes for process in pool.processes)),
        "processes": [_process(process) for process in pool.processes],
    }


def _process(process: Process) -> Json:
    return {
        "pid": process.pid,
        "model": process.model,
        "phase": process.phase,
        "seconds": round(process.seconds, 1),
        "memory_mb": _megabytes(process.memory_bytes),
    }


def _megabytes(size: int) -> float:
    return round(size / _MEGABYTE, 1)
