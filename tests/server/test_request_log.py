"""``request-log``: whole bodies in the log, where that is asked for."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from scripted_server import NativeBackend, ScriptedBackend, Serve, reply

from claude_proxy.server import bodies
from claude_proxy.server.exchange import Excerpt
from claude_proxy.server.logs import masked

KEY = "sk-ant-api03-abcdefghijk"


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Catch what is logged."""
    caplog.set_level(logging.INFO, "claude_proxy")
    return caplog


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the bodies that were logged."""
    return [record.getMessage() for record in caplog.records if record.name == "claude_proxy.bodies"]


async def test_nothing_of_a_body_is_logged_unless_asked_for(serve: Serve, logged: pytest.LogCaptureFixture) -> None:
    """Conversations are nobody's business."""
    server = await serve()
    for stream in (False, True):
        async with server.chat(stream=stream) as response:
            assert response.status == 200
            await response.read()
    await server.end()
    assert lines(logged) == []
    assert "Hello" not in logged.text


async def test_both_bodies_of_a_whole_answer(serve: Serve, logged: pytest.LogCaptureFixture) -> None:
    """One record each, with the path; keys in them are masked."""
    server = await serve(request_log=True)
    async with server.chat(user=f"key {KEY}", headers={"Authorization": f"Bearer {KEY}"}) as response:
        await response.read()
    await server.end()
    request, answer = lines(logged)
    assert request.startswith('request body of POST /v1/chat/completions: {"model": "sonnet"')
    assert answer.startswith('response body of POST /v1/chat/completions: {"id":')
    assert "Hello world" in answer
    assert "sk-***" in request
    assert KEY not in logged.text


async def test_a_streamed_answer_is_logged_as_it_was_sent(serve: Serve, logged: pytest.LogCaptureFixture) -> None:
    """Translated or handed on: the bytes, in one record at the end."""
    native = NativeBackend(speaks="chat", chunks=(b"data: 1\n\n", b"data: 2\n\n"))
    server = await serve(native, request_log=True)
    async with server.chat(stream=True) as response:
        await response.read()
    await server.end()
    assert lines(logged)[1] == "response body of POST /v1/chat/completions: data: 1\n\ndata: 2\n\n"


async def test_an_error_is_logged_with_what_caused_it(serve: Serve, logged: pytest.LogCaptureFixture) -> None:
    """That is what the log is for."""
    server = await serve(request_log=True)
    async with server.http.post(f"{server.url}/v1/messages", data=b'{"model": "no') as response:
        assert response.status == 400
    await server.end()
    request, answer = lines(logged)
    assert request.endswith(': {"model": "no')
    assert "invalid_request_error" in answer


async def test_an_answer_to_no_body_is_logged_alone(serve: Serve, logged: pytest.LogCaptureFixture) -> None:
    """A list of models was asked for with nothing but a path."""
    server = await serve(request_log=True)
    async with server.http.get(f"{server.url}/v1/models") as response:
        assert response.status == 200
    await server.end()
    (answer,) = lines(logged)
    assert answer.startswith('response body of GET /v1/models: {"object":"list"')


async def test_what_was_sent_before_the_client_left_is_logged(
    serve: Serve, backend: ScriptedBackend, logged: pytest.LogCaptureFixture
) -> None:
    """Also without an end."""
    backend.script = [*reply("Hello")[:3], asyncio.Event()]
    server = await serve(request_log=True)
    async with server.chat(stream=True) as response:
        await response.content.readuntil(b"Hello")
        response.close()
    await asyncio.wait_for(backend.left.wait(), 5)
    await server.end()
    assert "Hello" in lines(logged)[1]


async def test_a_large_body_is_cut(
    serve: Serve, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images and long histories don't fill the disk."""
    monkeypatch.setattr(bodies, "MOST_BYTES", 20)
    server = await serve(request_log=True)
    async with server.chat(user="x" * 1000) as response:
        await response.read()
    await server.end()
    sent = len(json.dumps({"model": "sonnet", "messages": [{"role": "user", "content": "hi"}], "user": "x" * 1000}))
    assert lines(logged)[0].endswith(f' {{"model": "sonnet",  … and {sent - 20} bytes more')


def test_an_excerpt_keeps_its_limit() -> None:
    """However it comes."""
    excerpt = Excerpt(5)
    for part in (b"abc", b"defg", b"h"):
        excerpt.add(part)
    assert (bytes(excerpt.kept), excerpt.total) == (b"abcde", 8)


@pytest.mark.parametrize(
    "text",
    [
        r'{"arguments": "{\"authorization\": \"Basic c2VjcmV0\"}"}',
        "authorization: Basic c2VjcmV0",
        r"{\\\"x-api-key\\\": \\\"c2VjcmV0\\\"}",
        "Bearer c2VjcmV0",
    ],
)
def test_secrets_inside_of_strings_are_masked(text: str) -> None:
    """Tool arguments are JSON in JSON."""
    assert "c2VjcmV0" not in masked(text)
