"""The life of a stream: signs of life, clients that leave, clients that don't read."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from scripted_server import Running, ScriptedBackend, Serve, Step, reply

from claude_proxy.canon.blocks import ToolUse
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageStop,
    TextDelta,
    Usage,
)
from claude_proxy.config.schema import Streaming
from claude_proxy.dialects.chat import CHAT
from claude_proxy.errors import UpstreamError
from claude_proxy.server.streaming import Wire

OFTEN = Streaming(keepalive_seconds=0.05)


def raw_request(*, stream: bool, extra: str = "") -> bytes:
    """Give the bytes of a chat completion request."""
    body = json.dumps({"model": "sonnet", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


async def test_a_sign_of_life_comes_before_the_first_event(serve: Serve, backend: ScriptedBackend) -> None:
    """While the backend is silent, headers and comments go out, and the answer after them is whole."""
    gate = asyncio.Event()
    backend.entry = [gate]
    server = await serve(streaming=OFTEN)
    async with server.chat(stream=True) as response:
        assert response.status == 200
        seen = await response.content.readexactly(3 * len(CHAT.keepalive))
        assert seen == 3 * CHAT.keepalive
        gate.set()
        assert (await response.text()).rstrip().endswith("data: [DONE]")


async def test_signs_of_life_come_between_events(serve: Serve, backend: ScriptedBackend) -> None:
    """A model that pauses in mid-reply keeps its connection, and no frame is torn."""
    gate = asyncio.Event()
    *begin, last, stop, delta, end = reply("one", "two")
    backend.script = [*begin, gate, last, stop, delta, end]
    server = await serve(streaming=OFTEN)
    async with server.chat(stream=True) as response:
        seen = b""
        while seen.count(CHAT.keepalive) < 2:
            seen += await asyncio.wait_for(response.content.readany(), 5)
        gate.set()
        seen += await response.content.read()
    for frame in seen.decode().split("\n\n")[:-1]:
        assert frame == CHAT.keepalive.decode().strip() or frame == "data: [DONE]" or json.loads(frame[6:])


async def test_a_failure_after_a_sign_of_life_is_an_error_event(serve: Serve, backend: ScriptedBackend) -> None:
    """Headers are out, so the failure can't be a status any more, even though no event came."""
    gate = asyncio.Event()
    backend.entry = [gate, UpstreamError("no luck")]
    server = await serve(streaming=OFTEN)
    async with server.chat(stream=True) as response:
        assert response.status == 200
        gate.set()
        text = await response.text()
    assert "no luck" in text
    assert "[DONE]" not in text.split("no luck")[0]


async def test_without_an_interval_nothing_comes_before_the_first_event(serve: Serve, backend: ScriptedBackend) -> None:
    """``keepalive-seconds: 0`` turns signs of life off."""
    gate = asyncio.Event()
    backend.entry = [gate]
    server = await serve(streaming=Streaming(keepalive_seconds=0))
    reader, writer = await server.connect()
    writer.write(raw_request(stream=True, extra="Connection: close\r\n"))
    await backend.entered.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)
    gate.set()
    assert CHAT.keepalive not in await reader.read()
    writer.close()


def _gone(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort() if reset else writer.close()


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("begun", [False, True])
async def test_k08_a_client_that_leaves_ends_its_turn(
    serve: Serve,
    backend: ScriptedBackend,
    caplog: pytest.LogCaptureFixture,
    *,
    stream: bool,
    begun: bool,
    reset: bool,
) -> None:
    """K08: within a second the backend's context is left, also while the model is silent, streamed or not."""
    caplog.set_level("INFO", "claude_proxy")
    silence = asyncio.Event()
    if begun:
        backend.script = [*reply("Hello")[:3], silence]
    else:
        backend.entry = [silence]
    server = await serve()
    reader, writer = await server.connect()
    writer.write(raw_request(stream=stream))
    await asyncio.wait_for(backend.entered.wait(), 5)
    if begun and stream:
        await asyncio.wait_for(reader.readuntil(b"Hello"), 5)
    left = time.monotonic()
    _gone(writer, reset=reset)
    await asyncio.wait_for(backend.left.wait(), 5)
    assert time.monotonic() - left < 1
    await server.end()
    assert [record.getMessage().split()[2] for record in caplog.records if record.name == "claude_proxy.access"] == [
        "499"
    ]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_client_that_leaves_frees_its_place(serve: Serve, backend: ScriptedBackend) -> None:
    """A cancelled turn doesn't count against ``max-concurrent-requests``."""
    backend.entry = [asyncio.Event()]
    server = await serve(max_concurrent_requests=1)
    _, writer = await server.connect()
    writer.write(raw_request(stream=True))
    await asyncio.wait_for(backend.entered.wait(), 5)
    writer.close()
    await asyncio.wait_for(backend.left.wait(), 5)
    backend.entry = []
    async with server.chat() as response:
        assert response.status == 200


async def test_no_task_is_left_behind(serve: Serve, backend: ScriptedBackend) -> None:
    """After streams that ended, failed and were left, only the server's own task runs."""
    server = await serve(streaming=OFTEN)
    async with server.chat(stream=True) as response:
        await response.text()
    backend.script = [reply()[0], UpstreamError("x")]
    async with server.chat(stream=True) as response:
        await response.text()
    backend.script, backend.left = [*reply()[:1], asyncio.Event()], asyncio.Event()
    _, writer = await server.connect()
    writer.write(raw_request(stream=True))
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.wait_for(backend.left.wait(), 5)
    await server.http.close()
    await server.end()
    assert asyncio.all_tasks() == {asyncio.current_task()}


class _Flood(Sequence[Step]):
    """A long reply, made as it is asked for, so that the test itself holds none of it."""

    pieces = 2000
    piece = "x" * 16_384

    def __len__(self) -> int:
        return self.pieces

    def __getitem__(self, index: object) -> Step:  # type: ignore[override]  # only iterated
        raise NotImplementedError

    def __iter__(self) -> Iterator[AnyEvent]:
        start, opened, *end = reply()
        yield start
        yield opened
        for number in range(self.pieces):
            yield TextDelta(index=0, text=f"{number}{self.piece}")
        yield from end


@pytest.fixture
def traced() -> Iterator[None]:
    """Count what Python allocates."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def _slow_stream(server: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a stream with small buffers that nobody reads yet."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
    await asyncio.get_running_loop().sock_connect(sock, (server.where.host, server.where.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=8192)
    server.writers.append(writer)
    writer.write(raw_request(stream=True, extra="Connection: close\r\n"))
    return reader, writer


async def _settled(backend: ScriptedBackend) -> int:
    sent = -1
    while sent != backend.sent:
        sent = backend.sent
        await asyncio.sleep(0.2)
    return sent


async def test_a_client_that_does_not_read_holds_the_model_back(
    serve: Serve, backend: ScriptedBackend, traced: None
) -> None:
    """Memory doesn't grow with what a slow client hasn't read, and in the end it gets every piece."""
    backend.script = _Flood()
    server = await serve(streaming=OFTEN)
    reader, _ = await _slow_stream(server)
    await asyncio.wait_for(backend.entered.wait(), 5)
    sent = await asyncio.wait_for(_settled(backend), 10)
    assert 0 < sent < _Flood.pieces / 2
    assert tracemalloc.get_traced_memory()[0] < 16 << 20
    body = await asyncio.wait_for(reader.read(), 30)
    assert body.count(_Flood.piece.encode()) == _Flood.pieces


async def test_a_slow_client_that_leaves_ends_its_turn(serve: Serve, backend: ScriptedBackend) -> None:
    """Also a turn that waits for its reader is cancelled when the reader goes."""
    backend.script = _Flood()
    server = await serve()
    _, writer = await _slow_stream(server)
    await asyncio.wait_for(backend.entered.wait(), 5)
    await asyncio.wait_for(_settled(backend), 10)
    writer.transport.abort()
    await asyncio.wait_for(backend.left.wait(), 5)
    assert backend.sent < _Flood.pieces


async def test_a_client_that_only_listens_has_left(serve: Serve, backend: ScriptedBackend) -> None:
    """A connection closed on the client's side ends the turn, even where the client goes on reading what is there."""
    backend.script = _Flood()
    server = await serve()
    reader, writer = await _slow_stream(server)
    await asyncio.wait_for(backend.entered.wait(), 5)
    await asyncio.wait_for(_settled(backend), 10)
    writer.write_eof()
    await asyncio.sleep(0.1)
    body = await asyncio.wait_for(reader.read(), 10)
    await asyncio.wait_for(backend.left.wait(), 5)
    assert b"[DONE]" not in body
    assert backend.sent < _Flood.pieces


@pytest.mark.parametrize("under", ["write", "end"])
async def test_a_connection_that_ends_under_a_write_ends_the_turn(
    serve: Serve,
    backend: ScriptedBackend,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    under: str,
) -> None:
    """A write may learn that the client is gone before anybody is told: no failure of ours, no second answer."""

    class Closing(Wire):
        async def write(self, frames: bytes) -> None:
            self._lose(at="write", now=b" world" in frames)
            await super().write(frames)

        async def end(self) -> None:
            self._lose(at="end")
            await super().end()

        def _lose(self, *, at: str, now: bool = True) -> None:
            if at == under and now:
                assert self._request.transport is not None
                self._request.transport.close()

    monkeypatch.setattr("claude_proxy.server.turns.Wire", Closing)
    caplog.set_level("INFO", "claude_proxy")
    server = await serve(streaming=Streaming(keepalive_seconds=0))
    reader, writer = await server.connect()
    writer.write(raw_request(stream=True))
    body = await asyncio.wait_for(reader.read(), 5)
    assert body.count(b"HTTP/1.1") == 1
    assert b'"error"' not in body
    assert backend.left.is_set()
    await server.end()
    assert [record.getMessage().split()[2] for record in caplog.records] == ["499"]


async def test_a_reply_that_is_no_generator_is_sent_as_well(serve: Serve) -> None:
    """A backend may give any asynchronous iterator."""

    class Plain(ScriptedBackend):
        def _events(self) -> AsyncIterator[AnyEvent]:
            return _Plain(reply("Hello"))

    server = await serve(Plain())
    async with server.chat(stream=True) as response:
        assert "Hello" in await response.text()


class _Plain:
    def __init__(self, events: list[AnyEvent]) -> None:
        self._events = iter(events)

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return self

    async def __anext__(self) -> AnyEvent:
        for event in self._events:
            return event
        raise StopAsyncIteration


async def test_small_writes_are_not_held_back(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections have TCP_NODELAY, or deltas would wait for each other's acknowledgement."""
    server = await serve()
    seen: list[int] = []
    original = asyncio.selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]  # not public

    def write(self: asyncio.Transport, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 200"):
            sock = self.get_extra_info("socket")
            seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        original(self, data)

    monkeypatch.setattr(asyncio.selector_events._SelectorSocketTransport, "write", write)  # type: ignore[attr-defined]
    async with server.chat(stream=True) as response:
        await response.text()
    assert seen
    assert all(seen)


async def test_an_http_1_0_client_gets_its_stream(serve: Serve) -> None:
    """Without chunks the end of the connection is the end of the stream."""
    server = await serve()
    reader, writer = await server.connect()
    writer.write(raw_request(stream=True).replace(b"HTTP/1.1", b"HTTP/1.0"))
    body = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert body.endswith(b"data: [DONE]\n\n")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What goes out, write by write, but for the end."""
    found: list[bytes] = []

    class Watched(Wire):
        def _taken(self, frames: bytes) -> bytes:
            found.append(super()._taken(frames))
            return found[-1]

    monkeypatch.setattr("claude_proxy.server.turns.Wire", Watched)
    return found


async def test_what_opens_a_reply_goes_out_with_its_first_content(serve: Serve, written: list[bytes]) -> None:
    """One packet wakes the client up once. Content never waits."""
    server = await serve(streaming=Streaming(keepalive_seconds=0))
    async with server.chat(stream=True) as response:
        await response.read()
    assert [(b'"role"' in frames, b"Hello" in frames, b" world" in frames) for frames in written] == [
        (True, True, False),
        (False, False, True),
        (False, False, False),
    ]


@pytest.mark.parametrize("opening", [1, 2])
async def test_what_opens_a_reply_goes_out_alone_where_nothing_follows_at_once(
    serve: Serve, backend: ScriptedBackend, written: list[bytes], opening: int
) -> None:
    """A model that begins and then thinks in silence has begun, for its client too."""
    gate = asyncio.Event()
    events = reply("Hello")
    backend.script = [*events[:opening], gate, *events[opening:]]
    server = await serve(streaming=Streaming(keepalive_seconds=0))
    async with server.chat(stream=True) as response:
        assert b'"role"' in await asyncio.wait_for(response.content.readany(), 5)
        gate.set()
        assert "Hello" in await response.text()
    assert (b'"role"' in written[0], b"Hello" in written[0]) == (True, False)


async def test_a_tool_call_is_told_at_once(serve: Serve, backend: ScriptedBackend, written: list[bytes]) -> None:
    """Its name is content: some clients show it before the arguments are there."""
    call = BlockStart(index=0, block=ToolUse(id="toolu_1", name="look", input={}))
    ended = MessageDelta(stop_reason="tool_use", usage=Usage(output_tokens=1))
    arguments = InputJsonDelta(index=0, partial_json="{}")
    backend.script = [reply("Hello")[0], call, arguments, BlockStop(index=0), ended, MessageStop()]
    server = await serve(streaming=Streaming(keepalive_seconds=0))
    async with server.chat(stream=True) as response:
        await response.read()
    assert [(b'"role"' in frames, b'"look"' in frames) for frames in written[:2]] == [(True, True), (False, False)]


@pytest.mark.parametrize("keepalive_seconds", [0, 15])
async def test_what_is_held_goes_out_before_a_failure(
    serve: Serve, backend: ScriptedBackend, written: list[bytes], keepalive_seconds: int
) -> None:
    """Nothing of the reply is lost, and its end is an error event, not a status."""
    backend.script = [*reply("Hello")[:2], UpstreamError("it broke")]
    server = await serve(streaming=Streaming(keepalive_seconds=keepalive_seconds))
    async with server.chat(stream=True) as response:
        assert response.status == 200
        text = await response.text()
    assert '"role":"assistant"' in text
    assert "it broke" in text
    assert len(written) == 2


async def test_the_last_frames_and_the_end_go_out_together(serve: Serve, written: list[bytes]) -> None:
    """How the reply ended, what follows it and the end of the response are one packet: each wakes the client up."""
    server = await serve(streaming=Streaming(keepalive_seconds=0))
    async with server.chat(stream=True) as response:
        text = await response.text()
    assert "finish_reason" in text
    assert text.endswith("data: [DONE]\n\n")
    assert b"[DONE]" not in b"".join(written[:-1])
    assert b'"finish_reason":"stop"' not in b"".join(written[:-1])
