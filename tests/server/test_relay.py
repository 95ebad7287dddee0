"""Requests that go to an upstream as they came, and answers that come back as they are."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from scripted_server import MODELS, NativeBackend, Running, ScriptedBackend, Serve, reply
from yarl import URL

from claude_proxy.backends.base import Model
from claude_proxy.config.schema import Routing, Streaming
from claude_proxy.dialects.chat import CHAT
from claude_proxy.errors import BadRequest, NotSignedIn, ProxyError, RateLimited, Unavailable, UpstreamError

OFTEN = Streaming(keepalive_seconds=0.05)
BODY = b'{ "model":"openai/SONNET", "messages": "whatever \\u00e9", "unknown": [1.0, 1e400], "model_kind": "x"}'


@pytest.fixture
def native() -> NativeBackend:
    """Give a backend that takes Chat Completions as they come."""
    return NativeBackend(speaks="chat", chunks=(b"data: 1\n\n", b"data: 2\n\n"))


def post(
    server: Running, query: str = "", headers: dict[str, str] | None = None
) -> aiohttp.client._RequestContextManager:
    """Send bytes to Chat Completions."""
    # As it stands here: the client would change how it is written.
    url = URL(f"{server.url}/v1/chat/completions{query}", encoded=True)
    return server.http.post(url, data=BODY, headers=headers)


async def test_m01_the_body_is_not_touched(serve: Serve, native: NativeBackend) -> None:
    """M01: whatever else is in it, only the model's name is found out, and who knows it."""
    native.chunks = [b'{"any', b'thing": true}']
    server = await serve(native)
    async with post(server, query="?beta=true&x=%2F+%20") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        assert await response.read() == b'{"anything": true}'
    (original,) = native.originals
    assert original.body == BODY
    assert (original.model, original.dialect, original.stream) == ("claude-sonnet-5-5", "chat", False)
    assert (original.path, original.query) == ("/v1/chat/completions", "beta=true&x=%2F+%20")
    assert native.left.is_set()
    assert native.events_closed.is_set()


async def test_m01_a_stream_comes_back_byte_for_byte(serve: Serve, native: NativeBackend) -> None:
    """M01: in as many pieces as it came."""
    native.content_type = "text/event-stream; charset=utf-8"
    native.chunks = [b"event: odd\r\ndata: x\r\n\r\n", b": comment\n\n", b"data: [DONE]\n\n"]
    server = await serve(native)
    async with server.chat(stream=True) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert await response.read() == b"".join(chunk for chunk in native.chunks if isinstance(chunk, bytes))
    assert native.originals[0].stream


async def test_an_upstream_that_does_not_stream_is_handed_on_as_well(serve: Serve, native: NativeBackend) -> None:
    """Its answer is what it says it is."""
    native.content_type, native.chunks = "application/json", [b"{}"]
    server = await serve(native)
    async with server.chat(stream=True) as response:
        assert (response.content_type, await response.read()) == ("application/json", b"{}")


async def test_each_piece_goes_out_as_it_comes(serve: Serve, native: NativeBackend) -> None:
    """Nothing waits for what comes after it."""
    gate = asyncio.Event()
    native.chunks = [b"data: first\n\n", gate, b"data: second\n\n"]
    server = await serve(native, streaming=Streaming(keepalive_seconds=0))
    async with server.chat(stream=True) as response:
        assert await asyncio.wait_for(response.content.readuntil(b"\n\n"), 5) == b"data: first\n\n"
        gate.set()
        assert await response.content.read() == b"data: second\n\n"


async def test_m01_headers_that_matter_go_along(serve: Serve, native: NativeBackend) -> None:
    """M01: betas and what nobody knows yet, but neither credentials nor what belongs to this connection."""
    server = await serve(native, api_keys=("ours",))
    sent = {"Authorization": "Bearer ours", "Cookie": "a=b", "Anthropic-Beta": "x", "anthropic-new": "y", "X-Any": "z"}
    async with post(server, headers=sent) as response:
        assert response.status == 200
    headers = native.originals[0].headers
    assert {"anthropic-beta": "x", "anthropic-new": "y", "x-any": "z"}.items() <= headers.items()
    assert not {"authorization", "cookie", "host", "content-length", "accept-encoding"} & headers.keys()


async def test_who_answered_is_told(serve: Serve, native: NativeBackend) -> None:
    """The upstream's name, its times and its rate limits are in headers; our request id is ours."""
    native.answered_by, native.timings = "openrouter", {"first_byte": 0.5}
    native.headers = {"x-ratelimit-remaining": "7", "request-id": "theirs"}
    server = await serve(native)
    for stream in (False, True):
        async with server.chat(stream=stream) as response:
            assert response.headers["x-claude-proxy-backend"] == "openrouter"
            assert response.headers["server-timing"].startswith("first_byte;dur=500.0")
            assert response.headers["x-ratelimit-remaining"] == "7"
            assert response.headers["request-id"].startswith("req_")


async def test_strict_has_nothing_to_say_where_nothing_is_translated(serve: Serve, native: NativeBackend) -> None:
    """What the upstream gets whole, it honours or refuses itself."""
    server = await serve(native, strict=True)
    async with server.chat(seed=7, made_up=True) as response:
        assert response.status == 200
        assert "x-claude-proxy-lost" not in response.headers


@pytest.mark.parametrize("late", [False, True])
async def test_a_failure_before_the_first_byte_is_a_status(serve: Serve, native: NativeBackend, *, late: bool) -> None:
    """Also where the upstream's status was good, but nothing came after it."""
    error = RateLimited("slow down", retry_after=7)
    native.entry, native.chunks = ((), [error]) if late else ([error], ())
    server = await serve(native)
    for stream in (False, True):
        async with server.chat(stream=stream) as response:
            assert (response.status, response.headers["retry-after"]) == (429, "7")
            assert (await response.json())["error"]["message"] == "slow down"


async def test_a_stream_that_never_begins_is_a_failure(serve: Serve, native: NativeBackend) -> None:
    """C35: an empty answer is none."""
    native.chunks = ()
    server = await serve(native)
    async with server.chat(stream=True) as response:
        assert response.status == 502


async def test_a_failure_in_mid_stream_is_the_dialect_s_error_event(serve: Serve, native: NativeBackend) -> None:
    """C35: it comes last, and the stream has no clean end."""
    native.chunks = [b"data: 1\n\n", UpstreamError("it broke")]
    server = await serve(native)
    async with server.chat(stream=True) as response:
        body = await response.read()
    assert body.startswith(b"data: 1\n\ndata: {")
    assert json.loads(body.split(b"\n\n")[1][6:])["error"]["message"] == "it broke"
    assert b"[DONE]" not in body


async def test_signs_of_life_come_while_the_upstream_is_silent(serve: Serve, native: NativeBackend) -> None:
    """Before its status and between its events; each event stays whole."""
    before, between = asyncio.Event(), asyncio.Event()
    native.entry, native.chunks = [before], [b"data: 1\n\n", between, b"data: 2\n\n"]
    server = await serve(native, streaming=OFTEN)
    async with server.chat(stream=True) as response:
        seen = await response.content.readexactly(len(CHAT.keepalive))
        before.set()
        while seen.count(CHAT.keepalive) < 3:
            seen += await asyncio.wait_for(response.content.readany(), 5)
        between.set()
        seen += await response.content.read()
    assert seen.replace(CHAT.keepalive, b"") == b"data: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_k08_a_client_that_leaves_ends_the_upstream_s_request(
    serve: Serve, native: NativeBackend, *, stream: bool, begun: bool
) -> None:
    """K08: nobody reads, so nobody is paid for it."""
    never = asyncio.Event()
    native.entry, native.chunks = ([], [b"data: 1\n\n", never]) if begun else ([never], [])
    server = await serve(native)
    asking = asyncio.create_task(_read(server, stream=stream))
    await asyncio.wait_for(native.entered.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(native.left.wait(), 1)


async def _read(server: Running, *, stream: bool) -> None:
    async with server.chat(stream=stream) as response:
        await response.read()


async def test_the_other_dialect_is_translated(serve: Serve) -> None:
    """Who speaks Messages gets a chat completion translated."""
    native = NativeBackend(speaks="messages", script=reply("Hello"))
    server = await serve(native)
    async with server.chat(seed=1) as response:
        assert (await response.json())["choices"][0]["message"]["content"] == "Hello"
        assert response.headers["x-claude-proxy-lost"] == "seed"
    assert not native.originals
    assert native.calls[0].request.model == "claude-sonnet-5-5"


# -- who else --------------------------------------------------------------------------------------------------------

FALL_BACK = Routing(fall_back_to_api_key=True)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("error", [RateLimited("the plan's limit"), NotSignedIn("log in"), Unavailable("no CLI")])
async def test_the_plan_s_end_goes_on_with_a_key_where_that_is_wanted(
    serve: Serve, backend: ScriptedBackend, native: NativeBackend, error: ProxyError, *, stream: bool
) -> None:
    """The answer is the other's alone: its name, its headers and nothing of the first one's losses."""
    backend.script, backend.losses = [error], ["seed"]
    server = await serve(backend, native, routing=FALL_BACK)
    async with server.chat(stream=stream, seed=1) as response:
        assert response.status == 200
        assert await response.read() == b"data: 1\n\ndata: 2\n\n"
        assert response.headers["x-claude-proxy-backend"] == "native"
        assert "x-claude-proxy-lost" not in response.headers
    assert backend.left.is_set()


@pytest.mark.parametrize("stream", [False, True])
async def test_without_that_the_plan_s_limit_is_told(
    serve: Serve, backend: ScriptedBackend, native: NativeBackend, *, stream: bool
) -> None:
    """Nobody pays who didn't say so."""
    backend.entry = [RateLimited("the plan's limit", retry_after=9)]
    server = await serve(backend, native)
    async with server.chat(stream=stream) as response:
        assert (response.status, response.headers["x-claude-proxy-backend"]) == (429, "scripted")
    assert not native.originals


async def test_a_key_goes_on_to_the_next_and_past_the_plan(
    serve: Serve, backend: ScriptedBackend, native: NativeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """The order is the config's; the plan is passed over, and the log says why."""
    native.entry = [UpstreamError("down")]
    other = ScriptedBackend(name="other", kind="openai-compatibility", answered_by="local")
    server = await serve(native, backend, other)
    async with server.chat() as response:
        assert (response.status, response.headers["x-claude-proxy-backend"]) == (200, "local")
    assert not backend.calls
    assert "native failed (down), going on with other" in caplog.text


async def test_the_last_failure_is_the_one_told(serve: Serve, native: NativeBackend) -> None:
    """Where nobody can answer."""
    native.entry = [UpstreamError("first")]
    other = ScriptedBackend(name="other", kind="openai-compatibility", script=[RateLimited("second")])
    server = await serve(native, other)
    async with server.chat() as response:
        assert response.status == 429
        assert (await response.json())["error"]["message"] == "second"


async def test_a_request_at_fault_is_asked_once(serve: Serve, native: NativeBackend) -> None:
    """A 400 is a 400 everywhere."""
    native.entry = [BadRequest("no such field")]
    other = ScriptedBackend(name="other", kind="openai-compatibility")
    server = await serve(native, other)
    async with server.chat() as response:
        assert response.status == 400
    assert not other.calls


async def test_after_the_first_byte_nobody_else_is_asked(serve: Serve, native: NativeBackend) -> None:
    """Two answers are never joined, not even by a sign of life."""
    gate = asyncio.Event()
    native.entry = [gate, UpstreamError("too late")]
    other = ScriptedBackend(name="other", kind="openai-compatibility")
    server = await serve(native, other, streaming=OFTEN)
    async with server.chat(stream=True) as response:
        assert response.status == 200
        gate.set()
        assert b"too late" in await response.read()
    assert not other.calls


async def test_stopping_the_server_is_no_reason_to_ask_another(
    serve: Serve, backend: ScriptedBackend, native: NativeBackend
) -> None:
    """The server's own end looks like nobody's failure."""
    backend.entry = [asyncio.Event()]
    server = await serve(backend, native, routing=FALL_BACK)
    asking = asyncio.create_task(_status(server))
    await asyncio.wait_for(backend.entered.wait(), 5)
    server.stop.set()
    assert await asyncio.wait_for(asking, 5) == 503
    assert not native.originals


async def _status(server: Running) -> int:
    async with server.chat() as response:
        return int(response.status)


async def test_a_prefix_goes_along(serve: Serve, backend: ScriptedBackend, native: NativeBackend) -> None:
    """L02: a model below a prefix reaches its backend with the prefix, translated or not."""
    native.offered = [Model("claude-sonnet-5-5", "S", prefix="console")]
    work = ScriptedBackend(name="claude-cli/work", offered=[Model(m.id, "W", m.aliases, prefix="work") for m in MODELS])
    server = await serve(backend, work, native)
    for name in ("console/sonnet", "work/opus"):
        async with server.chat(model=name) as response:
            assert response.status == 200
    assert (native.originals[0].model, native.originals[0].prefix) == ("claude-sonnet-5-5", "console")
    assert (work.calls[0].request.model, work.calls[0].prefix) == ("claude-opus-5-5", "work")
    assert not backend.calls


async def test_l01_prefixed_names_are_listed_as_they_are_asked_for(serve: Serve, backend: ScriptedBackend) -> None:
    """L01: in both shapes, and each can be looked up."""
    work = ScriptedBackend(
        name="claude-cli/work", offered=[Model("claude-sonnet-5-5", "W", ("sonnet",), prefix="work")]
    )
    server = await serve(backend, work, model_aliases={"gpt-4o": "work/sonnet"})
    async with server.http.get(f"{server.url}/v1/models") as response:
        by_id = {entry["id"]: entry for entry in (await response.json())["data"]}
    assert by_id["work/sonnet"]["alias_of"] == by_id["gpt-4o"]["alias_of"] == "work/claude-sonnet-5-5"
    assert by_id["work/claude-sonnet-5-5"]["owned_by"] == "claude-cli/work"
    async with server.http.get(f"{server.url}/v1/models", headers={"anthropic-version": "x"}) as response:
        listed = [entry["id"] for entry in (await response.json())["data"]]
    assert listed == ["claude-sonnet-5-5", "claude-opus-5-5", "work/claude-sonnet-5-5"]
    for name, shown in {"work/sonnet": "work/sonnet", "work/sonnet-4.6": "work/claude-sonnet-4-6"}.items():
        async with server.http.get(f"{server.url}/v1/models/{name}") as response:
            assert (await response.json())["id"] == shown


async def test_a_backend_that_lists_again_is_asked_again(serve: Serve, backend: ScriptedBackend) -> None:
    """A list that failed once is no reason to forget the backend, nor one that worked a reason to trust it for ever."""
    other = ScriptedBackend(name="other", offered=Unavailable("not yet"))
    server = await serve(backend, other)
    for offered, status in ((Unavailable("not yet"), 503), ([Model("large", "L")], 200), (Unavailable("gone"), 503)):
        other.offered = offered
        async with server.chat(model="large") as response:
            assert response.status == status
