"""A child that hangs, as ``SIGSTOP`` makes it: no client waits for it for ever, and it is gone in the end."""

from __future__ import annotations

import asyncio
import json
import signal
import time

import pytest
from chaos_stage import TOOL, Stage
from real_cli import is_alive, until

from claude_proxy.backends.claude_cli import attempts
from claude_proxy.backends.claude_cli.policy import Phase
from claude_proxy.simulator import text, tool_calls

pytestmark = pytest.mark.asyncio(loop_scope="module")

REACTION_SECONDS = 1.0


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a child less time to react."""
    monkeypatch.setattr(attempts, "_REACTION_SECONDS", REACTION_SECONDS)


async def test_a_warm_one_is_given_up_and_another_one_answers(stage: Stage) -> None:
    """It has taken nothing in, so nothing is asked twice."""
    pid = await stage.signal(signal.SIGSTOP, Phase.WARM)
    before, began = len(stage.simulator.seen), time.monotonic()
    assert (await stage.ask()).is_whole
    assert time.monotonic() - began > REACTION_SECONDS
    assert len(stage.simulator.seen) == before + 1
    await until(lambda: not is_alive(pid), 10)


async def test_one_that_is_kept_is_given_up_and_its_conversation_goes_on(stage: Stage) -> None:
    """So does the one that holds calls: its results go to another."""
    stage.simulator.queue.append(tool_calls(("note", {"a": 1})))
    asked, tools = {"role": "user", "content": "note it"}, [{"type": "function", "function": TOOL}]
    first = await stage.ask(messages=[asked], tools=tools)
    said = json.loads(first.text)["choices"][0]["message"]
    pid = await stage.signal(signal.SIGSTOP, Phase.KEPT, lambda state, _: state.holds_calls)
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "noted"}
    assert (await stage.ask(messages=[asked, said, result], tools=tools)).is_whole
    assert len(stage.simulator.seen[-1].conversation) == 3
    await until(lambda: not is_alive(pid), 10)


async def test_one_in_mid_stream_ends_with_the_turns_deadline(stage: Stage) -> None:
    """It might be thinking: the client has signs of life, and then the error."""
    before = len(stage.simulator.seen)
    stage.simulator.queue.append(text("one ", "two ", "three", gap_seconds=0.2))
    with stage.configured(turn_seconds=4):
        answer = stage.asking("messages", stream=True)
        await until(lambda: any(seen.status == 200 for seen in stage.simulator.seen[before:]), 20)
        await asyncio.sleep(0.1)
        pid = await stage.signal(signal.SIGSTOP, Phase.BUSY)
        got = await answer
    assert "took longer than 4 s" in got.failed
    assert "event: ping" in got.text
    await until(lambda: not is_alive(pid), 10)
