"""The same conversation in each API that the server speaks: whether any costs more than Chat Completions."""

import asyncio
import json
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import truediv
from statistics import median
from typing import Any

from client import BRIEF, HEADERS, HI, foreseen_talk
from setting import MODEL, Json, Setting
from straight import REFILL_SECONDS

EACH = 10
"""Turns of each API in a round, taking turns with the others."""

_SHORTEST, _LONGEST = 4, 24
"""Messages from which on its turns count, and after which a conversation begins anew."""

BASE = "Chat Completions"
_Events = list[Json]


@dataclass(frozen=True)
class Side:
    """An API: where it is, the body that goes on with a talk, what the first delta looks like, and what was said."""

    path: str
    body: Callable[[list[Json]], Json]
    delta: re.Pattern[bytes]
    said: Callable[[_Events], list[Json]]


def _assistant(pieces: list[str]) -> list[Json]:
    return [HI, {"role": "assistant", "content": "".join(pieces)}]


def _chat_pieces(events: _Events) -> list[str]:
    return [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]


SIDES: dict[str, Side] = {
    BASE: Side(
        "/chat/completions",
        lambda talk: {"messages": [*foreseen_talk()[:1], *talk, HI]},
        re.compile(rb'"content":"[^"]'),
        lambda events: _assistant(_chat_pieces(events)),
    ),
    "Messages": Side(
        "/messages",
        lambda talk: {"messages": [*talk, HI], "system": BRIEF, "max_tokens": 1000},
        re.compile(rb'"text_delta"'),
        lambda events: _assistant([event.get("delta", {}).get("text", "") for event in events]),
    ),
    "Responses": Side(
        "/responses",
        lambda talk: {"input": [*talk, HI], "instructions": BRIEF, "store": False},
        re.compile(rb'"response\.output_text\.delta"'),
        lambda events: _assistant([event["delta"] for event in events if event["type"].endswith("output_text.delta")]),
    ),
    "Responses, stored": Side(
        "/responses",
        lambda talk: {
            "input": [HI],
            "instructions": BRIEF,
            "previous_response_id": talk[-1]["id"] if talk else None,
        },
        re.compile(rb'"response\.output_text\.delta"'),
        lambda events: [{"id": events[-1]["response"]["id"]}] * 2,
    ),
}


async def run(ready: Setting, rounds: int) -> dict[str, Any]:
    """Go on with a conversation of each API, in an order that is drawn anew each time: none shall have it harder."""
    talks: dict[str, list[Json]] = {name: [] for name in SIDES}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    order = random.Random(0)  # nothing to guess here
    for _ in range(rounds * EACH):
        for name in order.sample(list(SIDES), len(SIDES)):
            side, talk = SIDES[name], talks[name]
            if len(talk) >= _LONGEST:
                talk.clear()
            while len(talk) < _SHORTEST:
                await _turn(ready, side, talk)
                await asyncio.sleep(REFILL_SECONDS)  # the next process is started, and in nobody's way
            await ready.rest()
            taken[name].append(await _turn(ready, side, talk))
    return {name: _figures(samples, taken[BASE]) for name, samples in taken.items()}


async def _turn(ready: Setting, side: Side, talk: list[Json]) -> tuple[float, float]:
    """Go on with a talk; give the ms to the arrival of the first delta, and to that of the last byte.

    What came is read when all is there: how long a client takes to do so isn't what is compared.
    """
    body = json.dumps({"model": MODEL, "stream": True, **side.body(talk)}).encode()
    headers = {**HEADERS, "content-type": "application/json"}
    came, first = b"", 0.0
    started = time.perf_counter()
    async with ready.http.post(ready.server + side.path, data=body, headers=headers, raise_for_status=True) as response:
        async for chunk in response.content.iter_any():
            came += chunk
            if not first and side.delta.search(came):
                first = time.perf_counter() - started
    whole = time.perf_counter() - started
    if not first:
        raise RuntimeError(f"an answer without content: {came.decode()}")
    lines = [line.removeprefix(b"data: ") for line in came.splitlines() if line.startswith(b"data: {")]
    talk += side.said([json.loads(line) for line in lines])
    return first * 1000, whole * 1000


def _figures(samples: list[tuple[float, float]], base: list[tuple[float, float]]) -> dict[str, Any]:
    """Give the medians, and those of each turn's ratio to the turn of ``BASE`` that was made beside it."""
    firsts, wholes = zip(*samples, strict=True)
    base_firsts, base_wholes = zip(*base, strict=True)
    return {
        "median_ms": median(firsts),
        "whole_ms": median(wholes),
        "x_chat": median(map(truediv, firsts, base_firsts)),
        "whole_x_chat": median(map(truediv, wholes, base_wholes)),
        "all_ms": firsts,
        "all_whole_ms": wholes,
    }
