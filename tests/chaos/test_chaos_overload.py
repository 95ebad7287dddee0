"""More than there is room for: who is sent away, who waits, in which order, and what one client can do to another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import fake_claude
import pytest
from chaos_stage import DIALECTS, SCALE, Answer, asked, client
from real_cli import MakeReal, Real, running, until, user
from scripted_server import ScriptedBackend, Serve, reply
from served import serving

from claude_proxy.backends.base import Call
from claude_proxy.backends.claude_cli.backend import ClaudeCli
from claude_proxy.canon.request import Request
from claude_proxy.config.schema import Config, Streaming
from claude_proxy.server import streaming
from claude_proxy.simulator import Simulator

Ask = Callable[[str, str], Awaitable[Answer]]


@pytest.fixture
async def crowded(tmp_path: Path) -> AsyncIterator[tuple[ClaudeCli, Ask]]:
    """Run a server with two processes for two clients; give what asks it with a client's key."""
    config = Config(port=0, api_keys=("key-of-a", "key-of-b"), shutdown_seconds=1)
    async with (
        Simulator() as simulator,
        running(tmp_path, simulator, start=False, max_processes=2, path=fake_claude.install(tmp_path)) as backend,
        serving(backend, config) as url,
        client() as http,
    ):
        yield backend, lambda key, dialect: asked(http, url, dialect, key=key)


async def test_one_clients_sixty_do_not_hold_up_anothers_one(crowded: tuple[ClaudeCli, Ask]) -> None:
    """K11: b's only request is answered among the first, though sixty came before it; and all of a's are."""
    backend, ask = crowded
    order: list[str] = []

    async def noted(name: str, number: int) -> bool:
        answer = await ask(f"key-of-{name}", DIALECTS[number % 3])
        order.append(name)
        return answer.is_whole

    await noted("a", 0)
    many = [asyncio.create_task(noted("a", number)) for number in range(60)]
    await until(lambda: backend._pool.counts()["waiting"] >= 50, 20)
    already = len(order)
    assert await noted("b", 0)
    assert order.index("b") <= already + 4
    assert all(await asyncio.gather(*many))


async def test_two_clients_of_the_real_cli_take_turns(make_real: MakeReal) -> None:
    """K11, on one process: the one who came last isn't the last."""
    real: Real = await make_real(max_processes=1)
    order: list[str] = []

    async def ask(name: str) -> None:
        await real.ask(user(f"hi from {name}"), client=name)
        order.append(name)

    first = asyncio.create_task(ask("a"))
    await until(lambda: real.backend._pool.counts()["busy"], 10)
    await asyncio.gather(first, *(ask("a") for _ in range(2 * SCALE)), *(ask("b") for _ in range(SCALE)))
    assert order == ["a", *["a", "b"] * SCALE, *["a"] * SCALE]


async def test_who_is_sent_away_is_told_when_it_is_worth_coming_back(serve: Serve, backend: ScriptedBackend) -> None:
    """429 in each client's own shape; the wait is what turns take, shared out among those who were sent away."""
    server = await serve(max_concurrent_requests=2)
    going = asyncio.Event()
    backend.script = [*reply("slow")[:2], going, *reply("slow")[2:]]
    for pause in (1.5, 0.0):
        under_way = [asyncio.create_task(asked(server.http, server.url, "chat")) for _ in range(2)]
        await backend.reached(2 if pause else 4)
        await asyncio.sleep(pause)
        refused = [await asked(server.http, server.url, dialect) for dialect in DIALECTS]
        assert [answer.status for answer in refused] == [429] * 3
        assert all("max-concurrent-requests" in answer.failed for answer in refused)
        waits = [int(answer.headers["retry-after"]) for answer in refused]
        # Nothing is known before the first has ended; then one of the two ends about each three quarters of a second.
        assert waits == [1, 1, 1] if pause else waits[0] < waits[2] <= 6
        going.set()
        assert all(answer.is_whole for answer in await asyncio.gather(*under_way))
        going.clear()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long for clients that don't read."""
    monkeypatch.setattr(streaming, "_UNREAD_SECONDS", 0.5)


async def test_a_client_that_reads_a_byte_a_second_gets_it_all_where_it_fits(
    serve: Serve, backend: ScriptedBackend
) -> None:
    """What the system takes off our hands costs nobody a place: the turn is over, and others are answered."""
    backend.script = reply(*["word "] * 50)
    server = await serve(max_concurrent_requests=1)
    reader, writer = await server.connect()
    writer.write(_request())
    first = [await reader.readexactly(1) for _ in range(3)]
    await asyncio.wait_for(backend.left.wait(), 5)
    assert (await asked(server.http, server.url, "messages")).is_whole
    assert b"data: [DONE]" in b"".join(first) + await reader.readuntil(b"[DONE]")


async def test_a_client_that_lets_a_large_answer_lie_is_left(
    serve: Serve, backend: ScriptedBackend, impatient: None
) -> None:
    """It would hold its place, and its process, for hours; those who wait get them."""
    backend.script = reply(*["x" * 100_000] * 200)
    server = await serve(max_concurrent_requests=1, streaming=Streaming(keepalive_seconds=0.1))
    reader, writer = await server.connect()
    writer.write(_request())
    for _ in range(5):
        await reader.readexactly(1)
        await asyncio.sleep(0.05)
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
    await asyncio.wait_for(backend.left.wait(), 10)
    assert backend.sent < 200
    backend.script = reply("next")
    assert (await asked(server.http, server.url, "responses")).is_whole


def _request() -> bytes:
    body = b'{"model":"sonnet","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def test_a_turn_that_nobody_reads_gives_its_process_back_in_time(make_real: MakeReal) -> None:
    """The real CLI: a consumer that is stuck is told later, its process is needed now."""
    real: Real = await make_real(turn_seconds=2)
    async with real.backend.turn(Call(Request(model="sonnet", messages=(user("hi"),)))) as turn:
        await anext(aiter(turn.events))
        await until(lambda: not real.pids(), 10)
    assert (await real.ask(user("next"))).text
