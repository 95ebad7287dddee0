"""Many slow streams at once on one process: whether any is dropped, and what memory they take."""

import asyncio
import time
from typing import Any

from client import HEADERS, HI
from processes import rss_mb
from setting import MODEL, Setting

_SAMPLE_SECONDS = 0.05


async def run(ready: Setting, streams: int) -> dict[str, Any]:
    """Open so many streams through our server, and read them all to the end."""
    before = rss_mb(ready.server_pid)
    open_now, most_open, whole = 0, 0, 0
    memory = [before]

    async def one() -> None:
        nonlocal open_now, most_open, whole
        body = {"model": MODEL, "max_tokens": 100, "stream": True, "messages": [HI]}
        async with ready.http.post(f"{ready.server}/messages", json=body, headers=HEADERS) as response:
            response.raise_for_status()
            open_now += 1
            most_open = max(most_open, open_now)
            text = await response.read()
            open_now -= 1
        whole += b"message_stop" in text

    async def watch() -> None:
        while whole < streams:
            memory.append(rss_mb(ready.server_pid))
            await asyncio.sleep(_SAMPLE_SECONDS)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        async with asyncio.TaskGroup() as requests:
            for _ in range(streams):
                requests.create_task(one())
        watching.cancel()
    return {
        "streams": streams,
        "whole": whole,
        "most_open": most_open,
        "seconds": time.perf_counter() - started,
        "server_start_mb": before,
        "server_most_mb": max(memory),
    }
