"""What is compared: a side prepares, and gives the request to measure, which gives the seconds to its first delta."""

import asyncio
import time

import straight
from client import HI, NOTE, Request, completion, foreseen_talk, results, straight_upstream, timed
from setting import Json, Setting
from straight import REFILL_SECONDS


async def upstream(ready: Setting) -> Request:
    """Ask the simulator itself: no proxy can be faster."""
    return timed(straight_upstream(ready))


async def foreseen(ready: Setting) -> Request:
    """Begin a conversation like an earlier one, for which a process is warm and has been told the same."""
    await timed(completion(ready, foreseen_talk(), tools=[NOTE]))
    await asyncio.sleep(REFILL_SECONDS)
    return timed(completion(ready, foreseen_talk(), tools=[NOTE]))


async def unforeseen(ready: Setting) -> Request:
    """Begin one with a new system prompt, which a warm process must be told first; the answer is a tool call."""
    talk = ready.kept["calling"] = [{"role": "system", "content": f"It is {time.monotonic_ns()}."}, HI]
    return timed(completion(ready, talk, tools=[NOTE], tool_choice="required"))


async def next_turn(ready: Setting) -> Request:
    """Go on with a conversation, in one of its turns from the third to the last that counts."""
    talk: list[Json] = ready.kept.setdefault("talk", foreseen_talk())
    if len(talk) >= 2 * straight.LAST_TURN:
        talk[:] = foreseen_talk()
    while len(talk) < 6:
        await timed(completion(ready, talk, tools=[NOTE]))
        talk.append(HI)
    if talk[-1] != HI:
        talk.append(HI)
    return timed(completion(ready, talk, tools=[NOTE]))


async def tool_results(ready: Setting) -> Request:
    """Answer the first tool calls of a conversation; the model makes others."""
    await (await unforeseen(ready))
    await asyncio.sleep(REFILL_SECONDS)
    talk = ready.kept["calling"]
    talk.extend(results(talk))
    return timed(completion(ready, talk, tools=[NOTE], tool_choice="required"))


SIDES = {
    "upstream, straight": upstream,
    "a CLI process each": straight.process_each,
    "straight, new": straight.prepared,
    "ours, new": foreseen,
    "straight, next turn": straight.next_turn,
    "ours, next turn": next_turn,
    "straight, new prompt": straight.blank,
    "ours, new prompt": unforeseen,
    "straight, tool results": straight.tool_results,
    "ours, tool results": tool_results,
}
BEGINNING = {"ours, new", "ours, new prompt"}
"""Sides after whose request the server starts another process."""

CONTINUED = {"ours, next turn", "ours, tool results"}
"""Sides whose request must go to the process that holds the conversation."""
