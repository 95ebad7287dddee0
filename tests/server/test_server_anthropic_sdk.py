"""The real anthropic SDK against the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anthropic
import pytest
from anthropic.types import MessageParam
from scripted_server import MODELS, NativeBackend, ScriptedBackend, Serve, reply

from claude_proxy.config.schema import Streaming
from claude_proxy.errors import (
    BadRequest,
    Forbidden,
    NotSignedIn,
    Overloaded,
    ProxyError,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)

HELLO: list[MessageParam] = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def client(serve: Serve, backend: ScriptedBackend) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Give an SDK client of a running server."""
    server = await serve(api_keys=("the-key",), streaming=Streaming(keepalive_seconds=0.05))
    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="the-key", max_retries=0) as client:
        yield client


async def test_a_whole_answer(client: anthropic.AsyncAnthropic) -> None:
    """The SDK parses the answer and finds our request id."""
    message = await client.messages.create(model="sonnet", max_tokens=9, messages=HELLO)
    assert isinstance(message.content[0], anthropic.types.TextBlock)
    assert (message.content[0].text, message.stop_reason) == ("Hello world", "end_turn")
    assert message.usage.output_tokens == 5
    assert (message._request_id or "").startswith("req_")


async def test_m04_a_streamed_answer_with_pings(client: anthropic.AsyncAnthropic, backend: ScriptedBackend) -> None:
    """M04: pings before and in the middle don't disturb what the SDK gathers."""
    before, between = asyncio.Event(), asyncio.Event()
    backend.entry, (start, block, *rest) = [before], reply("Hello", " world")
    backend.script = [start, block, between, *rest]
    loop = asyncio.get_running_loop()
    loop.call_later(0.12, before.set)
    loop.call_later(0.3, between.set)
    async with client.messages.stream(model="sonnet", max_tokens=9, messages=HELLO) as stream:
        assert await stream.get_final_text() == "Hello world"


async def test_a_token_instead_of_a_key(serve: Serve, backend: ScriptedBackend) -> None:
    """M07: ``ANTHROPIC_AUTH_TOKEN`` is sent as Bearer."""
    server = await serve(api_keys=("the-key",))
    async with anthropic.AsyncAnthropic(base_url=server.url, auth_token="the-key", api_key=None) as client:
        assert (await client.messages.create(model="sonnet", max_tokens=9, messages=HELLO)).role == "assistant"
    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model="sonnet", max_tokens=9, messages=HELLO)


async def test_m05_tokens(client: anthropic.AsyncAnthropic) -> None:
    """M05: ``count_tokens`` of the SDK."""
    assert (await client.messages.count_tokens(model="sonnet", messages=HELLO)).input_tokens == 42


async def test_l01_the_models(client: anthropic.AsyncAnthropic) -> None:
    """L01: the list and a single one."""
    assert [model.id async for model in client.models.list()] == [model.id for model in MODELS]
    assert (await client.models.retrieve("opus")).display_name == "Opus 5.5"
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("opsu")


async def test_m01_through_an_upstream_that_speaks_it(serve: Serve) -> None:
    """M01: what the SDK sent is what the upstream gets, betas included."""
    native = NativeBackend(chunks=(b'{"id":"m","type":"message","role":"assistant","content":[],"model":"x"}',))
    server = await serve(native)
    async with anthropic.AsyncAnthropic(base_url=server.url, api_key="unused") as client:
        message = await client.beta.messages.create(
            model="sonnet", max_tokens=9, messages=[{"role": "user", "content": "hi"}], betas=["new-1"]
        )
    assert message.id == "m"
    (original,) = native.originals
    assert original.headers["anthropic-beta"] == "new-1"
    assert "x-api-key" not in original.headers


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadRequest("x"), anthropic.BadRequestError),
        (NotSignedIn("x"), anthropic.AuthenticationError),
        (Forbidden("x"), anthropic.PermissionDeniedError),
        (RateLimited("x", retry_after=5), anthropic.RateLimitError),
        (UpstreamError("x"), anthropic.InternalServerError),
        (UpstreamTimeout("x"), anthropic.InternalServerError),
        (Overloaded("x"), anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_failures_are_the_sdk_s_own(
    client: anthropic.AsyncAnthropic,
    backend: ScriptedBackend,
    error: ProxyError,
    expected: type[anthropic.APIStatusError],
    *,
    stream: bool,
) -> None:
    """Each status is the exception that users catch."""
    backend.entry = [error]
    with pytest.raises(expected) as caught:
        await client.messages.create(model="sonnet", max_tokens=9, messages=HELLO, stream=stream)
    assert caught.value.status_code == error.status
    assert (caught.value.request_id or "").startswith("req_")


async def test_m04_a_failure_in_mid_stream_is_raised(
    client: anthropic.AsyncAnthropic, backend: ScriptedBackend
) -> None:
    """M04: the SDK never takes half an answer for a whole one."""
    backend.script = [*reply("Hello")[:3], Overloaded("too much")]
    with pytest.raises(anthropic.APIStatusError, match="too much"):
        async with client.messages.stream(model="sonnet", max_tokens=9, messages=HELLO) as stream:
            await stream.get_final_message()
