"""Turns of all kinds, several at once and for long: what the server's memory and the number of processes do."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import cycle, islice
from typing import Any

from client import HI, NOTE, completion, foreseen_talk, results, timed, whole
from processes import children, rss_mb
from setting import Json, Setting

AT_ONCE = 8
SAMPLE_EVERY = 50
_ABANDONED_AFTER_SECONDS = 0.03
_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


async def _new(ready: Setting, talk: list[Json]) -> None:
    talk[:] = foreseen_talk()
    await whole(ready, talk, tools=[NOTE])


async def _next(ready: Setting, talk: list[Json]) -> None:
    talk.append(HI)
    await whole(ready, talk, tools=[NOTE])


async def _tool(ready: Setting, talk: list[Json]) -> None:
    talk.append(HI)
    await timed(completion(ready, talk, tools=[NOTE], tool_choice="required"))
    talk.extend(results(talk))
    await timed(completion(ready, talk, tools=[NOTE]))


async def _stream(ready: Setting, _: list[Json]) -> None:
    await timed(completion(ready, foreseen_talk(), tools=[NOTE]))


async def _schema(ready: Setting, _: list[Json]) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": _SCHEMA}}
    talk = [HI]
    await whole(ready, talk, response_format=form)
    assert "city" in json.loads(talk[-1]["content"])


async def _abandoned(ready: Setting, _: list[Json]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_ABANDONED_AFTER_SECONDS):
            await timed(completion(ready, foreseen_talk(), tools=[NOTE]))


_Kind = Callable[[Setting, list[Json]], Awaitable[None]]
KINDS: dict[str, _Kind] = {
    "new": _new,
    "next": _next,
    "tool": _tool,
    "stream": _stream,
    "schema": _schema,
    "abandoned": _abandoned,
}


async def run(ready: Setting, turns: int) -> dict[str, Any]:
    """Make so many turns; each of the workers has a conversation of its own, and begins with another kind."""
    await ready.rest()
    samples = [_sample(ready, 0)]
    made: Counter[str] = Counter()
    share = [turns // AT_ONCE + (worker < turns % AT_ONCE) for worker in range(AT_ONCE)]

    async def work(kinds: Iterator[str]) -> None:
        talk: list[Json] = []
        for kind in kinds:
            await KINDS[kind](ready, talk)
            made[kind] += 1
            if made.total() % SAMPLE_EVERY == 0:
                samples.append(_sample(ready, made.total()))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for worker, count in enumerate(share):
            group.create_task(work(islice(cycle(KINDS), worker, worker + count)))
    seconds = time.perf_counter() - started
    await ready.rest()
    samples.append(_sample(ready, made.total()))
    return {"turns": dict(made), "seconds": seconds, "per_second": made.total() / seconds, "samples": samples}


def _sample(ready: Setting, turns: int) -> dict[str, float]:
    pid = ready.server_pid
    return {"turns": turns, "server_rss_mb": rss_mb(pid), "cli_processes": len(children(pid))}
