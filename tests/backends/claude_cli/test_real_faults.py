"""The real CLI when things go wrong, and what it must never do."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_cli import MakeReal, Real, assistant, is_alive, results_for, until, user

from claude_proxy.backends.base import Call
from claude_proxy.canon.blocks import Text
from claude_proxy.canon.events import TextDelta
from claude_proxy.canon.request import Request, Tool
from claude_proxy.errors import (
    BadRequest,
    NotSignedIn,
    Overloaded,
    ProxyError,
    RateLimited,
    UnknownModel,
    UpstreamError,
    UpstreamTimeout,
)
from claude_proxy.simulator import Reply, error, text, tool_calls

HOSTNAME = Path("/etc/hostname").read_text().strip()
NOTE = Tool(name="note", description="Take a note.", input_schema={"type": "object", "properties": {}})


async def read(real: Real, events: list[Any], at_delta: Callable[[], None] = lambda: None) -> None:
    """Run a turn, putting its events into ``events``, and do something at each text delta."""
    async with real.backend.turn(Call(Request(model="sonnet", messages=(user("hi"),)))) as turn:
        async for event in turn.events:
            events.append(event)
            if isinstance(event, TextDelta):
                at_delta()


async def test_two_clients_with_the_same_history_share_nothing(real: Real) -> None:
    """K02: each has its own child; no text of one is ever upstream of the other."""
    opening = user("the same words")
    replies = await asyncio.gather(
        real.ask(opening, client="a", system=(Text(text="secret of a"),)),
        real.ask(opening, client="b", system=(Text(text="secret of b"),)),
    )
    said = [outcome.said for outcome in replies]
    await asyncio.gather(
        real.ask(opening, said[0], user("more of a"), client="a", system=(Text(text="secret of a"),)),
        real.ask(opening, said[1], user("more of b"), client="b", system=(Text(text="secret of b"),)),
    )
    for body in real.upstream:
        whole = str(body)
        assert ("of a" in whole) != ("of b" in whole)


async def test_another_clients_identical_conversation_gets_a_child_of_its_own(real: Real) -> None:
    """K02: the fingerprint covers the client, so nobody continues on somebody else's child."""
    first = await real.ask(user("hi"), client="a")
    before = set(real.pids())
    await real.ask(user("hi"), first.said, user("more"), client="b")
    assert set(real.pids()) - before


async def test_text_is_only_text(real: Real) -> None:
    """K04: what the CLI would expand or run when typed arrives as written, in history, in the last turn and later."""
    typed = ["@/etc/hostname", "see @/etc/hostname please", "/clear", "/compact", "!ls", "# note", "/help\n@~/.bashrc"]
    talk = [turn for words in typed for turn in (user(words), assistant("ok"))]
    for words in typed:
        talk.append(user(words))
        talk.append((await real.ask(*talk)).said)
    (pid,) = real.pids()
    assert pid  # the later turns went to the process of the first one
    conversation = real.simulator.seen[-1].conversation
    assert [blocks for role, blocks in conversation if role == "user"] == [
        [{"type": "text", "text": words}] for words in typed * 2
    ]
    assert HOSTNAME not in str(conversation)


async def test_the_reply_ends_at_the_first_message_stop(real: Real) -> None:
    """K06: after max_tokens the CLI goes on by itself; none of that reaches the client, and the child is ended."""
    real.simulator.queue.extend([text("cut off here", stop_reason="max_tokens"), text("a continuation")])
    outcome = await real.ask(user("hi"))
    assert outcome.text == "cut off here"
    assert outcome.reply.stop_reason == "max_tokens"
    await until(lambda: not real.pids())


async def test_a_stream_cut_after_some_deltas_is_an_error(real: Real) -> None:
    """K07: the client has the deltas that came before, then the error; no second sample is joined to them."""
    real.simulator.queue.append(text("one ", "two ", "three", cut_after=5, gap_seconds=0.05))
    events: list[Any] = []
    with pytest.raises(UpstreamError):
        await read(real, events)
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert said in {"one ", "one two "}
    assert len(real.upstream) == 1
    await until(lambda: not real.pids())
    assert (await real.ask(user("next"))).text


async def test_a_connection_cut_before_the_first_byte_is_tried_once_more(real: Real) -> None:
    """K07: transparently, on another child."""
    real.simulator.queue.extend([Reply(cut_after=0), text("fine")])
    assert (await real.ask(user("hi"))).text == "fine"
    assert len(real.upstream) == 2


async def test_a_connection_that_is_always_cut_is_a_502(real: Real) -> None:
    """K07: once more, not for ever."""
    real.simulator.queue.extend([Reply(cut_after=0)] * 5)
    with pytest.raises(UpstreamError) as caught:
        await real.ask(user("hi"))
    assert caught.value.status == 502
    assert len(real.upstream) == 2


async def test_a_client_that_leaves_stops_the_turn_upstream(real: Real) -> None:
    """K08: within a second the upstream request is gone, and so is the child."""
    real.simulator.queue.append(text("a ", "b ", "c ", gap_seconds=30))
    async with real.backend.turn(Call(Request(model="sonnet", messages=(user("hi"),)))) as turn:
        async for event in turn.events:
            if isinstance(event, TextDelta):
                break
    await until(lambda: real.simulator.seen[0].gone, 1.0)
    await until(lambda: not real.pids(), 1.0)


async def test_a_client_that_leaves_a_silent_turn_stops_it_too(real: Real) -> None:
    """K08: also before the first byte."""
    real.simulator.queue.append(Reply(silent=True))
    turn = asyncio.create_task(real.ask(user("hi")))
    await until(lambda: real.simulator.seen)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await until(lambda: real.simulator.seen[0].gone, 1.0)
    await until(lambda: not real.pids(), 1.0)


async def test_the_plans_limit_is_a_429_with_the_windows_reset(real: Real) -> None:
    """K10: retry-after is what is left of the window."""
    reset = 4_000_000_000
    headers = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": str(reset),
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
        "anthropic-ratelimit-unified-5h-status": "rejected",
        "anthropic-ratelimit-unified-5h-utilization": "1.0",
        "anthropic-ratelimit-unified-5h-reset": str(reset),
    }
    real.simulator.queue.append(error(429, "rate_limit_error", "limit", headers=headers))
    with pytest.raises(RateLimited) as caught:
        await real.ask(user("hi"))
    assert caught.value.reset_at == reset
    assert (caught.value.retry_after or 0) > 1_000_000
    assert len(real.upstream) == 1


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (529, "overloaded_error", Overloaded),
        (400, "invalid_request_error", BadRequest),
        (401, "authentication_error", NotSignedIn),
        (404, "not_found_error", UnknownModel),
        (500, "api_error", UpstreamError),
    ],
)
async def test_an_upstream_error_keeps_its_status(
    real: Real, status: int, kind: str, expected: type[ProxyError]
) -> None:
    """K10: answered with the error that it was."""
    real.simulator.queue.extend([error(status, kind, "no such luck")] * 3)
    with pytest.raises(expected) as caught:
        await real.ask(user("hi"))
    assert type(caught.value) is expected


async def test_the_request_after_an_upstream_error_works(real: Real) -> None:
    """K10: whatever it was."""


async def test_nobody_signed_in_says_what_to_do(make_real: MakeReal) -> None:
    """K10: a 401 that names the command, before anything goes upstream."""
    real = await make_real(signed_in=False)
    with pytest.raises(NotSignedIn, match="claude-proxy login"):
        await real.ask(user("hi"))
    assert not real.upstream
    health = await real.backend.health()
    assert not health.ready
    assert "claude-proxy login" in health.detail


async def test_an_error_inside_the_stream_is_that_error(real: Real) -> None:
    """An error event after some deltas ends the turn with its own status."""
    real.simulator.queue.append(
        text("a ", "b ", "c", error_after=2, error={"type": "overloaded_error", "message": "Overloaded"})
    )
    with pytest.raises(Overloaded):
        await real.ask(user("hi"))
    assert len(real.upstream) == 1


async def test_a_silent_upstream_is_a_504_within_the_deadline(make_real: MakeReal) -> None:
    """Nothing hangs: the first-byte deadline ends the turn, and the child with it."""
    real = await make_real(first_byte_seconds=1.5)
    real.simulator.queue.append(Reply(silent=True))
    with pytest.raises(UpstreamTimeout):
        await real.ask(user("hi"))
    await until(lambda: real.simulator.seen[0].gone, 1.0)
    await until(lambda: not real.pids(), 1.0)


async def test_a_turn_that_takes_too_long_is_a_504(make_real: MakeReal) -> None:
    """Nothing hangs: the whole turn has a deadline too."""
    real = await make_real(turn_seconds=1.5)
    real.simulator.queue.append(text("a ", "b ", "c", gap_seconds=5))
    with pytest.raises(UpstreamTimeout):
        await real.ask(user("hi"))


async def test_a_child_killed_before_its_turn_is_replaced(make_real: MakeReal) -> None:
    """K09: a warm child that dies is noticed, and another one answers."""
    real = await make_real(warm=1)
    await until(real.pids)
    os.kill(real.pids()[0], signal.SIGKILL)
    assert (await real.ask(user("hi"))).text


async def test_a_child_killed_in_mid_stream_is_an_error_and_the_next_request_works(real: Real) -> None:
    """K09: an error, never a clean end."""
    real.simulator.queue.append(text("a ", "b ", "c", gap_seconds=30))
    with pytest.raises(UpstreamError):
        await read(real, [], lambda: os.kill(real.pids()[0], signal.SIGKILL))
    real.simulator.queue.clear()
    assert (await real.ask(user("again"))).text


async def test_held_calls_are_rebuilt_when_their_child_is_gone(real: Real) -> None:
    """K01, K09: the results reach the model natively on a fresh child, as they would have on the old one."""
    real.simulator.queue.append(tool_calls(("note", {"a": 1})))
    first = await real.ask(user("note it"), tools=(NOTE,))
    os.kill(real.pids()[0], signal.SIGKILL)
    await until(lambda: not real.pids())
    results = results_for(first.reply, "noted")
    await real.ask(user("note it"), first.said, results, tools=(NOTE,))
    rebuilt = real.simulator.seen[-1].conversation
    assert [role for role, _ in rebuilt] == ["user", "assistant", "user"]
    assert rebuilt[2][1][0]["content"] == [{"type": "text", "text": "noted"}]


async def test_the_next_turn_lands_on_the_child_that_holds_the_conversation(real: Real) -> None:
    """K01: the upstream conversation is the same as a rebuilt one, and so is the process."""
    first = await real.ask(user("one"))
    pids = real.pids()
    await real.ask(user("one"), first.said, user("two"))
    assert real.pids() == pids
    await real.ask(user("one"), first.said, user("two"), client="rebuilt")
    held, rebuilt = real.simulator.seen[1].conversation, real.simulator.seen[2].conversation
    assert held == rebuilt


async def test_an_edited_history_gets_a_fresh_child(real: Real) -> None:
    """K03: the old child's version of the conversation is never continued."""
    await real.ask(user("one"))
    edited = assistant("ok")
    await real.ask(user("one"), edited, user("two"))
    assert real.simulator.seen[1].conversation[1] == ("assistant", [{"type": "text", "text": "ok"}])


async def test_calls_that_nobody_answers_are_given_up(make_real: MakeReal) -> None:
    """K05: the child is gone after ``tool-wait-seconds``, and the conversation can still go on."""
    real = await make_real(tool_wait_seconds=1)
    real.simulator.queue.append(tool_calls(("note", {})))
    first = await real.ask(user("note it"), tools=(NOTE,))
    await until(lambda: not real.pids(), 4.0)
    results = results_for(first.reply, "late")
    assert (await real.ask(user("note it"), first.said, results, tools=(NOTE,))).text


async def test_never_more_children_than_allowed_and_everybody_is_served(make_real: MakeReal) -> None:
    """K11: six requests on two processes all get their answer."""
    real = await make_real(max_processes=2, warm=1)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(real.backend._pool.crew.members))
            await asyncio.sleep(0.005)

    watcher = asyncio.create_task(watch())
    outcomes = await asyncio.gather(*(real.ask(user(f"request {number}")) for number in range(6)))
    watcher.cancel()
    assert all(outcome.text for outcome in outcomes)
    assert most == 2


async def test_nothing_is_left_in_the_clis_folders(real: Real) -> None:
    """A conversation leaves no session and no copy on disk."""
    real.simulator.queue.append(text("a remarkable answer"))
    await real.ask(user("a remarkable question"))
    for path in real.folder.rglob("*"):
        if path.is_file():
            assert b"remarkable" not in path.read_bytes(), path
    assert not list((real.folder / "work").iterdir())


async def test_an_idle_child_that_dies_leaves_no_zombie(real: Real) -> None:
    """Every child is reaped, also one that ends by itself."""
    await real.ask(user("hi"))
    pid = real.pids()[0]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not Path(f"/proc/{pid}").exists())
    assert not is_alive(pid)


async def test_an_unknown_way_to_end_is_logged(real: Real, caplog: pytest.LogCaptureFixture) -> None:
    """C30: the reply is whole all the same, and somebody can find out what is new."""
    real.simulator.queue.append(text("so long", stop_reason="tired"))
    outcome = await real.ask(user("hi"))
    assert outcome.reply.stop_reason == "tired"
    assert "'tired'" in caplog.text
    await until(lambda: not real.pids())
