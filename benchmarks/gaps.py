"""A stream at an even pace: how long a delta is on its way, and whether any come together.

Each delta's text is the moment when the upstream sent it, by a clock that all processes of a machine share.
"""

import time
from collections.abc import AsyncIterator
from itertools import pairwise
from statistics import median, quantiles
from typing import Any

import straight
from client import chunks, foreseen_talk, upstream_events
from setting import Setting

from claude_proxy.canon.events import TextDelta

GAP_MS = 20
_TOGETHER_MS = 1.0
"""Deltas nearer than this came in one read."""

Arrivals = list[tuple[float, float]]
"""When each delta was sent, and when it came, in ms."""


async def _upstream(ready: Setting) -> AsyncIterator[str]:
    async for event in upstream_events(ready):
        yield event.get("delta", {}).get("text", "")


async def _child(ready: Setting) -> AsyncIterator[str]:
    driven = await straight.warm(ready)
    try:
        async for event in driven.begun(driven.task()):
            yield event.text if isinstance(event, TextDelta) else ""
    finally:
        await driven.child.stop()


async def _ours(ready: Setting) -> AsyncIterator[str]:
    async for chunk in chunks(ready, {"messages": foreseen_talk()}):
        for choice in chunk["choices"]:
            yield choice["delta"].get("content") or ""


BASE = "straight, new"
SIDES = {"upstream, straight": _upstream, BASE: _child, "ours, new": _ours}


async def _arrivals(texts: AsyncIterator[str]) -> Arrivals:
    return [(float(text) * 1000, time.monotonic() * 1000) async for text in texts if text]


async def run(ready: Setting, rounds: int) -> dict[str, Any]:
    """Take a stream of each side a round."""
    streams: dict[str, list[Arrivals]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, texts in SIDES.items():
            await ready.rest()
            streams[side].append(await _arrivals(texts(ready)))
    return {side: _figures(taken) for side, taken in streams.items()}


def _figures(streams: list[Arrivals]) -> dict[str, Any]:
    delays = [came - sent for stream in streams for sent, came in stream]
    gaps = [later - earlier for stream in streams for (_, earlier), (_, later) in pairwise(stream)]
    return {
        "deltas": len(delays),
        "median_delay_ms": median(delays),
        "p95_delay_ms": quantiles(delays, n=20)[-1],
        "median_gap_ms": median(gaps),
        "most_together": max(map(_most_together, streams)),
        "all_delays_ms": delays,
        "all_gaps_ms": gaps,
    }


def _most_together(stream: Arrivals) -> int:
    """Count the deltas of the largest group of which each follows the one before at once."""
    most = count = 1
    for (_, earlier), (_, later) in pairwise(stream):
        count = count + 1 if later - earlier < _TOGETHER_MS else 1
        most = max(most, count)
    return most
