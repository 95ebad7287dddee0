"""Times to the first delta, side by side: every round measures all sides, each when everything is at rest.

Their order is drawn anew for each round, since a CLI process goes on doing this and that long after its turn: so
nobody is always the one whom that hits.
"""

import asyncio
import random
from statistics import median
from typing import Any

from processes import children, ended_ms, rss_mb
from setting import Setting
from sides import BEGINNING, CONTINUED, SIDES
from straight import REFILL_SECONDS

Figures = dict[str, Any]
BASE, PROCESS = list(SIDES)[:2]


async def measure(side: str, ready: Setting) -> dict[str, float]:
    """Make one request when all is at rest, and wait until it is again."""
    request = await SIDES[side](ready)
    before, ended = await ready.rest(), ended_ms()
    first_ms = await request * 1000
    if side in BEGINNING:
        await asyncio.sleep(REFILL_SECONDS)
    after = await ready.rest()
    if side in CONTINUED and before.keys() != after.keys():  # another process took the turn, so it was no such turn
        return await measure(side, ready)
    used = {one: total - before.get(one, 0) for one, total in after.items() if one != ready.simulator_pid}
    server = {"server_cpu_ms": used.pop(ready.server_pid), "server_rss_mb": rss_mb(ready.server_pid)}
    return {"first_ms": first_ms, "cli_cpu_ms": sum(used.values()) + ended_ms() - ended, **server}


async def run(ready: Setting, rounds: int) -> Figures:
    """Measure every side once a round, after a round that doesn't count (where there is only one, it does)."""
    await ready.rest()
    start = rss_mb(ready.server_pid)
    order = random.Random(0)
    orders = [order.sample(list(SIDES), len(SIDES)) for _ in range(rounds + (rounds > 1))]
    taken = [{side: await measure(side, ready) for side in sides} for sides in orders][-rounds:]
    await ready.rest()
    processes = [rss_mb(one) for one in children(ready.server_pid)]
    memory = {"server_start": start, "server_end": rss_mb(ready.server_pid), "cli_process": median(processes)}
    sides = {side: _figures([samples[side] for samples in taken], side) for side in SIDES}
    return {"memory_mb": memory, "cli_processes": len(processes), "sides": sides}


def _figures(samples: list[dict[str, float]], side: str) -> Figures:
    times = [sample["first_ms"] for sample in samples]
    ours = ("server_cpu_ms", "server_rss_mb") if side.startswith("ours") else ()
    names = () if side == BASE else ("cli_cpu_ms", *ours)
    medians = {name: median(sample[name] for sample in samples) for name in names}
    return {"median_ms": median(times), "least_ms": min(times), "most_ms": max(times), **medians, "all_ms": times}
