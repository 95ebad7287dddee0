"""More requests at once than processes: whether all are answered, in order, and by no more processes than allowed."""

import asyncio
import time
from typing import Any

from client import completion, foreseen_talk
from processes import children
from setting import Setting

AT_ONCE = 16
_SAMPLE_SECONDS = 0.01


async def run(ready: Setting, requests: int) -> dict[str, Any]:
    """Make so many new conversations. A request that fails ends the benchmark."""
    gate = asyncio.Semaphore(AT_ONCE)
    began: list[int] = []
    counts = [0]

    async def one(number: int) -> None:
        async with gate:
            async for has_content in completion(ready, foreseen_talk()):
                if has_content and number not in began:
                    began.append(number)

    async def watch() -> None:
        while len(began) < requests:
            counts.append(len(children(ready.server_pid)))
            await asyncio.sleep(_SAMPLE_SECONDS)

    await ready.rest()
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        for number in range(requests):
            group.create_task(one(number))
    seconds = time.perf_counter() - started
    return {
        "requests": len(began),
        "seconds": seconds,
        "most_processes": max(counts),
        "most_overtaken": most_overtaken(began),
    }


def most_overtaken(began: list[int]) -> int:
    """Give the most later requests that began before an earlier one: fewer than there are processes, where in order."""
    return max(sum(later > number for later in began[:place]) for place, number in enumerate(began))
