"""A server that runs out of something: a disk that is full, no more files to open, clients that come in masses."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest
import pytest_asyncio
from chaos_stage import DIALECTS, SCALE, body_of, open_files
from outside_server import Outside, outside

from claude_proxy.simulator import Reply

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="another process's limits can be changed on Linux only"),
]

LOG = ".state/claude-proxy/log/claude-proxy.log"
CONFIG = "logging-to-file: true\nmax-concurrent-requests: 32\nshutdown-seconds: 1\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outside]:
    """Run one server for all of these tests: it has to live through each."""
    async with outside(tmp_path_factory.mktemp("home"), CONFIG) as server:
        assert (await server.ask("responses")).is_whole
        yield server
        assert (await server.ask()).is_whole


def rows(path: Path, table: str) -> int:
    """Count what is in a table of a store, once there is one."""
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        count: int = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    database.close()
    return count


async def test_a_full_disk_fails_no_request_and_loses_no_response(server: Outside) -> None:
    """What can't be written waits in memory: it is found, gone on from, and on disk when there is room again."""
    data, log = server.home / ".data/claude-proxy", server.home / LOG
    stored, used = rows(data / "responses.sqlite3", "responses"), rows(data / "usage.sqlite3", "turns")
    with server.limited(resource.RLIMIT_FSIZE, 100):
        first = await server.ask("responses", "remember me")
        assert first.is_whole
        told = json.loads(first.text)
        assert (await server.told(f"/v1/responses/{told['id']}"))["id"] == told["id"]
        assert (await server.ask("responses", "go on", previous_response_id=told["id"])).is_whole
        assert len(server.simulator.seen[-1].conversation) == 3
        await asyncio.to_thread(server.serving.wait_for, "the log can't be written .*: lines are lost")
        length = log.stat().st_size
    assert (await server.ask("responses", "room again")).is_whole
    async with asyncio.timeout(20):
        while rows(data / "responses.sqlite3", "responses") < stored + 3:  # noqa: ASYNC110  # in another process
            await asyncio.sleep(0.1)
        while rows(data / "usage.sqlite3", "turns") < used + 3:  # noqa: ASYNC110  # in another process
            await asyncio.sleep(0.1)
    assert log.stat().st_size > length
    assert "Traceback" not in log.read_text() + server.serving.output


async def test_no_files_left_is_told_and_passes(server: Outside) -> None:
    """Who needs a new process gets a 503, who is connected isn't cut off; with files to open, all goes on."""
    before = await server.own_files()
    server.simulator.queue.append(Reply(blocks=({"type": "text", "text": "a b c d"},), gap_seconds=1))
    async with server.http.post(
        f"{server.url}/v1/chat/completions", json=body_of("chat", "long", stream=True)
    ) as stream:
        await stream.content.readany()
        with server.limited(resource.RLIMIT_NOFILE, open_files(server.pid) + 4):
            answers = [await server.ask(dialect, "who is there?") for dialect in DIALECTS]
        with server.limited(resource.RLIMIT_NOFILE, 3):
            late = asyncio.create_task(server.ask("messages", "and who there?"))
            # Long enough for the pool to look at its processes.
            await asyncio.sleep(5.5)
            assert not late.done()
        answers.append(await late)
        assert "data: [DONE]" in (await stream.content.read()).decode()
    assert all(answer.is_whole or (answer.status == 503 and answer.failed) for answer in answers)
    assert await server.own_files() <= before
    assert (await server.ask()).is_whole
    assert (server.home / LOG).read_text().count("no connection can be accepted now") == 1
    assert "Traceback" not in server.serving.output


async def test_clients_that_vanish_by_the_hundred_leave_nothing(server: Outside) -> None:
    """Admitted or refused: their turns end, upstream too, and the next one is answered."""
    before = await server.own_files()
    memory = server.process.memory_info().rss
    server.simulator.queue.extend([Reply(silent=True)] * 500)
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps(body_of("chat", "hello?")).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for _ in range(SCALE):
        connections = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(500)))
        for _, writer in connections:
            writer.write(head + body)
        await asyncio.sleep(0.5)
        for _, writer in connections:
            writer.transport.abort()
        await asyncio.sleep(0)
    await server.rest()
    server.simulator.queue.clear()
    assert (await server.ask("messages")).is_whole
    assert not server.simulator.active
    assert await server.own_files() <= before
    assert server.process.memory_info().rss < memory + 50_000_000


@pytest.mark.asyncio(loop_scope="function")
async def test_a_stop_under_load_gives_every_client_its_answer(tmp_path: Path) -> None:
    """SIGTERM: what can end in time ends whole, all else is told so in its own shape, and no process is left."""
    async with outside(tmp_path, "shutdown-seconds: 4\n") as server:
        short = Reply(blocks=({"type": "text", "text": "a b c"},), gap_seconds=0.5)
        endless = Reply(blocks=({"type": "text", "text": "w " * 200},), gap_seconds=0.5)
        server.simulator.queue.extend([short, endless, endless, *[endless] * 9])
        asking = [asyncio.create_task(server.ask(DIALECTS[n % 3], stream=n % 2 == 0)) for n in range(12)]
        async with asyncio.timeout(20):
            while sum(seen.status == 200 for seen in server.simulator.seen) < 3:  # noqa: ASYNC110  # elsewhere
                await asyncio.sleep(0.05)
        family = server.process.children(recursive=True)
        assert await asyncio.to_thread(server.serving.stop, 15) == 0
        answers = await asyncio.gather(*asking)
        assert sum(answer.is_whole for answer in answers) >= 1
        assert all(answer.is_whole or "the server is stopping" in answer.failed for answer in answers)
        assert {answer.status for answer in answers} <= {200, 503}
        assert not any(psutil.pid_exists(one.pid) for one in family)
        with pytest.raises(aiohttp.ClientConnectorError):
            await server.ask()
