"""What is compared: a side prepares, and gives the request to measure, which gives the seconds to its first delta."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from processes import stopped

from claude_proxy import __version__
from claude_proxy.backends.claude_cli import argv, control

MODEL = "claude-sonnet-4-6"  # one that can be made to call a tool
Json = dict[str, Any]
Request = Coroutine[Any, Any, float]
_HI: Json = {"role": "user", "content": "hi"}
_NOTE: Json = {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}
_REFILL_SECONDS = 0.4  # after a first turn: more than the server waits until it starts another process


@dataclass(frozen=True)
class Setting:
    """What stands ready: base URLs, what a CLI process needs, and the conversations that go on."""

    http: aiohttp.ClientSession
    upstream: str
    server: str
    binary: str
    env: Mapping[str, str]
    cwd: Path
    talk: list[Json] = field(default_factory=list)
    calling: list[Json] = field(default_factory=list)


async def upstream(ready: Setting) -> Request:
    """Ask the simulator itself: no proxy can be faster."""
    answer = _events(ready, f"{ready.upstream}/v1/messages", {"max_tokens": 100, "messages": [_HI]})
    return _timed(event["type"] == "content_block_delta" async for event in answer)


async def process(ready: Setting) -> Request:
    """Start a process of the CLI, with the very options and environment that the server's have."""
    return _timed(b'"content_block_delta"' in line async for line in _cli_lines(ready))


async def foreseen(ready: Setting) -> Request:
    """Begin a conversation like an earlier one, for which a process is warm and has been told the same."""
    return _timed(_completion(ready, [_HI]))


async def unforeseen(ready: Setting) -> Request:
    """Begin one with a new system prompt, which a warm process must be told first; the answer is a tool call."""
    ready.calling[:] = [{"role": "system", "content": f"It is {time.monotonic_ns()}."}, _HI]
    return _timed(_completion(ready, ready.calling, tools=[_NOTE], tool_choice="required"))


async def next_turn(ready: Setting) -> Request:
    """Go on with a conversation, in its third turn or a later one."""
    while len(ready.talk) < 4:
        ready.talk.append(_HI)
        await _timed(_completion(ready, ready.talk))
    ready.talk.append(_HI)
    return _timed(_completion(ready, ready.talk))


async def tool_results(ready: Setting) -> Request:
    """Answer the tool calls that the model has just made."""
    if not ready.calling or "tool_calls" not in ready.calling[-1]:
        await (await unforeseen(ready))
    calls = ready.calling[-1]["tool_calls"]
    ready.calling.extend({"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in calls)
    return _timed(_completion(ready, ready.calling, tools=[_NOTE]))


SIDES = {
    "upstream, straight": upstream,
    "a CLI process each": process,
    "ours, new": foreseen,
    "ours, next turn": next_turn,
    "ours, new prompt": unforeseen,
    "ours, tool results": tool_results,
}
CONTINUED = {"ours, next turn", "ours, tool results"}
"""Sides whose request must go to the process that holds the conversation."""


async def _timed(pieces: AsyncIterator[bool]) -> float:
    """Take all pieces, which begins the request; give the seconds to the first that has content."""
    started, first = time.perf_counter(), 0.0
    async for has_content in pieces:
        first = first or has_content * (time.perf_counter() - started)
    return first


async def _cli_lines(ready: Setting) -> AsyncIterator[bytes]:
    account = argv.account_environment(ready.env, {}, base_url=ready.upstream)
    env = argv.child_environment(account, version=__version__, tool_wait_seconds=600)
    command, pipe = argv.arguments(ready.binary, MODEL), asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=env, cwd=ready.cwd)
    try:
        assert child.stdin
        assert child.stdout
        child.stdin.write(control.user_message([{"type": "text", "text": "hi"}], ask=True))
        child.stdin.close()
        async for line in child.stdout:
            yield line
        await child.wait()
    finally:
        await stopped(child)


async def _completion(ready: Setting, talk: list[Json], **fields: Any) -> AsyncIterator[bool]:
    """Send a conversation to our server, and add the answer to it."""
    said: Json = {"role": "assistant", "content": ""}
    async for chunk in _events(ready, f"{ready.server}/chat/completions", {"messages": talk, **fields}):
        for delta in (choice["delta"] for choice in chunk["choices"]):
            said["content"] += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                if "id" in call:  # its arguments follow; the tool has none
                    said.setdefault("tool_calls", []).append({**call, "function": {"name": "note", "arguments": "{}"}})
            yield bool(delta.get("content") or delta.get("tool_calls"))
    if not any(message["role"] == "assistant" for message in talk):
        await asyncio.sleep(_REFILL_SECONDS)
    talk.append(said)


async def _events(ready: Setting, url: str, body: Json) -> AsyncIterator[Json]:
    headers = {"x-api-key": "unused", "anthropic-version": "2023-06-01"}
    body = {"model": MODEL, "stream": True, **body}
    async with ready.http.post(url, json=body, headers=headers, raise_for_status=True) as response:
        async for line in response.content:
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])
