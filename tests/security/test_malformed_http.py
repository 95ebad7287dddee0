"""Requests that two readers could read differently: each is refused, and nothing of it is answered."""

from __future__ import annotations

import asyncio

import pytest
from scripted_server import ScriptedBackend, Serve

QUESTION = b'{"model":"sonnet","messages":[{"role":"user","content":"hi"}]}'
LENGTH = b"Content-Length: %d\r\n" % len(QUESTION)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(QUESTION), QUESTION)
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
SECOND = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"

AMBIGUOUS = {
    "length and chunks": POST + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "two equal lengths": POST + LENGTH + LENGTH + b"\r\n" + QUESTION,
    "two lengths": POST + b"Content-Length: 5\r\n" + LENGTH + b"\r\n" + QUESTION,
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\n" + QUESTION,
    "a signed length": POST + b"Content-Length: +62\r\n\r\n" + QUESTION,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + QUESTION,
    "a hexadecimal length": POST + b"Content-Length: 0x3e\r\n\r\n" + QUESTION,
    "a length of Python's": POST + b"Content-Length: 6_2\r\n\r\n" + QUESTION,
    "a length too large to be one": POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + QUESTION,
    "another encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "chunks that aren't last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "chunks twice": POST + CHUNKED + CHUNKED + b"\r\n" + CHUNKS,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKS,
    "a header over two lines": POST + b"X-A: b\r\n c\r\n" + LENGTH + b"\r\n" + QUESTION,
    "line ends without a return": (POST + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + QUESTION,
    "a lone return": POST + b"X-A: b\rTransfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + QUESTION,
    "a nought in a header": POST + b"X-A: b\0c\r\n" + LENGTH + b"\r\n" + QUESTION,
    "a space in a header's name": POST + b"X A: b\r\n" + LENGTH + b"\r\n" + QUESTION,
    "no colon": POST + b"X-A\r\n" + LENGTH + b"\r\n" + QUESTION,
    "chunks with bare line ends": POST + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n", b"\n"),
    "a chunk that overflows": POST + CHUNKED + b"\r\nffffffffffffffffff\r\n" + QUESTION,
    "a chunk without a number": POST + CHUNKED + b"\r\nzz\r\n" + QUESTION,
    "a chunk that is longer than it says": POST + CHUNKED + b"\r\n5\r\n" + QUESTION + b"\r\n0\r\n\r\n",
    "trailers without end": POST + CHUNKED + b"\r\n" + CHUNKS[:-2] + b"X-T: 1\r\n" * 5000 + b"\r\n",
    "no host": POST.replace(b"Host: localhost\r\n", b"") + LENGTH + b"\r\n" + QUESTION,
    "two hosts": POST + b"Host: localhost\r\n" + LENGTH + b"\r\n" + QUESTION,
    "another version": POST.replace(b"HTTP/1.1", b"HTTP/3.0") + LENGTH + b"\r\n" + QUESTION,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a path that isn't ASCII": "GET /é\u2028 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "a port that is none": b"GET http://localhost:99999/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address that is none": b"GET http://[::1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method that is none": b"STEAL /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_an_ambiguous_request_is_refused_whole(
    serve: Serve, backend: ScriptedBackend, request_bytes: bytes
) -> None:
    """Request smuggling: 400, the connection is closed, and what follows on it is never read as a request."""
    server = await serve()
    reader, writer = await server.connect()
    writer.write(request_bytes + SECOND)
    answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.0 400")
    assert answer.count(b"HTTP/1.") == 1
    assert b"application/json" in answer
    assert not backend.calls


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://localhost/health", b"evil.example", 403),
        (b"/health", b"localhost@evil.example", 403),
        (b"/health", b"evil.example#localhost", 403),
        (b"/health", b"local host", 403),
        (b"/health", b"\xff\xfe", 403),
        (b"/v1/models/%0d%0aX-Evil:%201", b"localhost", 404),
        (b"/%zz%0a%ff", b"localhost", 404),
        (b"//evil.example/health", b"localhost", 404),
        (b"/health/../v1/models/none", b"localhost", 404),
    ],
)
async def test_an_odd_target_or_host_is_refused_in_json(serve: Serve, target: bytes, host: bytes, status: int) -> None:
    """Whatever stands there, it ends in an answer of ours, with no header of the client's own."""
    server = await serve()
    reader, writer = await server.connect()
    writer.write(b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (target, host))
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert b"X-Evil" not in head
    assert body.startswith(b'{"error":')


async def test_a_client_that_offers_another_protocol_is_answered_in_this_one(
    serve: Serve, backend: ScriptedBackend
) -> None:
    """Some HTTP libraries offer HTTP/2 with their first request: it is answered, and the connection goes on."""
    server = await serve()
    reader, writer = await server.connect()
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"
    writer.write(POST + offer + LENGTH + b"\r\n" + QUESTION)
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200")
    assert len(backend.calls) == 1
