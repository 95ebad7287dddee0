"""The Codex CLI as a client of the Responses API: headless, with its own shell tool."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import codex_cli_bin
import msgspec
import pytest
from responses_stack import KEY, Stack, standing

from claude_proxy.simulator import text, tool_calls

SECONDS = 90
CONFIG = """
model = "sonnet"
model_provider = "claude-proxy"

[model_providers.claude-proxy]
name = "claude-proxy"
base_url = "{url}/v1"
env_key = "CLAUDE_PROXY_KEY"
wire_api = "responses"
"""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a server on the real CLI."""
    async with standing("cli", tmp_path) as made:
        yield made


@pytest.fixture
def project(stack: Stack, tmp_path: Path) -> Path:
    """Give a folder to work in, and Codex a home of its own."""
    (tmp_path / "codex").mkdir()
    (tmp_path / "codex/config.toml").write_text(CONFIG.format(url=stack.url))
    project = tmp_path / "project"
    project.mkdir()
    (project / "note.txt").write_text("the pelican flies at noon")
    return project


async def codex(project: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run it, and give the events that it tells."""
    home = project.parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "CODEX_"))}
    process = await asyncio.create_subprocess_exec(
        codex_cli_bin.bundled_codex_path(),
        *("exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=project,
        env={
            **kept,
            "HOME": str(home / "codex-user"),
            "CODEX_HOME": str(home / "codex"),
            "CLAUDE_PROXY_KEY": KEY,
            "NO_PROXY": "127.0.0.1",
        },
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


def done(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Give the items of a kind that were completed."""
    return [event["item"] for event in events if event["type"] == "item.completed" and event["item"]["type"] == kind]


async def test_r08_codex_completes_a_tool_session_of_two_turns(stack: Stack, project: Path) -> None:
    """R08, R10: each time it runs the command that the model asked for, sends what that printed, and has an answer."""
    stack.simulator.queue.extend(
        [
            tool_calls(("exec_command", {"cmd": "cat note.txt"})),
            text("It says: the pelican flies at noon."),
            tool_calls(("exec_command", {"cmd": "wc -w < note.txt"})),
            text("Five words."),
        ]
    )
    first = await codex(project, "What does note.txt say?")
    (command,) = done(first, "command_execution")
    assert (command["exit_code"], command["aggregated_output"]) == (0, "the pelican flies at noon")
    assert [item["text"] for item in done(first, "agent_message")] == ["It says: the pelican flies at noon."]
    assert first[-1]["type"] == "turn.completed"

    second = await codex(project, "resume", "--last", "How many words is that?")
    (command,) = done(second, "command_execution")
    assert command["aggregated_output"].strip() == "5"
    assert [item["text"] for item in done(second, "agent_message")] == ["Five words."]

    # Upstream it is one conversation, with the calls and what they gave as what they are.
    blocks = [block for _, content in stack.simulator.seen[-1].conversation for block in content]
    calls = [block for block in blocks if block["type"] == "tool_use"]
    results = [block for block in blocks if block["type"] == "tool_result"]
    assert [call["input"]["cmd"] for call in calls] == ["cat note.txt", "wc -w < note.txt"]
    assert [result["tool_use_id"] for result in results] == [call["id"] for call in calls]
    assert "the pelican flies at noon" in results[0]["content"][0]["text"]
