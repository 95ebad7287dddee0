"""Requests with an API key: the upstream straight, through our server, and through LiteLLM's proxy where it is named.

Nothing is started for them and nothing translated, so what is left is what a proxy adds to each request.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
from client import HEADERS, HI, KEY
from processes import cpu_ms, family, rss_mb, stopped
from setting import MODEL, Json, Setting

EACH = 25
"""Requests of a side, one after the other, in a round."""

_LITELLM_SECONDS = 120
BASE, OURS, LITELLM = "upstream, straight", "ours", "LiteLLM"


async def run(ready: Setting, rounds: int, litellm: Path | None) -> dict[str, Any]:
    """Measure every side once a round, after a round that doesn't count."""
    base_url = ready.server.removesuffix("/v1")
    urls: dict[str, tuple[str, int | None]] = {BASE: (ready.upstream, None), OURS: (base_url, ready.server_pid)}
    if litellm:
        urls[LITELLM] = await ready.stack.enter_async_context(_litellm(ready, litellm))
    taken: dict[str, list[Json]] = {side: [] for side in urls}
    for count in range(rounds + 1):
        for side, (url, pid) in urls.items():
            await ready.rest()
            figures = await _several(ready, url, pid)
            if count:
                taken[side].append(figures)
    return {side: _figures(samples, urls[side][1]) for side, samples in taken.items()}


async def _several(ready: Setting, url: str, pid: int | None) -> Json:
    before = _used(pid)
    firsts = [await first_byte(ready, url) * 1000 for _ in range(EACH)]
    return {"firsts": firsts, "cpu_ms": (_used(pid) - before) / EACH}


def _used(pid: int | None) -> float:
    return sum(map(cpu_ms, family(pid))) if pid else 0.0


async def first_byte(ready: Setting, url: str) -> float:
    """Take one short stream to its end; give the seconds to its first byte."""
    body = {"model": MODEL, "max_tokens": 100, "stream": True, "messages": [HI]}
    started = time.perf_counter()
    async with ready.http.post(f"{url}/v1/messages", json=body, headers=HEADERS, raise_for_status=True) as response:
        first = await response.content.readany()
        seconds = time.perf_counter() - started
        rest = await response.read()
    if b"message_stop" not in first + rest:
        raise RuntimeError("an answer without an end")
    return seconds


def _figures(samples: list[Json], pid: int | None) -> Json:
    firsts = [first for sample in samples for first in sample["firsts"]]
    figures: Json = {"median_ms": median(firsts), "all_ms": firsts}
    if pid:
        memory = sum(map(rss_mb, family(pid)))
        figures |= {"cpu_ms": median(sample["cpu_ms"] for sample in samples), "rss_mb": memory}
    return figures


@asynccontextmanager
async def _litellm(ready: Setting, program: Path) -> AsyncIterator[tuple[str, int]]:
    """Start LiteLLM's proxy in front of the same upstream, on its defaults; give its URL and pid."""
    file = ready.cwd / "litellm.yaml"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    upstream = f"{{model: anthropic/{MODEL}, api_key: unused, api_base: '{ready.upstream}'}}"
    file.write_text(f"model_list: [{{model_name: {MODEL}, litellm_params: {upstream}}}]\n")
    command = (str(program), "--config", str(file), "--host", "127.0.0.1", "--port", str(port))
    # It would ask the network for its price list, and doesn't start without a key.
    env = {
        **ready.env,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": KEY,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    with (ready.cwd / "litellm.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, env=env, cwd=ready.cwd, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(_LITELLM_SECONDS):
            await _listens(ready, process, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        await stopped(process)


async def _listens(ready: Setting, process: asyncio.subprocess.Process, url: str) -> None:
    while process.returncode is None:
        try:
            await first_byte(ready, url)
        except (aiohttp.ClientError, RuntimeError):
            await asyncio.sleep(0.5)
        else:
            return
    raise RuntimeError((ready.cwd / "litellm.log").read_text()[-2000:])
