"""A stream at an even pace: what is added to the gaps between its deltas, and whether any come together."""

import time
from collections.abc import AsyncIterator
from itertools import pairwise
from statistics import median, quantiles
from typing import Any

import straight
from client import completion, foreseen_talk, straight_upstream
from setting import Setting

GAP_MS = 20
_TOGETHER_MS = 1.0
"""Deltas nearer than this came in one read."""


async def _upstream(ready: Setting) -> list[float]:
    return await _arrivals(straight_upstream(ready))


async def _child(ready: Setting) -> list[float]:
    driven = await straight.warm(ready)
    try:
        return await _arrivals(driven.begin(driven.task()))
    finally:
        await driven.child.stop()


async def _ours(ready: Setting) -> list[float]:
    return await _arrivals(completion(ready, foreseen_talk()))


SIDES = {"upstream, straight": _upstream, "straight, new": _child, "ours, new": _ours}


async def _arrivals(pieces: AsyncIterator[bool]) -> list[float]:
    """Give the time in ms at which each delta came."""
    return [time.perf_counter() * 1000 async for has_content in pieces if has_content]


async def run(ready: Setting, rounds: int) -> dict[str, Any]:
    """Take a stream of each side a round."""
    streams: dict[str, list[list[float]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, arrivals in SIDES.items():
            await ready.rest()
            streams[side].append(await arrivals(ready))
    return {side: _figures(taken) for side, taken in streams.items()}


def _figures(streams: list[list[float]]) -> dict[str, Any]:
    gaps = [later - earlier for stream in streams for earlier, later in pairwise(stream)]
    deviations = [abs(gap - GAP_MS) for gap in gaps]
    return {
        "deltas": sum(map(len, streams)),
        "median_gap_ms": median(gaps),
        "p95_deviation_ms": quantiles(deviations, n=20)[-1],
        "most_deviation_ms": max(deviations),
        "most_together": max(map(_most_together, streams)),
        "all_gaps_ms": gaps,
    }


def _most_together(stream: list[float]) -> int:
    """Count the deltas of the largest group of which each follows the one before at once."""
    most = count = 1
    for earlier, later in pairwise(stream):
        count = count + 1 if later - earlier < _TOGETHER_MS else 1
        most = max(most, count)
    return most
