"""Claude Code itself as a client: its own tools, our server, and the same CLI once more behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from real_cli import MakeReal, Real

from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.config.schema import Config
from claude_proxy.server.app import serve_forever
from claude_proxy.server.listen import Listening
from claude_proxy.simulator import tool_calls

KEY = "the-key-of-the-test"
SECONDS = 90


@pytest.fixture
async def real(make_real: MakeReal) -> Real:
    """Give a backend that answers as the demo does."""
    made: Real = await make_real(demo=True, start=False)
    return made


@pytest.fixture
async def base_url(real: Real) -> AsyncIterator[str]:
    """Run a server in demo mode."""
    where: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    settings = Config(port=0, shutdown_seconds=1, api_keys=(KEY,))
    task = asyncio.create_task(serve_forever(settings, [real.backend], demo=True, on_ready=where.set_result, stop=stop))
    task.add_done_callback(lambda _: where.cancel())
    yield (await where).urls[0]
    stop.set()
    await task


async def claude(base_url: str, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run the CLI in a home of its own, and give what it says, a message each."""
    for name in ("client-home", "client-config", "project"):
        (folder / name).mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE"))}
    environment = {
        **kept,
        "HOME": str(folder / "client-home"),
        "CLAUDE_CONFIG_DIR": str(folder / "client-config"),
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "NO_PROXY": "127.0.0.1",
    }
    process = await asyncio.create_subprocess_exec(
        find_binary().path,
        *arguments,
        *("--output-format", "stream-json", "--verbose"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder / "project",
        env=environment,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (out, err)
    return [msgspec.json.decode(line) for line in out.splitlines()]


def blocks(said: list[dict[str, Any]], role: str, kind: str) -> list[dict[str, Any]]:
    """Give the blocks of a kind that the session's turns hold."""
    turns = [one["message"]["content"] for one in said if one["type"] == role]
    return [block for content in turns for block in content if block["type"] == kind]


async def test_m06_claude_code_completes_a_tool_session(real: Real, base_url: str, tmp_path: Path) -> None:
    """M06, M09: it asks, runs its own tool as it was told to, sends the result, and ends with an answer."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project/note.txt").write_text("the pelican flies at noon")
    real.simulator.queue.append(tool_calls(("Read", {"file_path": "note.txt"})))  # the demo wouldn't touch files
    prompt = 'Use the Read tool on "note.txt" and tell me what it says.'
    said = await claude(base_url, tmp_path, "-p", prompt, "--allowedTools", "Read")

    (call,) = blocks(said, "assistant", "tool_use")
    (result,) = blocks(said, "user", "tool_result")
    assert (call["name"], call["input"]) == ("Read", {"file_path": "note.txt"})
    assert result["tool_use_id"] == call["id"]
    assert "the pelican flies at noon" in result["content"]
    assert not result.get("is_error")

    end = said[-1]
    assert (end["type"], end["subtype"], end["is_error"]) == ("result", "success", False)
    assert "the pelican flies at noon" in end["result"]
    # Upstream it is one conversation: the call and its result as what they are, Claude Code's own tools, and no others.
    first, second = real.upstream
    (sent,) = [block for turn in second["messages"] for block in turn["content"] if block_type(block) == "tool_result"]
    assert sent["tool_use_id"] == call["id"]
    assert {"Read", "Bash", "Agent"} <= {tool["name"] for tool in first["tools"]}
    assert [tool["name"] for tool in first["tools"]] == [tool["name"] for tool in second["tools"]]


def block_type(block: Any) -> str:
    """Give a block's type; a message may be a plain text, too."""
    return str(block["type"]) if isinstance(block, dict) else ""
