"""A child that misbehaves: the right error, the next request works, and nobody is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fake_claude
import pytest
from real_cli import MakeReal, Real, assistant, is_alive, until, user

from claude_proxy.backends.claude_cli import crew, pipes, policy
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.canon.blocks import Json, Text
from claude_proxy.canon.request import Tool
from claude_proxy.errors import BadRequest, ProxyError, Unavailable, UpstreamError, UpstreamTimeout


@pytest.fixture
def make_fake(make_real: MakeReal, tmp_path: Path) -> MakeReal:
    """Make a backend whose CLI has a fault."""

    async def make(fault: str = "", **config: Any) -> Real:
        path = fake_claude.install(tmp_path)
        made: Real = await make_real(path=path, env={"FAKE": fault, **config.pop("extra", {})}, **config)
        return made

    return make


async def test_the_fake_answers_like_the_real_one(make_fake: MakeReal) -> None:
    """What the other tests here leave out of a simple turn isn't the fault they look for."""
    fake = await make_fake()
    first = await fake.ask(user("hi"), assistant("ho"), user("hum"))
    assert first.text == "fine"
    assert (await fake.ask(user("hi"), assistant("ho"), user("hum"), first.said, user("more"))).text == "fine"


async def test_noise_on_both_outputs_is_passed_over(make_fake: MakeReal) -> None:
    """Garbage lines, unknown types and a flood on stderr change nothing."""
    fake = await make_fake("noise")
    assert (await fake.ask(user("hi"))).text == "after the noise"


async def test_a_line_of_50_mb_arrives_whole(make_fake: MakeReal) -> None:
    """There is no small limit on a line."""
    fake = await make_fake("huge")
    assert len((await fake.ask(user("hi"))).text) == 50_000_000


async def test_a_child_that_dies_in_mid_line_is_an_error(make_fake: MakeReal) -> None:
    """What came is delivered, then the error: never a clean end."""
    fake = await make_fake("half")
    with pytest.raises(UpstreamError, match="ended with code 1"):
        await fake.ask(user("hi"))
    assert len(fake.outcomes[0].events) == 3


async def test_a_child_that_exits_at_once_is_an_error_that_says_why(make_fake: MakeReal) -> None:
    """The last line of its stderr is in the message, and nothing hangs."""
    fake = await make_fake("exits")
    with pytest.raises(UpstreamError, match="code 3: cannot start: out of luck"):
        await fake.ask(user("hi"))


async def test_children_that_exit_at_once_are_not_started_in_a_storm(make_fake: MakeReal) -> None:
    """Warm children are started again ever later while starting them fails."""
    fake = await make_fake("exits", warm=2)
    await asyncio.sleep(1.5)
    assert fake.backend._pool.crew.started < 12


async def test_a_child_that_hangs_is_a_504_within_the_deadline(make_fake: MakeReal) -> None:
    """A CLI that never answers: the deadline ends the wait and the child."""
    fake = await make_fake("hangs", first_byte_seconds=0.5)
    with pytest.raises(UpstreamTimeout):
        await fake.ask(user("hi"))
    await until(lambda: not fake.pids())


async def test_history_that_is_never_taken_is_a_504(make_fake: MakeReal) -> None:
    """The wait for a history message has a deadline too."""
    fake = await make_fake("no history", first_byte_seconds=0.5)
    with pytest.raises(UpstreamTimeout):
        await fake.ask(user("one"), assistant("two"), user("three"))


async def test_history_that_is_refused_is_that_error(make_fake: MakeReal) -> None:
    """A refusal while the history goes in isn't taken for its success."""
    fake = await make_fake("history refused")
    with pytest.raises(BadRequest):
        await fake.ask(user("one"), assistant("two"), user("three"))
    await until(lambda: not fake.pids())


async def test_a_setting_that_is_refused_fails_the_turn(make_fake: MakeReal) -> None:
    """A parameter that isn't taken would be a loss in silence."""
    fake = await make_fake("settings refused")
    with pytest.raises(UpstreamError, match="no such setting"):
        await fake.ask(user("hi"))


async def test_tools_that_the_cli_dropped_fail_the_turn(make_fake: MakeReal) -> None:
    """K12: before the first byte, since a reply without the tools would be another one."""
    fake = await make_fake()
    with pytest.raises(UpstreamError, match="tools"):
        await fake.ask(user("hi"), tools=(Tool(name="lost"),))
    assert not fake.outcomes[0].events


async def test_a_turn_that_ends_without_a_reply_is_an_error(make_fake: MakeReal) -> None:
    """A result without any event isn't an empty success."""
    fake = await make_fake("silent end")
    with pytest.raises(UpstreamError, match="before the reply was complete"):
        await fake.ask(user("hi"))


async def test_an_older_version_lists_its_models_when_initialised(make_fake: MakeReal) -> None:
    """Where ``list_models`` isn't known the list comes from ``initialize``, on a child that isn't used again."""
    fake = await make_fake("older")
    assert [model.id for model in await fake.backend.models()] == ["claude-fake-1"]
    assert (await fake.ask(user("hi"))).text == "fine"


async def test_a_cli_without_models_is_unavailable(make_fake: MakeReal) -> None:
    """An empty list is said, not served."""
    fake = await make_fake("no models")
    with pytest.raises(Unavailable):
        await fake.backend.models()


async def test_a_child_that_ignores_sigterm_is_killed(make_fake: MakeReal) -> None:
    """The ladder ends with SIGKILL, and closing waits for it."""
    fake = await make_fake("stubborn")
    await fake.ask(user("hi"))
    pid = fake.pids()[0]
    started = time.monotonic()
    await fake.backend.close()
    assert not is_alive(pid)
    assert time.monotonic() - started < 10


async def test_a_stopped_child_is_killed_too(make_fake: MakeReal) -> None:
    """SIGSTOP doesn't keep a child from being ended."""
    fake = await make_fake()
    await fake.ask(user("hi"))
    pid = fake.pids()[0]
    os.kill(pid, signal.SIGSTOP)
    await fake.backend.close()
    assert not is_alive(pid)


async def test_a_program_that_cant_be_run_is_an_error(make_fake: MakeReal, tmp_path: Path) -> None:
    """A binary that vanishes after it was found: an error, and the server lives on."""
    fake = await make_fake()
    await fake.ask(user("hi"))
    (tmp_path / "claude").unlink()
    with pytest.raises(Unavailable, match=r"claude-cli\.path"):
        await fake.ask(user("another"), client="another")


async def test_requests_that_wait_are_told_when_the_server_stops(make_fake: MakeReal) -> None:
    """Nobody waits for ever: shutting down answers those in the queue."""
    fake = await make_fake("hangs", max_processes=1, first_byte_seconds=60)
    asking = [asyncio.create_task(fake.backend._pool.claim("opus")) for _ in range(2)]
    await until(lambda: fake.backend._pool.counts()["waiting"] == 1)
    await fake.backend.close()
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(result) for result in results].count(Unavailable) == 1


async def test_a_request_that_leaves_the_queue_leaves_no_trace(make_fake: MakeReal) -> None:
    """A waiting request that is cancelled makes room for the next, and no child is lost."""
    fake = await make_fake(max_processes=1)
    shared = fake.backend._pool
    lease = await shared.claim("sonnet")
    waiting = [asyncio.create_task(shared.claim("sonnet")) for _ in range(2)]
    await until(lambda: shared.counts()["waiting"] == 2)
    waiting[0].cancel()
    shared.give_back(lease.id)
    assert (await waiting[1]).id == lease.id
    assert shared.counts() == {"warm": 0, "busy": 1, "kept": 0, "leaving": 0, "waiting": 0}


async def test_a_child_lent_to_a_request_that_left_goes_back(make_fake: MakeReal) -> None:
    """A request cancelled at the very moment it gets its child doesn't keep it."""
    fake = await make_fake(max_processes=1)
    shared = fake.backend._pool
    lease = await shared.claim("sonnet")
    claiming = asyncio.create_task(shared.claim("sonnet"))
    await until(lambda: shared.counts()["waiting"] == 1)
    shared.give_back(lease.id)
    shared._decide()
    assert shared.counts()["busy"] == 1  # lent, but the request hasn't run since
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    assert shared.counts()["busy"] == 0


async def test_a_child_that_has_grown_too_large_is_ended_after_its_turn(make_fake: MakeReal) -> None:
    """K11: its reply is whole, and the conversation's next turn gets another child."""
    fake = await make_fake("grows", max_memory_mb=100)
    assert (await fake.ask(user("hi"))).text == "I hold 150000000 bytes"
    await until(lambda: not fake.pids())
    assert (await fake.ask(user("hi"), assistant("I hold 150000000 bytes"), user("more"))).text


async def test_a_child_that_grows_without_end_is_ended_at_once(
    make_fake: MakeReal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K11: twice the ceiling ends the turn too, before the machine does."""
    monkeypatch.setattr(crew, "_MEMORY_SECONDS", 0.1)
    fake = await make_fake("grows", max_memory_mb=64, extra={"PAUSE": "30"})
    with pytest.raises(UpstreamError, match="too much memory"):
        await fake.ask(user("hi"))
    await until(lambda: not fake.pids())


async def test_a_cli_that_never_starts_is_asked_ever_less_often(make_fake: MakeReal) -> None:
    """After some failed starts requests are refused at once, with the reason and when to come again."""
    fake = await make_fake("exits")
    failures = []
    for _ in range(8):
        with pytest.raises(ProxyError) as caught:
            await fake.ask(user("hi"))
        failures.append(caught.value)
    refused = [failure for failure in failures if isinstance(failure, Unavailable)]
    assert refused
    assert "out of luck" in refused[-1].message
    assert (refused[-1].retry_after or 0) > 0
    assert fake.backend._pool.crew.started < 25


async def test_a_pool_that_fails_says_so_to_everybody(
    make_fake: MakeReal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in the pool is in the log, in the health and in the answers, and its children are gone."""
    fake = await make_fake()
    await fake.ask(user("hi"))
    monkeypatch.setattr(policy, "next_deadline", lambda *_: 1 / 0)
    fake.backend._pool.crew.changed.set()
    await until(lambda: fake.backend._pool.closed)
    with pytest.raises(Unavailable, match="restart"):
        await fake.ask(user("hi"))
    assert not (await fake.backend.health()).ready
    assert "ZeroDivisionError" in caplog.text
    await until(lambda: not fake.pids())


async def test_a_child_that_reads_no_more_holds_up_no_deadline(make_fake: MakeReal) -> None:
    """A large message to a stopped process: the turn fails in time, and the process is ended."""
    fake = await make_fake(first_byte_seconds=1)
    first = await fake.ask(user("hi"))
    os.kill(fake.pids()[0], signal.SIGSTOP)
    with pytest.raises(UpstreamTimeout):
        await fake.ask(user("hi"), first.said, user("x" * 5_000_000))
    await until(lambda: not fake.pids())


async def test_what_was_asked_only_once_is_no_guess(make_fake: MakeReal) -> None:
    """A system prompt with the time in it never comes again; one that comes again is told to a spare."""
    fake = await make_fake(warm=1)
    members = fake.backend._pool.crew.members
    for number in range(3):
        await fake.ask(user("hi"), system=(Text(text=f"It is {number} o'clock."),))
    await asyncio.sleep(0.5)
    assert not any(member.state.prepared for member in members.values())
    await fake.ask(user("hi"), system=(Text(text="It is 1 o'clock."),))
    await until(lambda: any(member.state.prepared for member in members.values()))


async def test_settings_are_told_only_when_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CLI needs milliseconds to take them, in the way of every next turn."""
    child = Child(["claude"], {}, "/")
    written: list[bytes] = []
    monkeypatch.setattr(child, "write", written.append)
    for effort in ("low", "low", None, None, "low"):
        child.apply({"effortLevel": effort})
    assert [line.split(b'"effortLevel":')[1][:5] for line in written] == [b'"low"', b"null}", b'"low"']


async def test_what_is_written_at_once_arrives_in_one_piece(make_fake: MakeReal) -> None:
    """A write wakes the process up, which competes with us for the processor."""
    fake = await make_fake()
    first = await fake.ask(user("hi"))
    ((member,),) = [list(fake.backend._pool.crew.members.values())]
    pieces: list[bytes] = []
    way = member.child._pipes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(way, "write", pieces.append)
        member.child.write(b"1\n")
        member.child.write(b"2\n", b"3\n")
        assert pieces == []
        await asyncio.sleep(0)
    assert pieces == [b"1\n2\n3\n"]
    assert first.text == "fine"


async def test_a_line_that_cant_be_dealt_with_ends_its_child_and_nobody_waits(
    make_fake: MakeReal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours in reading is an error for its own turn, told in the log, and the next request works."""
    fake = await make_fake()
    with monkeypatch.context() as patch:
        patch.setattr(Child, "_take", lambda *_: 1 / 0)
        with pytest.raises(UpstreamError, match="can't be dealt with"):
            await fake.ask(user("hi"))
    assert "ZeroDivisionError" in caplog.text
    assert (await fake.ask(user("hi"))).text == "fine"


async def test_an_idle_child_ends_with_its_input(make_fake: MakeReal) -> None:
    """A signal would cost it more: it leaves by itself, with code 0."""
    fake = await make_fake()
    await fake.ask(user("hi"))
    ((member,),) = [list(fake.backend._pool.crew.members.values())]
    fake.backend._pool.retire(member.state.id)
    await until(lambda: not fake.pids())
    assert member.child.returncode == 0


async def test_an_idle_child_that_stays_is_ended_all_the_same(
    make_fake: MakeReal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It isn't waited for: after its input its life is ended."""
    monkeypatch.setattr(pipes, "_CLOSED_SECONDS", 0.05)
    monkeypatch.setattr(pipes, "_TERM_SECONDS", 0.05)
    fake = await make_fake("stubborn")
    await fake.ask(user("hi"))
    ((member,),) = [list(fake.backend._pool.crew.members.values())]
    fake.backend._pool.retire(member.state.id)
    await until(lambda: not fake.pids())
    assert member.child.returncode == -signal.SIGKILL


class Writing(Child):
    """Remembers what was written to it."""

    def __init__(self) -> None:
        super().__init__((), {}, "/")
        self.written: list[Json] = []

    def write(self, *lines: bytes) -> None:
        """Note it."""
        self.written += map(json.loads, lines)


_LISTING = (
    b'{"type":"control_request","request_id":"q1","request":{"subtype":"mcp_message","server_name":"client",'
    b'"message":{"jsonrpc":"2.0","id":1,"method":"tools/list"}}}\n'
)


@pytest.mark.parametrize(
    ("has_listed", "names", "told"),
    [(True, ("f",), ["mcp_message", "initialize"]), (True, (), ["initialize"]), (False, ("f",), ["initialize"])],
)
def test_a_child_is_told_that_the_tools_have_changed(
    has_listed: bool,  # noqa: FBT001  # both ways
    names: Sequence[str],
    told: list[str],
) -> None:
    """Before anything else, and only where it has asked for them and they are others: else it asks anyway."""
    child = Writing()
    if has_listed:
        child._read_output(_LISTING)
    before = len(child.written)
    tools = [{"name": name} for name in names]
    child.prepare("Be brief.", tools)
    assert [line["request"]["subtype"] for line in child.written[before:]] == told

    child._read_output(_LISTING)
    assert child.written[-1]["response"]["response"]["mcp_response"]["result"] == {"tools": tools}
