"""``kill -9`` for a child in each phase of its life: what its client gets, and that the next request works."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import pytest
from chaos_stage import DIALECTS, TOOL, Answer, Stage
from real_cli import until

from claude_proxy.backends.claude_cli.policy import Phase
from claude_proxy.simulator import Reply, text, tool_calls

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = [f"word{number} " for number in range(50)]
CHAT_TOOL: Any = {"type": "function", "function": TOOL}


async def test_a_warm_one_is_replaced_before_anybody_notices(stage: Stage) -> None:
    """Warm: the request that comes next is answered by another."""
    await stage.signal(signal.SIGKILL, Phase.WARM)
    assert (await stage.ask()).is_whole


async def test_one_that_is_being_prepared_is_missed_by_nobody(stage: Stage) -> None:
    """Preparing: a spare that is told a client's system prompt beforehand is only a guess."""
    system = {"role": "system", "content": "You are terse."}
    for words in ("one", "two"):  # what came twice is likely to come again
        await stage.ask(messages=[system, {"role": "user", "content": words}])
    await stage.signal(signal.SIGKILL, Phase.WARM, lambda state, _: state.prepared is not None)
    assert (await stage.ask(messages=[system, {"role": "user", "content": "three"}])).is_whole


async def test_one_that_is_told_the_history_is_replaced_and_nothing_of_it_is_lost(stage: Stage) -> None:
    """In history: nothing went upstream, so another child is told it all, and the client sees nothing of it."""
    history = [{"role": ("user", "assistant")[n % 2], "content": f"message {n}"} for n in range(60)]
    before = len(stage.simulator.seen)
    answer = stage.asking(messages=[*history, {"role": "user", "content": "and now?"}])
    await stage.signal(signal.SIGKILL, Phase.BUSY, lambda _, child: child.heard)
    assert (await answer).is_whole
    assert [len(seen.conversation) for seen in stage.simulator.seen[before:]] == [61]


async def test_one_that_waits_for_the_first_byte_is_replaced(stage: Stage) -> None:
    """Silent: no byte is out, so the request is asked once more."""
    before = len(stage.simulator.seen)
    stage.simulator.queue.extend([Reply(silent=True), text("at last")])
    answer = stage.asking()
    await until(lambda: len(stage.simulator.seen) > before, 20)
    await stage.signal(signal.SIGKILL, Phase.BUSY)
    assert "at last" in (await answer).text
    assert len(stage.simulator.seen) == before + 2


async def test_all_in_mid_stream_are_errors_in_each_clients_own_shape(stage: Stage) -> None:
    """Streaming: what came stays, then the error; never a clean end, nor a second sample. Who waits is served."""
    streams = [stage.asking(dialect, stream=True) for dialect in DIALECTS]
    waiting = await _killed_in_mid_reply(stage)
    answers = await asyncio.gather(*streams)
    assert [answer.status for answer in answers] == [200] * 3
    assert all("word0" in answer.text for answer in answers)
    assert all("the claude CLI process ended" in answer.failed for answer in answers)
    assert (await waiting).is_whole


async def test_half_a_reply_is_none_for_clients_that_do_not_stream(stage: Stage) -> None:
    """Streaming, as seen by those: a 502 in each dialect's shape."""
    replies = [stage.asking(dialect) for dialect in DIALECTS]
    waiting = await _killed_in_mid_reply(stage)
    answers = await asyncio.gather(*replies)
    assert [answer.status for answer in answers] == [502] * 3
    assert all("the claude CLI process ended" in answer.failed for answer in answers)
    assert (await waiting).is_whole


async def _killed_in_mid_reply(stage: Stage) -> asyncio.Task[Answer]:
    """Kill all three children in the middle of their replies; give the request that waited for one of them."""
    before = len(stage.simulator.seen)
    stage.simulator.queue.extend([text(*WORDS, gap_seconds=0.2)] * 3)
    await until(lambda: sum(seen.status == 200 for seen in stage.simulator.seen[before:]) == 3, 30)
    waiting = stage.asking()
    await asyncio.sleep(0.5)  # some words are on their way
    for pid in stage.children(Phase.BUSY):
        os.kill(pid, signal.SIGKILL)
    return waiting


async def test_one_that_holds_calls_is_rebuilt_for_their_results(stage: Stage) -> None:
    """Holding calls: the results reach the model on a fresh child, with all that was said before."""
    stage.simulator.queue.append(tool_calls(("note", {"a": 1})))
    asked = {"role": "user", "content": "note it"}
    first = await stage.ask(messages=[asked], tools=[CHAT_TOOL])
    said = json.loads(first.text)["choices"][0]["message"]
    await stage.signal(signal.SIGKILL, Phase.KEPT, lambda state, _: state.holds_calls)
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "noted"}
    assert (await stage.ask(messages=[asked, said, result], tools=[CHAT_TOOL])).is_whole
    assert [role for role, _ in stage.simulator.seen[-1].conversation] == ["user", "assistant", "user"]


async def test_one_that_is_kept_is_rebuilt_for_the_next_turn(stage: Stage) -> None:
    """Kept: the conversation goes on as if nothing had been."""
    asked = {"role": "user", "content": "one"}
    first = await stage.ask(messages=[asked])
    said = json.loads(first.text)["choices"][0]["message"]
    await stage.signal(signal.SIGKILL, Phase.KEPT)
    assert (await stage.ask(messages=[asked, said, {"role": "user", "content": "two"}])).is_whole
    assert len(stage.simulator.seen[-1].conversation) == 3
