"""Many at once: how many conversations begin, and how many turns go on, in a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import straight
from client import HI, NOTE, completion, foreseen_talk, timed
from setting import Json, Setting

CONVERSATIONS = 4
_Make = Callable[[Setting], Awaitable[float]]
Sample = tuple[float, list[float]]


async def _ours(ready: Setting) -> float:
    # Both sides are asked the same: a process for each request can't be given tools.
    return await timed(completion(ready, [HI]))


async def _process(ready: Setting) -> float:
    return await (await straight.process_each(ready))


NEW: dict[str, tuple[int, _Make]] = {
    "ours, new, 1 at once": (1, _ours),
    "ours, new, 4 at once": (4, _ours),
    "ours, new, 16 at once": (16, _ours),
    "a CLI process each, 4 at once": (4, _process),
}
NEXT = ("straight, next turns of 4", "ours, next turns of 4")


async def _at_once(ready: Setting, limit: int, make: _Make, requests: int) -> Sample:
    """Make the requests, never more than ``limit`` at once; give the seconds for all, and those to each first delta."""
    gate = asyncio.Semaphore(limit)

    async def one() -> float:
        async with gate:
            return await make(ready)

    await ready.rest()
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in range(requests)]
    return time.perf_counter() - started, [task.result() for task in tasks]


async def _next_turns(ready: Setting, turns: list[Callable[[], Awaitable[float]]], each: int) -> Sample:
    """Go on with several conversations at once, each turn after the other in one of them."""

    async def talk(turn: Callable[[], Awaitable[float]]) -> list[float]:
        return [await turn() for _ in range(each)]

    await ready.rest()
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(talk(turn)) for turn in turns]
    return time.perf_counter() - started, [first for task in tasks for first in task.result()]


async def _ours_next(ready: Setting, each: int) -> Sample:
    talks = [foreseen_talk() for _ in range(CONVERSATIONS)]

    async def turn(talk: list[Json]) -> float:
        if talk[-1] != HI:
            talk.append(HI)
        return await timed(completion(ready, talk, tools=[NOTE]))

    for _ in range(2):
        await asyncio.gather(*map(turn, talks))
    return await _next_turns(ready, [lambda talk=talk: turn(talk) for talk in talks], each)  # type: ignore[misc]  # a default binds the loop's value


async def _straight_next(ready: Setting, each: int) -> Sample:
    driven = await asyncio.gather(*(straight.talking(ready) for _ in range(CONVERSATIONS)))
    try:
        return await _next_turns(ready, [lambda one=one: timed(one.follow()) for one in driven], each)  # type: ignore[misc]  # a default binds the loop's value
    finally:
        await asyncio.gather(*(one.child.stop() for one in driven))


async def run(ready: Setting, rounds: int, requests: int) -> dict[str, Any]:
    """Measure all kinds once a round."""
    samples: dict[str, list[Sample]] = {name: [] for name in (*NEW, *NEXT)}
    each = max(1, requests // CONVERSATIONS)
    for _ in range(rounds):
        for name, (limit, make) in NEW.items():
            samples[name].append(await _at_once(ready, limit, make, requests))
        for name, measure in zip(NEXT, (_straight_next, _ours_next), strict=True):
            samples[name].append(await measure(ready, each))
    return {name: _figures(taken) for name, taken in samples.items()}


def _figures(taken: list[Sample]) -> dict[str, Any]:
    firsts = [first * 1000 for _, each in taken for first in each]
    seconds = sum(whole for whole, _ in taken)
    return {"requests": len(firsts), "per_second": len(firsts) / seconds, "median_ms": median(firsts), "all_ms": firsts}
