"""The same conversation in each API that the server speaks: whether any costs more than Chat Completions."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from statistics import median
from typing import Any

from client import BRIEF, HI, events, foreseen_talk
from setting import Json, Setting

EACH = 4
"""Turns of each API in a round, taking turns with the others."""

_SHORTEST, _LONGEST = 4, 12
"""Messages from which on its turns count, and after which a conversation begins anew."""

_Turn = AsyncIterator[bool]
BASE = "Chat Completions"


async def _chat(ready: Setting, talk: list[Json]) -> _Turn:
    said = ""
    messages = [*foreseen_talk()[:1], *talk, HI]
    async for chunk in events(ready, f"{ready.server}/chat/completions", {"messages": messages}):
        for choice in chunk["choices"]:
            said += choice["delta"].get("content") or ""
            yield bool(choice["delta"].get("content"))
    talk += [HI, {"role": "assistant", "content": said}]


async def _messages(ready: Setting, talk: list[Json]) -> _Turn:
    said = ""
    body = {"messages": [*talk, HI], "system": BRIEF, "max_tokens": 1000}
    async for event in events(ready, f"{ready.server}/messages", body):
        piece = event.get("delta", {}).get("text", "")
        said += piece
        yield bool(piece)
    talk += [HI, {"role": "assistant", "content": said}]


async def _responses(ready: Setting, talk: list[Json]) -> _Turn:
    said = ""
    body = {"input": [*talk, HI], "instructions": BRIEF, "store": False}
    async for event in events(ready, f"{ready.server}/responses", body):
        piece = event["delta"] if event["type"] == "response.output_text.delta" else ""
        said += piece
        yield bool(piece)
    talk += [HI, {"role": "assistant", "content": said}]


async def _stored(ready: Setting, talk: list[Json]) -> _Turn:
    body = {"input": [HI], "instructions": BRIEF, "previous_response_id": talk[-1]["id"] if talk else None}
    async for event in events(ready, f"{ready.server}/responses", body):
        yield event["type"] == "response.output_text.delta"
        if event["type"] == "response.completed":
            talk += [{"id": event["response"]["id"]}] * 2


SIDES: dict[str, Callable[[Setting, list[Json]], _Turn]] = {
    BASE: _chat,
    "Messages": _messages,
    "Responses": _responses,
    "Responses, stored": _stored,
}


async def run(ready: Setting, rounds: int) -> dict[str, Any]:
    """Go on with a conversation of each API, in turn, and each time another one first: who is last has it hardest."""
    talks: dict[str, list[Json]] = {name: [] for name in SIDES}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    await ready.rest()
    names = list(SIDES)
    for number in range(rounds * EACH):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            turn, talk = SIDES[name], talks[name]
            if len(talk) >= _LONGEST:
                talk.clear()
            while len(talk) < _SHORTEST:
                await _timed(turn(ready, talk))
                await asyncio.sleep(0.5)  # the next process is started, and in nobody's way
            taken[name].append(await _timed(turn(ready, talk)))
    return {name: _figures(samples) for name, samples in taken.items()}


async def _timed(turn: _Turn) -> tuple[float, float]:
    started, first = time.perf_counter(), 0.0
    async for has_content in turn:
        first = first or has_content * (time.perf_counter() - started)
    assert first
    return first * 1000, (time.perf_counter() - started) * 1000


def _figures(samples: list[tuple[float, float]]) -> dict[str, Any]:
    firsts, wholes = zip(*samples, strict=True)
    return {"median_ms": median(firsts), "whole_ms": median(wholes), "all_ms": firsts}
