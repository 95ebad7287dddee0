"""Connections before there is a request on them: how many, how long, and what isn't HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import resource

import pytest
from scripted_server import Running, ScriptedBackend, Serve

from claude_proxy.server import body, connections
from claude_proxy.server.connections import most_connections

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"


async def said(reader: asyncio.StreamReader) -> bytes:
    """Give all that comes until the server closes the connection."""
    return await asyncio.wait_for(reader.read(), 10)


async def ask(server: Running, request: bytes) -> bytes:
    """Send bytes on a connection of their own; give all that comes back until the server closes it."""
    reader, writer = await server.connect()
    writer.write(request)
    return await said(reader)


async def is_answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Tell whether a connection still takes a request."""
    writer.write(HEALTH)
    return (await asyncio.wait_for(reader.read(15), 10)).startswith(b"HTTP/1.1 200")


# -- what isn't HTTP --------------------------------------------------------------------------------------------------


async def test_what_is_no_http_is_refused_in_both_apis_words(serve: Serve) -> None:
    """Whose client it is isn't known yet, so the answer has both shapes."""
    server = await serve()
    head, _, told = (await ask(server, b"GET /health HTTP/1.1\r\nbroken\r\n\r\n")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400")
    assert b"Content-Type: application/json" in head
    body = json.loads(told)
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert set(body["error"]) >= {"message", "param", "code"}
    assert f"request-id: {body['request_id']}".encode() in head


@pytest.mark.parametrize("head", [b"GET /%b HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX-A: %b\r\n\r\n"])
async def test_a_line_that_is_too_long_is_431(serve: Serve, head: bytes) -> None:
    """A request line or a header of more than 8 KB isn't kept."""
    assert (await ask(await serve(), head % (b"a" * 9000))).startswith(b"HTTP/1.0 431")


async def test_too_many_headers_are_400(serve: Serve) -> None:
    """Each of them is short, and there are no more than 128."""
    many = b"".join(b"X-%d: a\r\n" % number for number in range(200))
    assert (await ask(await serve(), b"GET / HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")).startswith(
        b"HTTP/1.0 400"
    )


async def test_what_was_wrong_is_not_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """It may be part of a conversation, or a key: it is said to its sender alone, and a line without it is logged."""
    caplog.set_level(logging.DEBUG)
    server = await serve()
    answer = await ask(server, POST + b"Transfer-Encoding: chunked\r\n\r\nmy secret diary\r\n")
    assert answer.startswith(b"HTTP/1.0 400")
    assert await ask(server, b"GET / HTTP/1.1\r\nAuthorization : Bearer hunter2\r\n\r\n")
    assert "diary" not in caplog.text
    assert "hunter2" not in caplog.text
    assert "Traceback" not in caplog.text
    lines = [record for record in caplog.records if record.name == connections.__name__]
    assert [record.levelname for record in lines] == ["INFO", "INFO"]


async def test_a_body_that_can_not_be_read_is_logged_in_one_line(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Its client was told: there is nothing here to look into."""
    caplog.set_level(logging.DEBUG)
    server = await serve()
    request = POST + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"
    assert b"\"the body can't be read" in await ask(server, request)
    assert "Traceback" not in caplog.text


async def test_a_failure_below_our_own_is_500_in_json(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens, an answer says nothing of our insides."""

    def fail(*_: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr("claude_proxy.server.app.log_finished", fail)
    server = await serve()
    head, _, told = (await ask(server, HEALTH)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500")
    assert json.loads(told)["error"]["type"] == "api_error"
    assert b"secret" not in told


# -- how long ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: "])
async def test_a_request_that_does_not_come_is_waited_for_only_so_long(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Slow loris: neither silence nor half a header keeps a connection."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    assert await ask(await serve(), sent) == b""


async def test_a_header_that_trickles_is_waited_for_only_so_long(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte that comes buys no time."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.3)
    reader, writer = await (await serve()).connect()
    writer.write(b"GET /health HTTP/1.1\r\n")
    ended = asyncio.create_task(said(reader))
    while not ended.done():
        writer.write(b"X-A: b\r\n")
        await asyncio.wait([ended], timeout=0.05)
    assert await ended == b""


async def test_a_connection_is_kept_for_the_next_request_only_so_long(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then closed."""
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)
    assert (await ask(await serve(), HEALTH)).startswith(b"HTTP/1.1 200")


async def test_a_body_that_does_not_come_is_408(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, backend: ScriptedBackend
) -> None:
    """It would keep one of ``max-concurrent-requests`` places from those who have something to say."""
    monkeypatch.setattr(body, "SLACK_SECONDS", 0.2)
    server = await serve()
    reader, writer = await server.connect()
    writer.write(POST + b"Content-Length: 100\r\n\r\n{")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 408")
    assert not backend.calls


async def test_a_body_that_trickles_is_408(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then isn't enough."""
    monkeypatch.setattr(body, "SLACK_SECONDS", 0.3)
    reader, writer = await (await serve()).connect()
    writer.write(POST + b"Content-Length: 100000\r\n\r\n")
    answer = asyncio.create_task(reader.readline())
    while not answer.done():
        writer.write(b" ")
        await asyncio.wait([answer], timeout=0.05)
    assert (await answer).startswith(b"HTTP/1.1 408")


async def test_a_body_that_comes_slowly_but_comes_is_taken(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends a large picture over a slow line needs longer than who sends nothing."""
    monkeypatch.setattr(body, "SLACK_SECONDS", 0.2)
    monkeypatch.setattr(body, "SLOWEST_BYTES_A_SECOND", 10)
    question = b'{"model":"sonnet","messages":[{"role":"user","content":"hi"}]}'
    reader, writer = await (await serve()).connect()
    writer.write(POST + b"Content-Length: %d\r\n\r\n" % len(question) + question[:16])
    for at in range(16, len(question), 16):
        writer.write(question[at : at + 16])
        await asyncio.sleep(0.08)  # the slowness is what is tested
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200")


# -- how many ---------------------------------------------------------------------------------------------------------


async def test_too_many_connections_make_room_for_the_next(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has waited longest goes; who opens a thousand and says nothing keeps nobody else out."""
    monkeypatch.setattr(connections, "most_connections", lambda: 3)
    server = await serve()
    first, second, third = [await server.connect() for _ in range(3)]
    assert await is_answered(*first)  # so it waits for less long than the second
    fourth = await server.connect()
    assert await is_answered(*fourth)
    assert await said(second[0]) == b""
    assert await is_answered(*third)


async def test_no_room_is_made_at_the_cost_of_an_answer(
    serve: Serve, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all are busy, the new one goes."""
    monkeypatch.setattr(connections, "most_connections", lambda: 1)
    go_on = asyncio.Event()
    backend.entry = [go_on]
    server = await serve()
    question = b'{"model":"sonnet","messages":[{"role":"user","content":"hi"}]}'
    reader, writer = await server.connect()
    writer.write(POST + b"Content-Length: %d\r\n\r\n" % len(question) + question)
    await backend.reached(1)
    assert await ask(server, b"") == b""
    go_on.set()
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200")


async def test_connections_that_end_are_forgotten(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is closed makes room by itself."""
    monkeypatch.setattr(connections, "most_connections", lambda: 1)
    server = await serve()
    for _ in range(3):
        assert await ask(server, HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


@pytest.mark.parametrize(
    ("descriptors", "most"), [(256, 128), (1024, 512), (10, 64), (1 << 20, 4096), (resource.RLIM_INFINITY, 4096)]
)
def test_half_of_the_descriptors_are_for_clients(monkeypatch: pytest.MonkeyPatch, descriptors: int, most: int) -> None:
    """The other half is for processes, upstreams and files."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert most_connections() == most
