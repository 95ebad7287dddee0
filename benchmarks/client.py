"""The client of all parts: streams an answer, and says when its first delta came."""

import json
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from setting import MODEL, Json, Setting

Request = Coroutine[Any, Any, float]
"""Makes one request; gives the seconds from its beginning to its first delta."""

HI: Json = {"role": "user", "content": "hi"}
NOTE: Json = {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}
BRIEF = "Be brief."
"""The system prompt of the conversations that are foreseen."""

KEY = "sk-unused"
HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}


async def timed(pieces: AsyncIterator[bool]) -> float:
    """Take all pieces, which begins the request; give the seconds to the first that has content."""
    started, first = time.perf_counter(), 0.0
    async for has_content in pieces:
        first = first or has_content * (time.perf_counter() - started)
    if not first:
        raise RuntimeError("an answer without content")
    return first


async def straight_upstream(ready: Setting) -> AsyncIterator[bool]:
    """Ask the simulator itself."""
    async for event in upstream_events(ready):
        yield event["type"] == "content_block_delta"


def upstream_events(ready: Setting) -> AsyncIterator[Json]:
    """Ask the simulator itself; give its events."""
    body = {"max_tokens": 100, "messages": [HI]}
    return events(ready, f"{ready.upstream}/v1/messages", body)


def chunks(ready: Setting, body: Json) -> AsyncIterator[Json]:
    """Ask our server; give the chunks of its answer."""
    return events(ready, f"{ready.server}/chat/completions", body)


async def completion(ready: Setting, talk: list[Json], **fields: Any) -> AsyncIterator[bool]:
    """Send a conversation to our server, and add the answer to it."""
    said: Json = {"role": "assistant", "content": ""}
    async for chunk in chunks(ready, {"messages": talk, **fields}):
        for delta in (choice["delta"] for choice in chunk["choices"]):
            said["content"] += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                if "id" in call:  # its arguments follow; the tool has none
                    said.setdefault("tool_calls", []).append({**call, "function": {"name": "note", "arguments": "{}"}})
            yield bool(delta.get("content") or delta.get("tool_calls"))
    talk.append(said)


async def whole(ready: Setting, talk: list[Json], **fields: Any) -> None:
    """Send a conversation to our server for an answer that isn't streamed, and add it."""
    body = {"model": MODEL, "messages": talk, **fields}
    async with ready.http.post(f"{ready.server}/chat/completions", json=body, raise_for_status=True) as response:
        talk.append((await response.json())["choices"][0]["message"])


def foreseen_talk() -> list[Json]:
    """Give the beginning of a conversation that is like the others."""
    return [{"role": "system", "content": BRIEF}, HI]


def results(talk: list[Json]) -> list[Json]:
    """Give a result for each tool call that the conversation ends with."""
    calls = talk[-1].get("tool_calls", ())
    return [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in calls]


async def events(ready: Setting, url: str, body: Json) -> AsyncIterator[Json]:
    """Stream an answer; give its events' data."""
    body = {"model": MODEL, "stream": True, **body}
    async with ready.http.post(url, json=body, headers=HEADERS, raise_for_status=True) as response:
        async for line in response.content:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(f"an answer ended with {event['error']}")
                yield event
