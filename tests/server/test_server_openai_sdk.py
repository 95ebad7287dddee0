"""The real openai SDK against the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from scripted_server import ScriptedBackend, Serve, reply

from claude_proxy.canon.blocks import ToolUse
from claude_proxy.canon.events import BlockStart, BlockStop, InputJsonDelta, MessageDelta, MessageStart, MessageStop
from claude_proxy.errors import (
    BadRequest,
    ContextTooLong,
    Forbidden,
    NotSignedIn,
    Overloaded,
    RateLimited,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def client(serve: Serve, backend: ScriptedBackend) -> AsyncIterator[openai.AsyncOpenAI]:
    """Give an SDK client of a running server."""
    server = await serve(api_keys=("the-key",))
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="the-key", max_retries=0) as client:
        yield client


async def test_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    """The SDK parses the answer and finds our request id."""
    completion = await client.chat.completions.create(model="sonnet", messages=HELLO)
    assert completion.choices[0].message.content == "Hello world"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 3
    assert (completion._request_id or "").startswith("req_")


async def test_a_streamed_answer(client: openai.AsyncOpenAI) -> None:
    """The SDK's stream gives the same text, and its usage when asked for."""
    stream = await client.chat.completions.create(
        model="sonnet",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello world"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5


async def test_the_stream_helper(client: openai.AsyncOpenAI, backend: ScriptedBackend) -> None:
    """The SDK's accumulating helper puts a tool call together."""
    backend.script = [
        MessageStart(id="msg_1", model="claude-sonnet-5-5"),
        BlockStart(index=0, block=ToolUse(id="toolu_1", name="add", input={})),
        InputJsonDelta(index=0, partial_json='{"a":'),
        InputJsonDelta(index=0, partial_json=" 1}"),
        BlockStop(index=0),
        MessageDelta(stop_reason="tool_use"),
        MessageStop(),
    ]
    tool: ChatCompletionFunctionToolParam = {
        "type": "function",
        "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
    }
    async with client.chat.completions.stream(model="sonnet", messages=HELLO, tools=[tool]) as stream:
        completion = await stream.get_final_completion()
    (call,) = completion.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.id, call.function.name, call.function.arguments) == ("toolu_1", "add", '{"a": 1}')


async def test_l01_the_model_list(client: openai.AsyncOpenAI) -> None:
    """L01: the SDK lists models and looks one up."""
    assert [model.id async for model in client.models.list()] == [
        "claude-sonnet-5-5",
        "claude-opus-5-5",
        "sonnet",
        "opus",
    ]
    assert (await client.models.retrieve("opus")).id == "opus"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nothing")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (BadRequest("no", param="messages"), openai.BadRequestError),
        (ContextTooLong("too long"), openai.BadRequestError),
        (NotSignedIn("run claude-proxy login"), openai.AuthenticationError),
        (Forbidden("no"), openai.PermissionDeniedError),
        (RateLimited("limit", retry_after=3), openai.RateLimitError),
        (UpstreamError("nonsense"), openai.InternalServerError),
        (Unavailable("later"), openai.InternalServerError),
        (UpstreamTimeout("slow"), openai.InternalServerError),
        (Overloaded("busy"), openai.InternalServerError),
        (RuntimeError("inside"), openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_failures_become_the_sdk_s_exceptions(
    client: openai.AsyncOpenAI,
    backend: ScriptedBackend,
    failure: Exception,
    expected: type[openai.APIStatusError],
    *,
    stream: bool,
) -> None:
    """Every failure is the exception that the SDK's users catch, with message, code and request id."""
    backend.script = [failure]
    with pytest.raises(expected) as caught:
        await client.chat.completions.create(model="sonnet", messages=HELLO, stream=stream)
    assert (caught.value.request_id or "").startswith("req_")
    assert caught.value.body is not None
    if not isinstance(failure, RuntimeError):
        assert str(failure) in caught.value.message


async def test_c35_a_broken_stream_is_an_exception(client: openai.AsyncOpenAI, backend: ScriptedBackend) -> None:
    """C35: a failure in mid-stream is never taken for the end."""
    backend.script = [*reply("Hello")[:3], UpstreamError("the upstream broke off")]
    stream = await client.chat.completions.create(model="sonnet", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="broke off"):
        _ = [chunk async for chunk in stream]


async def test_a_wrong_key_is_an_authentication_error(client: openai.AsyncOpenAI) -> None:
    """The SDK tells a wrong key from everything else."""
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="wrong").models.list()


async def test_an_unknown_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    """L01: with the code that OpenAI's clients look for."""
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.code == "model_not_found"


async def test_k08_closing_the_sdk_s_stream_ends_the_turn(client: openai.AsyncOpenAI, backend: ScriptedBackend) -> None:
    """K08: a user who breaks out of the loop stops the model."""
    backend.script = [*reply("Hello")[:3], asyncio.Event()]
    stream = await client.chat.completions.create(model="sonnet", messages=HELLO, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    await stream.close()
    await asyncio.wait_for(backend.left.wait(), 5)
