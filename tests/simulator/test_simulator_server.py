"""The simulator over HTTP: endpoints, streaming, faults, and the real SDK as its client."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import anthropic
import msgspec
import pytest

from claude_proxy.canon.blocks import Text
from claude_proxy.canon.codec import decode_event
from claude_proxy.canon.collect import collect
from claude_proxy.framing import Lines
from claude_proxy.simulator import ModelRules, Reply, Simulator, error, text, thinking, tool_calls

HEADERS = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
BODY: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A strict simulator with nothing in its queue."""
    async with Simulator() as running:
        yield running


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client that sends a key."""
    async with aiohttp.ClientSession(simulator.base_url, headers=HEADERS) as session:
        yield session


@pytest.fixture
async def sdk(simulator: Simulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The real SDK, which asks once only."""
    async with anthropic.AsyncAnthropic(base_url=simulator.base_url, api_key="key", max_retries=0) as client:
        yield client


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must become true."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.005)


async def post(http: aiohttp.ClientSession, **fields: Any) -> tuple[aiohttp.ClientResponse, Any]:
    """Ask, and give the response with its JSON."""
    async with http.post("/v1/messages", json={**BODY, **fields}) as response:
        return response, await response.json()


async def frames(http: aiohttp.ClientSession, **fields: Any) -> list[tuple[str, bytes]]:
    """Ask for a stream, and give each event's name and data."""
    async with http.post("/v1/messages", json={**BODY, "stream": True, **fields}) as response:
        assert response.content_type == "text/event-stream"
        lines = Lines().feed(await response.read())
    names = [line.removeprefix(b"event: ").decode() for line in lines if line.startswith(b"event: ")]
    return list(zip(names, [line[6:] for line in lines if line.startswith(b"data: ")], strict=True))


async def test_stream_collects_to_the_script(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """The events on the wire follow the grammar, carry their names and make up the scripted text (M11)."""
    simulator.queue.append(text("Hello", " world"))
    got = await frames(http)
    assert all(msgspec.json.decode(data)["type"] == name for name, data in got)
    reply = collect(event for _, data in got if (event := decode_event(data)) is not None)
    assert reply.content == (Text(text="Hello world"),)
    assert simulator.seen[0].finished


async def test_answer_without_stream(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """Without ``stream`` the message comes whole."""
    simulator.queue.append(text("Hello"))
    response, message = await post(http)
    assert message["content"] == [{"type": "text", "text": "Hello"}]
    assert response.headers["request-id"].startswith("req_")


async def test_no_two_samples_are_the_same(http: aiohttp.ClientSession) -> None:
    """The default replies differ, so that two can't be taken for one (K07)."""
    texts = [(await post(http))[1]["content"][0]["text"] for _ in range(3)]
    assert texts == ["Reply 1.", "Reply 2.", "Reply 3."]


async def test_answer_function(http: aiohttp.ClientSession) -> None:
    """A function answers what the queue doesn't, from the request's body."""
    async with Simulator(lambda body: text(body["model"])) as own:
        own.queue.append(text("first"))
        async with aiohttp.ClientSession(own.base_url, headers=HEADERS) as client:
            said = [(await post(client))[1]["content"][0]["text"] for _ in range(2)]
    assert said == ["first", "claude-sonnet-5-5"]


async def test_default_keeps_to_a_forced_tool(http: aiohttp.ClientSession) -> None:
    """The default reply calls a tool that it is forced to call."""
    tool = {"name": "get", "input_schema": {"type": "object"}}
    _, message = await post(http, model="claude-opus-4-6", tools=[tool], tool_choice={"type": "any"})
    assert [block["type"] for block in message["content"]] == ["tool_use"]


async def test_refusals_are_seen(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """A refused request has the API's error shape, is kept with its problem, and takes nothing from the queue."""
    simulator.queue.append(text("kept"))
    response, answer = await post(http, seed=1)
    assert (response.status, answer["type"], answer["error"]["type"]) == (400, "error", "invalid_request_error")
    assert answer["request_id"] == response.headers["request-id"]
    assert simulator.seen[0].problem == answer["error"]["message"] == "seed: Extra inputs are not permitted"
    assert (simulator.seen[0].status, len(simulator.queue)) == (400, 1)


async def test_lenient_takes_anything(http: aiohttp.ClientSession) -> None:
    """A lenient simulator refuses nothing."""
    async with Simulator(strict=False) as own, aiohttp.ClientSession(own.base_url) as client:
        async with client.post("/v1/messages", json={"seed": 1}, headers={"authorization": "Bearer x"}) as response:
            assert response.status == 200
        async with client.post("/v1/messages/count_tokens", json={}, headers={"x-api-key": "x"}) as response:
            assert await response.json() == {"input_tokens": 0}


async def test_own_models(http: aiohttp.ClientSession) -> None:
    """A test may bring models of its own."""
    rules = ModelRules("Mine", "2026-01-01T00:00:00Z", max_output=5)
    async with (
        Simulator(models={"mine": rules}) as own,
        aiohttp.ClientSession(own.base_url, headers=HEADERS) as client,
    ):
        response, answer = await post(client, model="mine", max_tokens=6)
        assert (response.status, "6 > 5" in answer["error"]["message"]) == (400, True)
        assert (await post(client))[0].status == 404


@pytest.mark.parametrize("data", [b"{", b"[]", b"\xff"])
async def test_bad_json(simulator: Simulator, http: aiohttp.ClientSession, data: bytes) -> None:
    """A body that is no JSON object is a 400, and seen."""
    async with http.post("/v1/messages", data=data) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")
    assert simulator.seen[0].body == {}


async def test_body_over_32_mb(http: aiohttp.ClientSession) -> None:
    """A body of more than 32 MB is a 413."""
    async with http.post("/v1/messages", data=io.BytesIO(b" " * ((32 << 20) + 1))) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (413, "request_too_large")


async def test_thread_is_refused_with_its_code(http: aiohttp.ClientSession) -> None:
    """``thread`` is refused with the details that make the SDK send whole histories (M08)."""
    response, answer = await post(http, thread={"type": "create"})
    assert (response.status, answer["error"]["details"]["error_code"]) == (400, "thread_unsupported_request")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic x"}, {"authorization": "Bearer "}, {"x-api-key": ""}])
async def test_no_key(simulator: Simulator, headers: dict[str, str]) -> None:
    """Without a key everything under /v1 is a 401."""
    async with aiohttp.ClientSession(simulator.base_url, headers=headers) as client:
        for path in ("/v1/models", "/v1/nothing"):
            async with client.get(path) as response:
                assert (response.status, (await response.json())["error"]["type"]) == (401, "authentication_error")


async def test_no_version(simulator: Simulator) -> None:
    """Without ``anthropic-version`` it is a 400."""
    async with aiohttp.ClientSession(simulator.base_url, headers={"authorization": "Bearer x"}) as client:
        response, answer = await post(client)
    assert (response.status, answer["error"]["message"]) == (400, "anthropic-version: header is required")


@pytest.mark.parametrize("path", ["/v1/complete", "/nothing", "/v1/messages/batches"])
async def test_unknown_path(http: aiohttp.ClientSession, path: str) -> None:
    """Any other path is a 404 in the API's shape."""
    async with http.post(path, json={}) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (404, "not_found_error")
        assert "request-id" in response.headers


@pytest.mark.parametrize("path", ["/", "/api/hello"])
async def test_hello(simulator: Simulator, path: str) -> None:
    """The CLI's connectivity checks succeed without a key (M09)."""
    async with (
        aiohttp.ClientSession(simulator.base_url) as client,
        client.head(path) as head,
        client.get(path) as get,
    ):
        assert (head.status, get.status) == (200, 200)


async def test_models(sdk: anthropic.AsyncAnthropic) -> None:
    """The SDK lists all models over several pages, and gets a single one."""
    names = [model.id async for model in sdk.models.list(limit=4)]
    assert (len(names), names[0]) == (9, "claude-fable-5-2")
    assert (await sdk.models.retrieve("claude-opus-4-6")).max_tokens == 128_000
    with pytest.raises(anthropic.NotFoundError, match="model: claude-sonnet-4"):
        await sdk.models.retrieve("claude-sonnet-4")


async def test_count_tokens(simulator: Simulator, sdk: anthropic.AsyncAnthropic) -> None:
    """The SDK counts tokens; refused requests are seen there too (M05)."""
    counted = await sdk.messages.count_tokens(model=BODY["model"], system="Be brief.", messages=BODY["messages"])
    assert counted.input_tokens == 4
    with pytest.raises(anthropic.NotFoundError):
        await sdk.messages.count_tokens(model="x", messages=BODY["messages"])
    assert [(seen.status, seen.problem) for seen in simulator.counted] == [(200, None), (404, "model: x")]
    assert simulator.seen == []


async def test_sdk_stream(simulator: Simulator, sdk: anthropic.AsyncAnthropic) -> None:
    """The SDK streams thinking, text and a call to the same content."""
    blocks = (*thinking("hm").blocks, *tool_calls(("get", {"city": "Paris"}), text="Calling.").blocks)
    simulator.queue.append(Reply(blocks=blocks, stop_reason="tool_use"))
    shown: Any = {"type": "adaptive", "display": "summarized"}
    async with sdk.messages.stream(**BODY, thinking=shown) as stream:
        message = await stream.get_final_message()
    first, second, third = message.content
    assert (first.type, second.type, third.type) == ("thinking", "text", "tool_use")
    assert first.type == "thinking"
    assert first.thinking == "hm"
    assert third.type == "tool_use"
    assert third.input == {"city": "Paris"}
    assert message.stop_reason == "tool_use"


async def test_todays_models_omit_thinking(simulator: Simulator, sdk: anthropic.AsyncAnthropic) -> None:
    """Unless ``display`` asks for it, today's models give a signature without a text; it is taken again."""
    simulator.queue.append(thinking("secret", "said", signature="own"))
    message = await sdk.messages.create(**BODY)
    assert message.content[0].type == "thinking"
    assert message.content[0].thinking == ""
    said: Any = [block.model_dump(include={"type", "thinking", "signature", "text"}) for block in message.content]
    history: Any = [*BODY["messages"], {"role": "assistant", "content": said}, *BODY["messages"]]
    assert (await sdk.messages.create(**{**BODY, "messages": history})).content


async def test_cache_hits_over_requests(simulator: Simulator, sdk: anthropic.AsyncAnthropic) -> None:
    """A marked prefix is written by the first request and read by the second."""
    system: Any = [{"type": "text", "text": "one two", "cache_control": {"type": "ephemeral"}}]
    usages = [(await sdk.messages.create(**BODY, system=system)).usage for _ in range(2)]
    counts = [(usage.cache_creation_input_tokens, usage.cache_read_input_tokens) for usage in usages]
    assert counts == [(2, 0), (0, 2)]


async def test_plan_headers(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """Every reply tells the plan's state; the script may say otherwise, in any case."""
    simulator.queue += [text("a"), text("b", headers={"Anthropic-Ratelimit-Unified-5h-Utilization": "0.9"})]
    seen = [(await post(http))[0].headers.getall("anthropic-ratelimit-unified-5h-utilization") for _ in range(2)]
    assert seen == [["0.25"], ["0.9"]]


async def test_plan_limit(simulator: Simulator, sdk: anthropic.AsyncAnthropic) -> None:
    """A 429 says that the plan is used up, and when to come back (K10)."""
    simulator.queue.append(error(429, "rate_limit_error", "You've hit your limit"))
    with pytest.raises(anthropic.RateLimitError, match="You've hit your limit") as caught:
        await sdk.messages.create(**BODY)
    headers = caught.value.response.headers
    assert headers["anthropic-ratelimit-unified-status"] == "rejected"
    assert int(headers["retry-after"]) > 0
    assert (simulator.seen[0].status, simulator.seen[0].finished) == (429, True)


@pytest.mark.parametrize("after", [0, 1, 99])
async def test_error_in_the_stream(simulator: Simulator, http: aiohttp.ClientSession, after: int) -> None:
    """After that many deltas an error event ends the stream, at the latest before its end (M04)."""
    overloaded = {"type": "overloaded_error", "message": "Overloaded"}
    simulator.queue.append(text("one two", error=overloaded, error_after=after))
    got = await frames(http)
    assert got[-1][0] == "error"
    assert msgspec.json.decode(got[-1][1])["error"]["type"] == "overloaded_error"
    assert [name for name, _ in got].count("content_block_delta") == min(after, 2)
    assert "message_delta" not in dict(got)


async def test_error_in_the_stream_without_stream(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """Where nothing is streamed, the error is the answer."""
    simulator.queue.append(error(529, "overloaded_error", "Overloaded", error_after=1))
    response, answer = await post(http)
    assert (response.status, answer["error"]["type"]) == (529, "overloaded_error")


async def test_unnamed_error_in_the_stream(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """``error_after`` without an error is the API's internal error."""
    simulator.queue.append(text("one", error_after=1))
    assert msgspec.json.decode((await frames(http))[-1][1])["error"]["type"] == "api_error"


@pytest.mark.parametrize("streamed", [True, False])
async def test_cut_before_the_first_byte(simulator: Simulator, http: aiohttp.ClientSession, streamed: bool) -> None:  # noqa: FBT001 - a test's parameter
    """``cut_after=0`` closes the connection without an answer, streamed or not (K07)."""
    simulator.queue.append(text("one", cut_after=0))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await post(http, stream=streamed)
    assert (simulator.seen[0].finished, simulator.seen[0].gone) == (False, False)


@pytest.mark.parametrize("after", [1, 4, 6, 99])
async def test_cut_in_the_stream(simulator: Simulator, http: aiohttp.ClientSession, after: int) -> None:
    """After that many events the connection is cut; all of them arrived, and no clean end (K07)."""
    simulator.queue.append(text("one", cut_after=after))
    got = bytearray()

    async def read() -> None:
        async with http.post("/v1/messages", json={**BODY, "stream": True}) as response:
            async for piece in response.content.iter_any():
                got.extend(piece)

    with pytest.raises(aiohttp.ClientPayloadError):
        await read()
    assert got.count(b"event: ") == min(after, 7)
    assert not simulator.seen[0].finished


async def test_cut_in_a_message(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """An answer that isn't streamed is cut in its middle."""
    simulator.queue.append(text("one", cut_after=1))
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(http)


async def test_server_lives_on_after_a_cut(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """A cut is one connection's end, not the server's."""
    simulator.queue += [text("one", cut_after=0), text("two")]
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await post(http)
    assert (await post(http))[1]["content"][0]["text"] == "two"


async def test_silent_until_the_client_goes(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """A silent reply holds the request open; when the client goes it is known (K08)."""
    simulator.queue.append(Reply(silent=True))
    asking = asyncio.create_task(post(http))
    await until(lambda: simulator.active == 1 and bool(simulator.seen))
    asking.cancel()
    await until(lambda: simulator.active == 0)
    assert (simulator.seen[0].gone, simulator.seen[0].finished) == (True, False)


async def test_gone_in_the_stream(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """A client that leaves in mid-stream is noticed (K08)."""
    simulator.queue.append(text("one two three", gap_seconds=60))
    async with http.post("/v1/messages", json={**BODY, "stream": True}) as response:
        await response.content.readuntil(b"content_block_delta")
        response.close()
    await until(lambda: simulator.seen[0].gone)
    assert simulator.active == 0


async def test_close_drops_what_is_open(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """Closing the simulator ends open requests; nobody is said to have gone."""
    simulator.queue.append(Reply(silent=True))
    asking = asyncio.create_task(post(http))
    await until(lambda: bool(simulator.seen))
    await simulator.close()
    with pytest.raises(aiohttp.ClientError):
        await asking
    assert not simulator.seen[0].gone
    await simulator.close()


async def test_slow_first_byte(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """``first_byte_seconds`` is waited before the headers."""
    simulator.queue.append(text("one", first_byte_seconds=0.1))
    began = asyncio.get_running_loop().time()
    async with http.post("/v1/messages", json={**BODY, "stream": True}):
        assert asyncio.get_running_loop().time() - began >= 0.09


@pytest.mark.parametrize(("streamed", "kind"), [(True, "text/event-stream"), (False, "application/json")])
async def test_garbage(simulator: Simulator, http: aiohttp.ClientSession, streamed: bool, kind: str) -> None:  # noqa: FBT001 - a test's parameter
    """A raw reply is sent as it is."""
    simulator.queue.append(Reply(raw=b"<html>", status=502))
    async with http.post("/v1/messages", json={**BODY, "stream": streamed}) as response:
        assert (response.status, response.content_type, await response.read()) == (502, kind, b"<html>")


async def test_seen_tells_the_request(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """Path, query, headers and body are kept."""
    async with http.post("/v1/messages?beta=true", json=BODY, headers={"Anthropic-Beta": "x"}) as response:
        await response.read()
    (seen,) = simulator.seen
    assert (seen.path, seen.headers["anthropic-beta"], seen.body) == ("/v1/messages?beta=true", "x", BODY)
    assert seen.at > 0


async def test_demo_over_http(http: aiohttp.ClientSession) -> None:
    """The demo's replies stream with their header."""
    async with (
        Simulator(demo=True) as own,
        aiohttp.ClientSession(own.base_url, headers=HEADERS) as client,
        client.post("/v1/messages", json={**BODY, "stream": True}) as response,
    ):
        assert response.headers["x-claude-proxy-demo"] == "1"
        assert (await response.read()).count(b"text_delta") > 10


async def test_stamped_deltas_say_when_they_were_sent(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    """``stamped`` makes each delta of text the moment when it goes out, by the clock that all processes share."""
    simulator.queue.append(text("one two three", stamped=True, gap_seconds=0.01))
    before = time.monotonic()
    async with http.post("/v1/messages", json={**BODY, "stream": True}) as response:
        lines = (await response.text()).splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    stamps = [float(event["delta"]["text"]) for event in events if event["type"] == "content_block_delta"]
    assert len(stamps) == 3
    assert [before, *stamps] == sorted([before, *stamps])
    assert stamps[1] - stamps[0] >= 0.009
    assert stamps[-1] <= time.monotonic()


async def test_a_simulator_that_runs_for_long_keeps_no_request() -> None:
    """The demo would fill the memory with conversations that nobody looks at."""
    async with Simulator(keeps=False) as running, aiohttp.ClientSession(running.base_url, headers=HEADERS) as http:
        response, body = await post(http)
        assert (response.status, body["type"]) == (200, "message")
        counted = {name: BODY[name] for name in ("model", "messages")}
        async with http.post("/v1/messages/count_tokens", json=counted) as response:
            assert response.status == 200
    assert running.seen == running.counted == []
