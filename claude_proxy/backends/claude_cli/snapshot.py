"""The plan's limits and the pool's processes, as ``backends.base`` has words for them."""

from __future__ import annotations

import asyncio

from claude_proxy.backends.base import Plan, PlanWindow, Process, ProcessPool
from claude_proxy.backends.claude_cli.counting import COUNTING
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.claude_cli.policy import Phase
from claude_proxy.backends.claude_cli.pool import Pool

_PHASES = {Phase.WARM: "warm", Phase.BUSY: "busy", Phase.KEPT: "idle", Phase.LEAVING: "leaving"}


def plan(limits: Limits | None, reported_at: float) -> Plan | None:
    """Give the limits that were reported; ``None``: none were."""
    if limits is None:
        return None
    windows = [PlanWindow(name, one.utilization, one.resets_at, one.status) for name, one in limits.windows.items()]
    return Plan(limits.status, reported_at, limits.overage, limits.binding, tuple(windows))


async def processes(pool: Pool) -> ProcessPool:
    """Give the processes that there are now. Their memory is read in a thread: it takes the kernel a moment."""
    children, now = pool.children(), pool.crew.clock()
    sizes = await asyncio.to_thread(lambda: [child.memory() for _, child in children])
    found = [
        Process(child.pid, state.model.removesuffix(COUNTING), _PHASES[state.phase], now - state.since, size)
        for (state, child), size in zip(children, sizes, strict=True)
    ]
    return ProcessPool(tuple(_PHASES.values()), pool.rules.max_children, pool.counts()["waiting"], tuple(found))
