"""The Messages endpoint as clients of that API see it, translated and passed through."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from scripted_server import MODELS, NativeBackend, Running, ScriptedBackend, Serve, reply

from claude_proxy.config.schema import Streaming
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.errors import BadRequest, Overloaded, RateLimited, UpstreamError

OFTEN = Streaming(keepalive_seconds=0.05)
COUNT = "/v1/messages/count_tokens"
HI = [{"role": "user", "content": "hi"}]


def counted(server: Running, query: str = "", **fields: Any) -> aiohttp.client._RequestContextManager:
    """Ask for a request's tokens; there is no ``max_tokens`` in it."""
    return server.http.post(f"{server.url}{COUNT}{query}", json={"model": "sonnet", "messages": HI, **fields})


async def test_a_whole_message(serve: Serve, backend: ScriptedBackend) -> None:
    """Translated for a backend that doesn't speak Messages itself; the model is the exact one."""
    server = await serve()
    async with server.message() as response:
        body = await response.json()
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", "claude-sonnet-5-5")
    assert body["content"] == [{"type": "text", "text": "Hello world"}]
    assert (backend.calls[0].request.model, backend.calls[0].request.max_tokens) == ("claude-sonnet-5-5", 9)


async def test_m11_a_streamed_message(serve: Serve) -> None:
    """M11: named events, from the message's start to its stop, and nothing of the other API's after it."""
    server = await serve()
    async with server.message(stream=True) as response:
        text = await response.text()
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert names[0] == "message_start"
    assert names[-1] == "message_stop"
    assert "[DONE]" not in text


async def test_m04_pings_while_the_model_is_silent(serve: Serve, backend: ScriptedBackend) -> None:
    """M04: before the first event, too."""
    gate = asyncio.Event()
    backend.entry = [gate]
    server = await serve(streaming=OFTEN)
    async with server.message(stream=True) as response:
        assert await response.content.readexactly(2 * len(MESSAGES.keepalive)) == 2 * MESSAGES.keepalive
        gate.set()
        assert "message_stop" in await response.text()


async def test_m04_a_failure_in_mid_stream_is_an_error_event(serve: Serve, backend: ScriptedBackend) -> None:
    """M04: it comes last."""
    backend.script = [*reply("Hello")[:3], Overloaded("too much")]
    server = await serve()
    async with server.message(stream=True) as response:
        *_, last, end = (await response.text()).split("\n\n")
    assert end == ""
    assert last.startswith("event: error\ndata: ")
    error = json.loads(last.partition("data: ")[2])
    assert error["error"] == {"type": "overloaded_error", "message": "too much"}


async def test_m04_a_broken_relay_is_an_error_event(serve: Serve) -> None:
    """M04: the upstream's own bytes, then ours."""
    native = NativeBackend(chunks=(b'event: ping\ndata: {"type":"ping"}\n\n', UpstreamError("it broke")))
    server = await serve(native)
    async with server.message(stream=True) as response:
        first, last, _ = (await response.text()).split("\n\n")
    assert first == 'event: ping\ndata: {"type":"ping"}'
    assert json.loads(last.removeprefix("event: error\ndata: "))["error"]["message"] == "it broke"


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_m04_a_failure_has_the_api_s_shape(serve: Serve, *, native: bool, stream: bool) -> None:
    """M04: type, message and ``request_id``, which is the header's; and what a client's program reads."""
    error = RateLimited("slow down", retry_after=3, details={"error_code": "x"})
    kind = NativeBackend if native else ScriptedBackend
    server = await serve(kind(entry=[error]))
    async with server.message(stream=stream) as response:
        body = await response.json()
        assert (response.status, response.headers["retry-after"]) == (429, "3")
    assert body["type"] == "error"
    assert body["error"]["type"] == "rate_limit_error"
    assert body["error"]["message"] == "slow down"
    assert body["error"]["details"] == {"error_code": "x"}
    assert body["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 400, "invalid_request_error"),
        (b"[]", 400, "invalid_request_error"),
        (b'{"model": 5}', 400, "invalid_request_error"),
        (b'{"model": "sonnet", "messages": []}', 400, "invalid_request_error"),
        (b'{"model": "sonet", "messages": []}', 404, "not_found_error"),
    ],
)
async def test_a_request_that_can_not_be_read(serve: Serve, body: bytes, status: int, kind: str) -> None:
    """In the API's shape from the first glance on."""
    server = await serve()
    async with server.http.post(f"{server.url}/v1/messages", data=body) as response:
        assert response.status == status
        assert (await response.json())["error"]["type"] == kind


@pytest.mark.parametrize("headers", [{"x-api-key": "k"}, {"Authorization": "Bearer k"}])
@pytest.mark.parametrize("version", ["2023-06-01", "2099-01-01", None])
async def test_m07_both_ways_to_send_the_key_and_any_version(
    serve: Serve, headers: dict[str, str], version: str | None
) -> None:
    """M07: what clients send differs."""
    server = await serve(api_keys=("k",))
    async with server.message(headers={**headers, **({"anthropic-version": version} if version else {})}) as response:
        assert response.status == 200


async def test_m09_what_claude_code_sends(serve: Serve, backend: ScriptedBackend) -> None:
    """M09: a beta query and many beta headers, several system blocks and a system message in the middle of others."""
    server = await serve()
    body: dict[str, Any] = {
        "system": [{"type": "text", "text": text} for text in ("a", "b", "c")],
        "messages": [*HI, {"role": "system", "content": "mind"}, {"role": "user", "content": "now"}],
        "tools": [{"name": "t", "input_schema": {"type": "object"}, "defer_loading": True}],
        "context_management": {"edits": []},
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "low"},
        "metadata": {"user_id": '{"device_id":"d"}'},
        "max_tokens": 32000,
        "stream": True,
    }
    headers = {"anthropic-beta": "a-1,b-2", "x-app": "cli", "anthropic-version": "2023-06-01"}
    async with server.message(query="?beta=true", headers=headers, **body) as response:
        assert response.status == 200
        assert "message_stop" in await response.text()
    request = backend.calls[0].request
    assert [block.text for block in request.system][:3] == ["a", "b", "c"]
    assert request.reasoning.effort == "low"


@pytest.mark.parametrize("path", ["/", "/api/hello"])
async def test_m09_somebody_is_there(serve: Serve, path: str) -> None:
    """M09: a HEAD needs no key; what is said to a GET is for those who have one."""
    server = await serve(api_keys=("k",))
    async with server.http.head(server.url + path) as response:
        assert response.status == 200
    async with server.http.get(server.url + path) as response:
        assert response.status == 401
    async with server.http.get(server.url + path, headers={"x-api-key": "k"}) as response:
        assert (await response.json())["name"] == "claude-proxy"
    async with server.http.head(f"{server.url}/v1/models") as response:
        assert response.status == 401


async def test_losses_are_told_and_strict_refuses_them(serve: Serve, backend: ScriptedBackend) -> None:
    """As in the other dialects: the request's own, and the backend's in its words."""
    backend.losses = ["user_id"]
    server = await serve()
    async with server.message(made_up=1) as response:
        assert response.headers["x-claude-proxy-lost"] == "made_up, metadata.user_id"
    strict = await serve(strict=True)
    async with strict.message(made_up=1) as response:
        assert response.status == 400
        assert "made_up" in (await response.json())["error"]["message"]


async def test_no_model_means_the_default_and_aliases_hold(serve: Serve) -> None:
    """L02: ``default-model`` and ``model-aliases`` are for every dialect."""
    native = NativeBackend(offered=[*MODELS, *(replace(model, prefix="console") for model in MODELS)])
    server = await serve(native, default_model="opus", model_aliases={"gpt-4o": "console/sonnet"})
    for name in ("", "gpt-4o"):
        async with server.message(model=name) as response:
            assert response.status == 200
    assert [(one.model, one.prefix) for one in native.originals] == [
        ("claude-opus-5-5", ""),
        ("claude-sonnet-5-5", "console"),
    ]


# -- counting ---------------------------------------------------------------------------------------------------------


async def test_m05_tokens_are_counted_by_the_backend(serve: Serve, backend: ScriptedBackend) -> None:
    """M05: a request without ``max_tokens`` is counted, and none is started."""
    server = await serve()
    async with counted(server, "?beta=true", system="s") as response:
        assert (response.status, await response.json()) == (200, {"input_tokens": 42})
        assert response.headers["x-claude-proxy-backend"] == "scripted"
    assert backend.calls[0].request.model == "claude-sonnet-5-5"
    assert not backend.left.is_set()


async def test_m05_a_native_backend_counts_as_it_does(serve: Serve) -> None:
    """M05: the request goes along as it came."""
    native = NativeBackend(chunks=(b'{"input_tokens": 7, "more": 1}',))
    server = await serve(native)
    async with counted(server, "?beta=true", stream=True) as response:
        assert await response.json() == {"input_tokens": 7, "more": 1}
    (original,) = native.originals
    assert (original.path, original.query, original.stream) == (COUNT, "beta=true", False)


async def test_m05_what_can_not_be_counted_is_an_error(serve: Serve, backend: ScriptedBackend) -> None:
    """M05: never a made-up number."""
    backend.tokens = BadRequest("no way to count", param="user_id")
    server = await serve()
    async with counted(server) as response:
        assert response.status == 400
        assert (await response.json())["error"]["message"] == "no way to count"
