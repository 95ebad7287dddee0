"""K13: whatever ends the server, its children end with it, and the plan isn't spent behind anybody's back."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cli_process import Serving, serve
from real_cli import is_alive, seen_before, until

from claude_proxy.simulator import Reply, Simulator, text, tool_calls

TOOL: Any = {"type": "function", "function": {"name": "note", "parameters": {"type": "object", "properties": {}}}}
ANSWERED = {"kept": text("done"), "holding tool calls": tool_calls(("note", {}), ("note", {}))}
UNDER_WAY = {
    "silent": Reply(silent=True),
    "streaming": text(*(f"word{number} " for number in range(200)), gap_seconds=0.1),
}


def children_of(pid: int) -> list[int]:
    """Give the children of a process that run now."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if is_alive(int(child))]


async def start(home: Path, simulator: Simulator) -> tuple[Serving, str]:
    """Start a server on the real CLI and the simulator; give it and its base URL."""
    seen_before(home)
    config = home / "config.yaml"
    config.write_text(f"claude-cli: {{base-url: '{simulator.base_url}', max-processes: 8}}\n")
    serving = await asyncio.to_thread(
        serve, "--config", str(config), home=home, CLAUDE_CODE_OAUTH_TOKEN="dummy", NO_PROXY="127.0.0.1"
    )
    ready = await asyncio.to_thread(serving.wait_for, r"http://127\.0\.0\.1:\d+/v1")
    await asyncio.to_thread(serving.wait_for, "ready")
    await until(lambda: children_of(serving.process.pid))
    return serving, ready.group()


async def test_no_child_outlives_a_server_killed_with_9(tmp_path: Path) -> None:
    """K13: two seconds later every child is gone, whatever it was at, and the upstream is never asked again."""
    async with Simulator() as simulator, aiohttp.ClientSession() as client:
        serving, url = await start(tmp_path, simulator)
        body = {"model": "sonnet", "messages": [{"role": "user", "content": "go"}], "tools": [TOOL]}
        requests = []
        for reply in (*ANSWERED.values(), *UNDER_WAY.values()):
            simulator.queue.append(reply)
            requests.append(asyncio.create_task(client.post(f"{url}/chat/completions", json=body)))
            await until(lambda: len(simulator.seen) == len(requests))
            if len(requests) <= len(ANSWERED):
                assert (await requests[-1]).status == 200
        # One for each of these, and a warm one for the next that comes.
        await until(lambda: len(children_of(serving.process.pid)) > len(requests), 10.0)
        children = children_of(serving.process.pid)
        await asyncio.to_thread(serving.stop, signal.SIGKILL)
        asked = len(simulator.seen)
        await until(lambda: not any(map(is_alive, children)), 2.0)
        for request in requests[len(ANSWERED) :]:
            with pytest.raises(aiohttp.ClientError):
                await request
        await asyncio.sleep(1)
        assert len(simulator.seen) == asked == len(requests)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_asked_to_stop_takes_its_children_along(tmp_path: Path, number: int) -> None:
    """A clean stop is exit code 0, and no child is left."""
    async with Simulator() as simulator:
        serving, _ = await start(tmp_path, simulator)
        children = children_of(serving.process.pid)
        assert await asyncio.to_thread(serving.stop, number) == 0
        assert not any(map(is_alive, children))
