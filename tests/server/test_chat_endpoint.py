"""POST /v1/chat/completions over a real socket: whole and streamed answers, their headers, and their failures."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from scripted_server import ScriptedBackend, Serve, Step, reply

from claude_proxy.backends.base import Model
from claude_proxy.canon.events import Ping, TextDelta
from claude_proxy.config.schema import Streaming
from claude_proxy.errors import (
    BadRequest,
    NotSignedIn,
    Overloaded,
    RateLimited,
    UpstreamError,
)


def data_of(text: str) -> list[str]:
    """Give the data lines of an SSE stream."""
    return [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]


async def test_a_whole_answer(serve: Serve, backend: ScriptedBackend) -> None:
    """The events of a turn come back as one JSON document."""
    server = await serve()
    async with server.chat() as response:
        body = await response.json()
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("application/json")
    assert body["choices"][0]["message"]["content"] == "Hello world"
    assert backend.calls[0].request.model == "claude-sonnet-5-5"
    assert backend.left.is_set()


async def test_a_streamed_answer(serve: Serve) -> None:
    """The same events come back as SSE, with headers that no proxy in between buffers."""
    server = await serve()
    async with server.chat(stream=True) as response:
        text = await response.text()
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["X-Accel-Buffering"] == "no"
    chunks = data_of(text)
    assert chunks[-1] == "[DONE]"
    deltas = [json.loads(chunk)["choices"][0]["delta"].get("content") for chunk in chunks[:-1]]
    assert "".join(delta for delta in deltas if delta) == "Hello world"


async def test_each_delta_is_sent_when_it_comes(serve: Serve, backend: ScriptedBackend) -> None:
    """Nothing is gathered: a delta is at the client while the model still thinks about the next one."""
    gate = asyncio.Event()
    start, opened, first, *rest = reply("one", "two")
    backend.script = [start, opened, first, gate, *rest]
    server = await serve()
    async with server.chat(stream=True) as response:
        seen = b""
        while b'"one"' not in seen:
            seen += await asyncio.wait_for(response.content.readany(), 5)
        assert b'"two"' not in seen
        gate.set()
        assert b'"two"' in await response.content.read()


@pytest.mark.parametrize("stream", [False, True])
async def test_c36_a_huge_delta_arrives_whole(serve: Serve, backend: ScriptedBackend, *, stream: bool) -> None:
    """C36: a delta of megabytes, with every kind of character in it, is the same at the client."""
    text = "a\r\n\0é👍" * 300_000
    backend.script = reply(text)
    server = await serve()
    async with server.chat(stream=stream) as response:
        if stream:
            chunks = [json.loads(chunk) for chunk in data_of(await response.text())[:-1]]
            received = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
        else:
            received = (await response.json())["choices"][0]["message"]["content"]
    assert received == text


async def test_headers_tell_what_became_of_a_request(serve: Serve, backend: ScriptedBackend) -> None:
    """Ids, backend, timings, losses in the client's words and the upstream's rate limits are in the headers."""
    backend.losses = ["stop_sequences"]
    backend.timings = {"queue": 0.001, "claim": 0.002, "first_byte": 0.1}
    backend.headers = {"anthropic-ratelimit-unified-status": "allowed"}
    server = await serve(demo=True)
    async with server.chat(seed=1) as response:
        headers = response.headers
    assert re.fullmatch(r"req_[0-9a-f]{32}", headers["request-id"])
    assert headers["x-request-id"] == headers["request-id"]
    assert headers["x-claude-proxy-backend"] == "scripted"
    assert headers["x-claude-proxy-lost"] == "seed, stop"
    assert headers["x-claude-proxy-demo"] == "1"
    assert headers["anthropic-ratelimit-unified-status"] == "allowed"
    assert re.fullmatch(
        r"queue;dur=1\.0, claim;dur=2\.0, first_byte;dur=100\.0, total;dur=[0-9.]+", headers["server-timing"]
    )


async def test_a_stream_has_the_same_headers_but_no_total(serve: Serve, backend: ScriptedBackend) -> None:
    """What is known at the first event is told; the total isn't."""
    backend.losses, backend.timings = ["seed"], {"queue": 0.001}
    server = await serve()
    async with server.chat(stream=True) as response:
        assert response.headers["x-claude-proxy-lost"] == "seed"
        assert response.headers["server-timing"] == "queue;dur=1.0"
        assert "x-claude-proxy-demo" not in response.headers


async def test_strict_refuses_a_loss_before_the_backend_is_asked(serve: Serve, backend: ScriptedBackend) -> None:
    """With ``strict`` a field that the dialect can't honour is a 400 that names it."""
    server = await serve(strict=True)
    async with server.chat(seed=1) as response:
        body = await response.json()
    assert response.status == 400
    assert "seed" in body["error"]["message"]
    assert body["error"]["param"] == "seed"
    assert not backend.calls


async def test_strict_is_handed_to_the_backend(serve: Serve, backend: ScriptedBackend) -> None:
    """A backend refuses its own losses, and its field is named in the client's words."""
    backend.entry = [BadRequest("no stop sequences here", param="stop_sequences")]
    server = await serve(strict=True)
    async with server.chat() as response:
        body = await response.json()
    assert backend.calls[0].strict
    assert (response.status, body["error"]["param"]) == (400, "stop")


async def test_the_client_s_key_reaches_the_backend_as_a_digest(serve: Serve, backend: ScriptedBackend) -> None:
    """Backends tell clients apart without ever holding a key."""
    server = await serve(api_keys=("first", "second"))
    for key in ("first", "second", "first"):
        async with server.chat(headers={"Authorization": f"Bearer {key}"}) as response:
            assert response.status == 200
    one, two, three = (call.client for call in backend.calls)
    assert one == three != two
    assert "first" not in one


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (NotSignedIn("run claude-proxy login"), 401),
        (RateLimited("the plan's limit is reached", retry_after=7.2), 429),
        (Overloaded("try later"), 529),
        (UpstreamError("nonsense"), 502),
        (ValueError("a secret inside"), 500),
    ],
)
@pytest.mark.parametrize("where", ["entry", "script"])
async def test_c35_a_failure_before_the_first_event_is_a_status(
    serve: Serve, backend: ScriptedBackend, failure: Exception, status: int, where: str, *, stream: bool
) -> None:
    """C35: streamed or not, a failure that comes first is an HTTP error in OpenAI's shape."""
    setattr(backend, where, [failure])
    server = await serve()
    async with server.chat(stream=stream) as response:
        body = await response.json()
    assert response.status == status
    assert response.headers["request-id"].startswith("req_")
    assert set(body) == {"error"}
    assert "secret" not in body["error"]["message"]
    assert backend.left.is_set()


async def test_k10_a_rate_limit_says_when_to_come_back(serve: Serve, backend: ScriptedBackend) -> None:
    """K10: retry-after is in whole seconds, rounded up, and the turn's rate limit headers are handed on."""
    backend.headers = {"x-ratelimit-remaining": "0"}
    backend.script = [RateLimited("limit", retry_after=7.2)]
    server = await serve()
    async with server.chat() as response:
        assert response.headers["retry-after"] == "8"
        assert response.headers["x-ratelimit-remaining"] == "0"
        assert "x-should-retry" not in response.headers


async def test_a_limit_of_hours_is_not_worth_a_retry(serve: Serve, backend: ScriptedBackend) -> None:
    """SDKs back off for seconds: they are told not to bother."""
    backend.script = [RateLimited("limit", retry_after=3600)]
    server = await serve()
    async with server.chat() as response:
        assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("failure", [UpstreamError("the upstream broke off"), KeyError("a secret inside")])
async def test_c35_a_failure_in_mid_stream_is_an_error_event(
    serve: Serve, backend: ScriptedBackend, failure: Exception
) -> None:
    """C35: after the first byte the dialect's error event comes, then the end, and no [DONE] as if all were well."""
    backend.script = [*reply("Hello")[:3], failure]
    server = await serve()
    async with server.chat(stream=True) as response:
        text = await response.text()
    assert response.status == 200
    last = json.loads(data_of(text)[-1]) if data_of(text)[-1] != "[DONE]" else {}
    assert last["error"]["message"]
    assert "secret" not in text


BROKEN: dict[str, Sequence[Step]] = {
    "empty": [],
    "ends early": reply("x")[:4],
    "starts twice": [reply()[0], reply()[0]],
    "delta outside": [reply()[0], TextDelta(index=0, text="x")],
}


@pytest.mark.parametrize("name", BROKEN)
async def test_c35_an_illegal_sequence_is_never_an_answer(serve: Serve, backend: ScriptedBackend, name: str) -> None:
    """C35: whatever the backend sends, only a whole legal reply is a 200."""
    backend.script = BROKEN[name]
    server = await serve()
    async with server.chat() as response:
        body = await response.json()
    assert response.status == 502
    assert body["error"]["message"]


async def test_c35_a_stream_that_ends_early_ends_with_an_error(serve: Serve, backend: ScriptedBackend) -> None:
    """C35: a backend that just stops is a failure, told in the stream."""
    backend.script = reply("x")[:4]
    server = await serve()
    async with server.chat(stream=True) as response:
        assert '"error"' in await response.text()


async def test_the_answer_of_the_model_is_stopped_after_a_failure(serve: Serve, backend: ScriptedBackend) -> None:
    """An event out of order ends the turn at once: its generator is closed and its context left."""
    backend.script = [reply()[0], TextDelta(index=0, text="x"), asyncio.Event()]
    server = await serve()
    async with server.chat(stream=True) as response:
        await response.text()
    assert backend.events_closed.is_set()
    assert backend.left.is_set()


BAD_BODIES = {
    "empty": b"",
    "no json": b"{nope",
    "a list": b"[]",
    "null": b"null",
    "a number": b"1",
    "bad utf-8": b'{"model": "\xff"}',
    "deep": b'{"messages":' + b"[" * 100_000,
    "wrong types": b'{"model": 1, "messages": "x"}',
    "no messages": b'{"model": "sonnet"}',
    "form": b"model=sonnet",
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_400(serve: Serve, name: str) -> None:
    """No body makes a 500."""
    server = await serve()
    async with server.http.post(f"{server.url}/v1/chat/completions", data=BAD_BODIES[name]) as response:
        body = await response.json()
    assert response.status == 400
    assert body["error"]["type"] == "invalid_request_error"


async def test_a_body_of_any_content_type_is_read(serve: Serve) -> None:
    """Clients that forget the content type are understood."""
    server = await serve()
    body = json.dumps({"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}).encode()
    for content_type in ("application/json", "text/plain", "application/octet-stream"):
        async with server.http.post(
            f"{server.url}/v1/chat/completions", data=body, headers={"Content-Type": content_type}
        ) as response:
            assert response.status == 200


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_body_is_read(serve: Serve, encoding: str, compress: object) -> None:
    """Bodies may be compressed."""
    assert callable(compress)
    server = await serve()
    body = compress(json.dumps({"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}).encode())
    async with server.http.post(
        f"{server.url}/v1/chat/completions", data=body, headers={"Content-Encoding": encoding}
    ) as response:
        assert response.status == 200


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 400), ("deflate", 400), ("rot13", 415), ("GZIP, br", 415)])
async def test_a_broken_or_unknown_encoding_is_refused(serve: Serve, encoding: str, status: int) -> None:
    """What can't be decompressed is the client's failure, not ours."""
    server = await serve()
    async with server.http.post(
        f"{server.url}/v1/chat/completions", data=b"no such thing", headers={"Content-Encoding": encoding}
    ) as response:
        assert response.status == status
        assert "error" in await response.json()


async def test_a_timeout_that_nobody_mapped_is_no_shutdown(serve: Serve, backend: ScriptedBackend) -> None:
    """A backend's bare ``TimeoutError`` is a failure like any other."""
    backend.script = [TimeoutError()]
    server = await serve()
    async with server.chat() as response:
        assert response.status == 500


async def test_l01_an_unknown_model_is_404_with_suggestions(serve: Serve, backend: ScriptedBackend) -> None:
    """L01: never another model in silence."""
    server = await serve()
    async with server.chat(model="sonet") as response:
        body = await response.json()
    assert response.status == 404
    assert body["error"]["code"] == "model_not_found"
    assert "sonnet" in body["error"]["message"]
    assert not backend.calls


async def test_a_missing_model_is_the_default_one(serve: Serve, backend: ScriptedBackend) -> None:
    """``default-model`` answers requests that name none."""
    server = await serve(default_model="opus")
    async with server.chat(model="") as response:
        assert response.status == 200
    assert backend.calls[0].request.model == "claude-opus-5-5"


async def test_an_alias_of_the_config_is_followed(serve: Serve, backend: ScriptedBackend) -> None:
    """``model-aliases`` lets tools with a fixed model name work."""
    server = await serve(model_aliases={"gpt-4o": "opus"})
    async with server.chat(model="gpt-4o") as response:
        assert response.status == 200
    assert backend.calls[0].request.model == "claude-opus-5-5"


async def test_the_backend_that_has_the_model_gets_the_request(serve: Serve, backend: ScriptedBackend) -> None:
    """With several backends the name decides."""
    other = ScriptedBackend(name="other", offered=[Model("claude-fable-5-2", "Fable")])
    server = await serve(backend, other)
    async with server.chat(model="fable") as response:
        assert response.headers["x-claude-proxy-backend"] == "other"
    assert other.calls
    assert not backend.calls


async def test_a_backend_that_can_not_list_its_models_does_not_stop_the_others(serve: Serve) -> None:
    """A model that another backend has is served; one that nobody else has gets the true reason, not a 404."""
    down = ScriptedBackend(name="down", offered=NotSignedIn("run claude-proxy login"))
    up = ScriptedBackend(name="up", offered=[Model("claude-fable-5-2", "Fable")])
    server = await serve(down, up)
    async with server.chat(model="fable") as response:
        assert response.status == 200
    async with server.chat(model="sonnet") as response:
        assert response.status == 401
        assert "claude-proxy login" in (await response.json())["error"]["message"]


async def test_too_many_requests_at_once_are_429(serve: Serve, backend: ScriptedBackend) -> None:
    """Above ``max-concurrent-requests`` nothing queues, and a place that is left can be taken again."""
    gate = asyncio.Event()
    backend.entry = [gate]
    server = await serve(max_concurrent_requests=1)
    first = asyncio.ensure_future(server.chat())
    await asyncio.wait_for(backend.entered.wait(), 5)
    async with server.chat() as response:
        assert response.status == 429
        assert response.headers["retry-after"] == "1"
    gate.set()
    async with await first as response:
        assert response.status == 200
        await response.read()
    async with server.chat() as response:
        assert response.status == 200


async def test_a_hundred_streams_at_once(serve: Serve, backend: ScriptedBackend) -> None:
    """All of a hundred parallel streams get their own whole answer."""
    gate = asyncio.Event()
    start, *rest = reply(*"abcdefgh")
    backend.script = [start, gate, *rest]
    server = await serve(max_concurrent_requests=100)

    async def one() -> tuple[str, list[str]]:
        async with server.chat(stream=True) as response:
            return response.headers["request-id"], data_of(await response.text())

    tasks = [asyncio.create_task(one()) for _ in range(100)]
    await asyncio.wait_for(backend.reached(100), 10)
    gate.set()
    answers = await asyncio.wait_for(asyncio.gather(*tasks), 20)
    assert len({request_id for request_id, _ in answers}) == 100
    for _, chunks in answers:
        assert chunks[-1] == "[DONE]"
        deltas = [json.loads(chunk)["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-1]]
        assert "".join(deltas) == "abcdefgh"


async def test_a_field_name_that_is_no_header_is_still_answered(serve: Serve) -> None:
    """Unknown fields may have any name: it is encoded in the header that names them as lost."""
    server = await serve()
    fields: dict[str, Any] = {"odd\r\nname, é": 1}
    async with server.chat(**fields) as response:
        assert response.status == 200
        assert response.headers["x-claude-proxy-lost"] == "odd%0D%0Aname%2C %C3%A9"


async def test_a_ping_first_opens_the_stream(serve: Serve, backend: ScriptedBackend) -> None:
    """Headers go out at the first event even where the dialect has nothing to say of it."""
    gate = asyncio.Event()
    backend.script = [Ping(), gate, *reply("x")]
    server = await serve(streaming=Streaming(keepalive_seconds=0))
    response = await asyncio.wait_for(server.chat(stream=True), 5)
    assert response.status == 200
    gate.set()
    assert "[DONE]" in await response.text()


async def test_an_error_of_a_begun_stream_is_in_the_access_log(
    serve: Serve, backend: ScriptedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """The status was 200, so the line says how it failed."""
    caplog.set_level("INFO", "claude_proxy.access")
    backend.script = [*reply("Hello")[:3], UpstreamError("the upstream broke off")]
    server = await serve()
    async with server.chat(stream=True) as response:
        await response.text()
    await server.end()
    (line,) = [record.getMessage() for record in caplog.records if record.name == "claude_proxy.access"]
    assert line.startswith("POST /v1/chat/completions 200 ")
    assert "model=claude-sonnet-5-5 backend=scripted error=UpstreamError request_id=req_" in line


async def test_the_access_log_has_no_secret_and_no_body(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """One line a request, without key, query string or a word of the conversation."""
    caplog.set_level("DEBUG")
    server = await serve(api_keys=("sk-very-secret",))
    async with server.http.post(
        f"{server.url}/v1/chat/completions?key=query-secret",
        json={"model": "sonnet", "messages": [{"role": "user", "content": "body-secret"}]},
        headers={"Authorization": "Bearer sk-very-secret"},
    ) as response:
        assert response.status == 200
    await server.end()
    assert len([record for record in caplog.records if record.name == "claude_proxy.access"]) == 1
    assert "secret" not in caplog.text


async def test_an_unforeseen_failure_is_logged_with_its_traceback(
    serve: Serve, backend: ScriptedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns nothing of it; whoever runs the server learns all."""
    backend.script = [ZeroDivisionError("inside")]
    server = await serve()
    async with server.chat() as response:
        body = await response.json()
    assert response.status == 500
    assert "inside" not in body["error"]["message"].replace("inside the proxy", "")
    assert "ZeroDivisionError" in caplog.text
