"""What a request may not be: too large, the wrong path, the wrong method; and what it needn't be: fast."""

from __future__ import annotations

import asyncio
import gzip
import io
import json

import pytest
from scripted_server import Running, ScriptedBackend, Serve

MB = 1 << 20


async def _answer(server: Running, request: bytes) -> tuple[int, bytes]:
    reader, writer = await server.connect()
    writer.write(request)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = next(
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    body = await asyncio.wait_for(reader.readexactly(length), 5)
    writer.close()
    return int(head.split()[1]), body


async def test_a_body_that_says_it_is_too_large_is_not_read(serve: Serve, backend: ScriptedBackend) -> None:
    """413 comes at once, before a byte of the body was sent."""
    server = await serve(body_limit_mb=1)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MB + 1}\r\n\r\n"
    status, body = await _answer(server, head.encode())
    assert status == 413
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    assert not backend.calls


async def test_a_client_that_waits_for_100_continue_is_refused_instead(serve: Serve) -> None:
    """A client that asks before it sends learns that it needn't."""
    server = await serve(body_limit_mb=1)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MB + 1}\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    assert (await _answer(server, head.encode()))[0] == 413


async def test_a_client_that_waits_for_100_continue_gets_it(serve: Serve) -> None:
    """A client that asks before it sends (curl, above 1 MB) is told to go on, and gets its answer."""
    server = await serve()
    body = json.dumps({"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}).encode()
    async with server.http.post(f"{server.url}/v1/chat/completions", data=body, expect100=True) as response:
        assert response.status == 200


async def test_a_body_without_length_is_cut_at_the_limit(serve: Serve) -> None:
    """A chunked body is counted as it comes."""
    server = await serve(body_limit_mb=1)
    chunk = b"%x\r\n" % MB + b" " * MB + b"\r\n"
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await _answer(server, head + 2 * chunk))[0] == 413


async def test_a_body_is_counted_after_decompression(serve: Serve) -> None:
    """A small body that grows is as large as what it grows to."""
    server = await serve(body_limit_mb=1)
    async with server.http.post(
        f"{server.url}/v1/chat/completions",
        data=gzip.compress(b" " * (64 * MB)),
        headers={"Content-Encoding": "gzip"},
    ) as response:
        assert response.status == 413


async def test_a_body_just_under_the_limit_is_taken(serve: Serve) -> None:
    """The limit is what it says."""
    server = await serve(body_limit_mb=1)
    body = json.dumps({"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}).encode().ljust(MB)
    async with server.http.post(f"{server.url}/v1/chat/completions", data=body) as response:
        assert response.status == 200


async def test_after_413_the_server_goes_on(serve: Serve) -> None:
    """A client that sends all of its too large body still reads the answer, and the next request works."""
    server = await serve(body_limit_mb=1)
    body = io.BytesIO(b" " * 3 * MB)
    async with server.http.post(f"{server.url}/v1/chat/completions", data=body) as response:
        assert response.status == 413
        assert "body-limit-mb" in (await response.json())["error"]["message"]
    async with server.chat() as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/nope", "/v1", "/v1/chat/completion", "/chat/completions", "/v1/models/", "//v1"])
async def test_an_unknown_path_is_404_in_openai_s_shape(serve: Serve, path: str) -> None:
    """Whatever isn't there is said in JSON."""
    server = await serve()
    async with server.http.get(server.url + path) as response:
        body = await response.json()
    assert response.status == 404
    assert body["error"]["type"] == "invalid_request_error"
    assert response.headers["request-id"]


async def test_a_path_that_is_nearly_right_is_put_right(serve: Serve) -> None:
    """A base URL without /v1 is the usual mistake."""
    server = await serve()
    async with server.http.post(f"{server.url}/chat/completions", json={}) as response:
        assert "/v1/chat/completions" in (await response.json())["error"]["message"]


async def test_an_unknown_path_of_messages_is_404_in_anthropic_s_shape(serve: Serve) -> None:
    """A client of the other API gets the other shape."""
    server = await serve()
    async with server.http.post(f"{server.url}/v1/messages/nope", json={}) as response:
        body = await response.json()
    assert response.status == 404
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"
    assert body["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET,HEAD"),
        ("DELETE", "/health", "GET,HEAD"),
    ],
)
async def test_a_wrong_method_is_405(serve: Serve, method: str, path: str, allow: str) -> None:
    """What may be done instead is in Allow."""
    server = await serve()
    async with server.http.request(method, server.url + path) as response:
        assert response.status == 405
        assert sorted(response.headers["Allow"].replace(" ", "").split(",")) == allow.split(",")
        assert method == "HEAD" or "error" in await response.json()


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
async def test_head_is_get_without_a_body(serve: Serve, path: str) -> None:
    """Monitors ask with HEAD."""
    server = await serve()
    async with server.http.head(server.url + path) as response:
        assert response.status == 200
        assert await response.read() == b""


async def test_a_request_that_is_no_http_does_no_harm(serve: Serve) -> None:
    """Noise on the port is refused, and the server goes on."""
    server = await serve()
    reader, writer = await server.connect()
    writer.write(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
    assert b"400" in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    async with server.chat() as response:
        assert response.status == 200
