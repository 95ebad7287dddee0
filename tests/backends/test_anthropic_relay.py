"""A client's own Messages request, handed on as it came; and the answer's bytes as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from raw_upstreams import listening, read_request, saying

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.base import Original, Relayed
from claude_proxy.backends.http.attempts import Patience
from claude_proxy.config.schema import ClaudeApiKey, Config
from claude_proxy.errors import BadRequest, NotFound, Overloaded, ProxyError, UpstreamError, UpstreamTimeout
from claude_proxy.framing import sse_event
from claude_proxy.simulator import Simulator, script

MODEL = "claude-sonnet-5-5"
QUICK = Patience(retries=1, retry_seconds=3, connect_seconds=1, first_byte_seconds=1, idle_seconds=1)
START = sse_event("message_start", b'{"type":"message_start","message":{"id":"i","model":"m","usage":{}},"new":[1]}')
STOP = sse_event("message_stop", b'{"type":"message_stop"}')
EVENTS = START + b": odd\r\n\r\n" + sse_event("new_kind", b'{ "type" : "new_kind", "\\u00e9": "\xc3\xa9" }') + STOP
OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nrequest-id: r\r\nconnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def backend(base_url: str, patience: Patience = QUICK) -> AsyncIterator[ClaudeApi]:
    """Make a backend with one key, and close it."""
    keys = (ClaudeApiKey(api_key="our-key", base_url=base_url),)
    one = ClaudeApi(Config(claude_api_key=keys, max_retry_interval=0.05), patience=patience)
    try:
        yield one
    finally:
        await one.close()


def original(body: bytes | dict[str, Any] | None = None, **fields: Any) -> Original:
    """Make a client's request."""
    asked = {"model": "sonnet", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    raw = body if isinstance(body, bytes) else json.dumps(asked | (body or {})).encode()
    usual: dict[str, Any] = {"dialect": "messages", "path": "/v1/messages", "query": "", "headers": {}, "stream": True}
    return Original(**{**usual, "body": raw, "model": MODEL, **fields})


async def relayed(one: ClaudeApi, asked: Original) -> tuple[list[bytes], Relayed]:
    """Hand a request on, and read the answer."""
    async with one.relay(asked) as answer:
        return [chunk async for chunk in answer.chunks], answer


async def test_a_request_arrives_byte_for_byte_but_for_the_model() -> None:
    """M01: unknown fields, odd spacing, betas and query included; credentials are ours."""
    seen: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK + EVENTS)

    body = b'{ "new_field": {"model": "x", "\\u00e9": 1e400},\n "model" : "sonnet","messages":[] , "stream":true}  '
    client = {
        "authorization": "Bearer client",
        "x-api-key": "client",
        "cookie": "c=d",
        "host": "here",
        "origin": "o",
        "content-length": "5",
        "accept-encoding": "gzip",
        "anthropic-beta": "a-2030,b",
        "anthropic-version": "2030-01-01",
        "anthropic-new": "1",
    }
    async with listening(upstream) as port, backend(f"http://127.0.0.1:{port}") as one:
        await relayed(one, original(body, headers=client, query="beta=true&x=%2F"))
    head, _, sent = seen[0].partition(b"\r\n\r\n")
    assert sent == body.replace(b'"sonnet"', f'"{MODEL}"'.encode())
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/messages?beta=true&x=%2F HTTP/1.1"
    got = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert got["anthropic-beta"] == "a-2030,b"
    assert got["anthropic-version"] == "2030-01-01"
    assert got["anthropic-new"] == "1"
    assert got["x-api-key"] == "our-key"
    assert got["accept-encoding"] == "identity"
    assert "client" not in head.decode()
    assert not {"cookie", "origin"} & got.keys()
    assert got["host"].startswith("127.0.0.1")


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
async def test_an_answers_bytes_come_back_unchanged_in_whole_events(size: int) -> None:
    """M01: however they are split on the way."""

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        for at in range(0, len(EVENTS), size):
            writer.write(EVENTS[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)

    async with listening(upstream) as port, backend(f"http://127.0.0.1:{port}") as one:
        chunks, answer = await relayed(one, original())
    assert b"".join(chunks) == EVENTS
    assert all(chunk.endswith((b"\n\n", b"\r\n\r\n")) for chunk in chunks)
    assert answer.content_type == "text/event-stream; charset=utf-8"
    assert answer.headers == {"x-upstream-request-id": "r"}
    assert answer.answered_by == "claude-api-key"


async def test_a_real_exchange_and_its_connection_used_again() -> None:
    """M01: streamed, in one piece, and counted."""
    async with Simulator() as simulator, backend(simulator.base_url) as one:
        for _ in range(3):
            chunks, _ = await relayed(one, original())
            assert chunks[-1].endswith(STOP)
        whole, answer = await relayed(one, original({"stream": False}, stream=False))
        assert json.loads(whole[0])["type"] == "message"
        assert answer.content_type == "application/json"
        asked = original({"stream": False, "max_tokens": None}, stream=False)
        body = json.dumps({"model": "x", "messages": [{"role": "user", "content": "hi"}]}).encode()
        asked = original(body, stream=False, path="/v1/messages/count_tokens")
        counted, _ = await relayed(one, asked)
        assert json.loads(counted[0])["input_tokens"] > 0
        (session,) = one._upstreams.sessions._sessions.values()
        assert session.connector is not None
        assert sum(map(len, session.connector._conns.values())) == 1
    assert {seen.body["model"] for seen in simulator.seen} == {MODEL}


async def test_each_event_goes_on_at_once() -> None:
    """A client sees a delta when it comes, not when the reply is whole."""
    go = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK + START)
        await go.wait()
        writer.write(STOP)

    async with (
        listening(upstream) as port,
        backend(f"http://127.0.0.1:{port}") as one,
        one.relay(original()) as answer,
    ):
        assert await anext(answer.chunks) == START
        go.set()
        assert await anext(answer.chunks) == STOP


async def test_a_400_is_the_upstreams_own_and_not_mended() -> None:
    """M01: what a client of this API sends is its own business."""
    async with Simulator() as simulator, backend(simulator.base_url) as one:
        with pytest.raises(BadRequest, match="temperature"):
            await relayed(one, original({"temperature": 0.1}))
    assert len(simulator.seen) == 1


async def test_what_fails_before_the_first_byte_is_tried_again() -> None:
    """K07: the client notices nothing."""
    async with Simulator() as simulator, backend(simulator.base_url) as one:
        simulator.queue.append(script.error(529, "overloaded_error", "busy"))
        chunks, answer = await relayed(one, original())
        assert chunks[-1].endswith(STOP)
        assert answer.error is None
        assert len(simulator.seen) == 2


async def test_an_error_event_at_the_beginning_is_a_status() -> None:
    """C35: nothing has been sent yet."""
    event = sse_event("error", b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}')
    async with listening(saying(OK + event)) as port, backend(f"http://127.0.0.1:{port}") as one:
        with pytest.raises(Overloaded, match="busy"):
            await relayed(one, original())


async def test_an_error_event_in_the_middle_goes_on_as_it_is() -> None:
    """M04: the client reads it, and that is the end."""
    event = sse_event("error", b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}')
    async with listening(saying(OK + START, event)) as port, backend(f"http://127.0.0.1:{port}") as one:
        chunks, answer = await relayed(one, original())
    assert b"".join(chunks) == START + event
    assert isinstance(answer.error, Overloaded)
    assert answer.error.message == "busy"


@pytest.mark.parametrize("rest", [b"", b"data: hal", b"<html>\n\n"])
async def test_a_stream_that_breaks_off_fails(rest: bytes) -> None:
    """M04: after what was whole of it."""
    async with listening(saying(OK + START, rest)) as port, backend(f"http://127.0.0.1:{port}") as one:
        with pytest.raises(UpstreamError):
            await relayed(one, original())


async def test_a_stream_that_goes_silent_is_a_timeout() -> None:
    """M04: within the deadline between two bytes."""
    async with Simulator() as simulator, backend(simulator.base_url, Patience(idle_seconds=0.2)) as one:
        simulator.queue.append(script.text("a b c", gap_seconds=30))
        with pytest.raises(UpstreamTimeout):
            await relayed(one, original())


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"type":"error","error":{"type":"api_error","message":"x"}}', b'{"error":5}', b""]
)
async def test_an_answer_in_one_piece_that_is_none_is_a_failure(body: bytes) -> None:
    """C35: never a 200 with nonsense."""
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    async with listening(saying(head + body)) as port, backend(f"http://127.0.0.1:{port}") as one:
        with pytest.raises(ProxyError) as caught:
            await relayed(one, original(stream=False))
    assert caught.value.status == 502


async def test_leaving_early_stops_it_upstream() -> None:
    """K08: the upstream's connection is closed with the client's."""
    async with Simulator() as simulator, backend(simulator.base_url) as one:
        simulator.queue.append(script.text("a b c", gap_seconds=30))
        async with one.relay(original()) as answer:
            await anext(answer.chunks)
        await relayed(one, original())
        assert simulator.seen[0].gone


async def test_only_what_the_api_has_is_handed_on() -> None:
    """A path is never a client's to choose."""
    async with backend("http://127.0.0.1:9") as one:
        with pytest.raises(NotFound):
            await relayed(one, original(path="/v1/files"))


async def test_payment_that_is_due_keeps_its_status_and_its_words() -> None:
    """K10: 402, as the upstream says it."""
    async with Simulator() as simulator, backend(simulator.base_url) as one:
        simulator.queue.append(script.error(402, "billing_error", "Your credit balance is too low."))
        with pytest.raises(BadRequest, match="credit balance") as caught:
            await relayed(one, original())
    assert caught.value.status == 402
