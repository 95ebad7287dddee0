"""Old names of models at upstreams that have them no more: their family's current model answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.base import Call, Original, Relayed
from claude_proxy.backends.http.attempts import Patience
from claude_proxy.canon.blocks import Text
from claude_proxy.canon.collect import Reply, collect
from claude_proxy.canon.request import Message, Request
from claude_proxy.config.schema import ClaudeApiKey, Config
from claude_proxy.errors import NotFound
from claude_proxy.simulator import MODELS, Simulator, error

OLD, NEW = "claude-3-5-sonnet-20241022", "claude-sonnet-5-5"
USER = Message(role="user", content=(Text(text="hi"),))


@asynccontextmanager
async def running(simulator: Simulator) -> AsyncIterator[ClaudeApi]:
    """Run a backend that has listed its models."""
    keys = (ClaudeApiKey(api_key="k", base_url=simulator.base_url),)
    one = ClaudeApi(Config(claude_api_key=keys), patience=Patience(retries=0))
    try:
        await one.models()
        yield one
    finally:
        await one.close()


async def told(one: ClaudeApi, model: str, **fields: Any) -> tuple[Reply, list[str]]:
    """Run a turn."""
    async with one.turn(Call(Request(model=model, messages=(USER,), max_tokens=9), **fields)) as turn:
        return collect([event async for event in turn.events]), turn.losses


def original(model: str, *, stream: bool = False, path: str = "/v1/messages", **fields: Any) -> Original:
    """Give a client's own request."""
    asked: dict[str, Any] = {"model": "x", "messages": [{"role": "user", "content": "hi"}]}
    asked |= {"max_tokens": 9, "stream": stream} if path == "/v1/messages" else {}
    return Original("messages", path, "", {}, json.dumps(asked).encode(), model, stream, **fields)


async def handed(one: ClaudeApi, asked: Original) -> tuple[bytes, Relayed]:
    """Hand a request on."""
    async with one.relay(asked) as relayed:
        return b"".join([chunk async for chunk in relayed.chunks]), relayed


async def test_the_current_model_answers_is_named_and_remembered() -> None:
    """L02: one refused request, then none for a day; the reply says who it is from."""
    async with Simulator() as simulator, running(simulator) as one:
        for _ in range(2):
            reply, losses = await told(one, OLD)
            assert reply.model == NEW
            assert losses == ["model"]
        assert [seen.body["model"] for seen in simulator.seen] == [OLD, NEW, NEW]


async def test_a_request_that_is_handed_on_goes_to_it_as_well() -> None:
    """L02: before the first byte, streamed or not; the loss is named."""
    async with Simulator() as simulator, running(simulator) as one:
        whole, relayed = await handed(one, original(OLD))
        assert json.loads(whole)["model"] == NEW
        assert relayed.losses == ["model"]
        streamed, relayed = await handed(one, original(OLD, stream=True))
        assert f'"model":"{NEW}"'.encode() in streamed
        assert relayed.losses == ["model"]
        assert [seen.body["model"] for seen in simulator.seen] == [OLD, NEW, NEW]
        _, relayed = await handed(one, original(NEW))
        assert relayed.losses == []


async def test_tokens_are_counted_by_it() -> None:
    """L02, M05: both ways."""
    async with Simulator() as simulator, running(simulator) as one:
        assert await one.count_tokens(Call(Request(model=OLD, messages=(USER,)))) > 0
        counted, _ = await handed(one, original(OLD, path="/v1/messages/count_tokens"))
        assert json.loads(counted)["input_tokens"] > 0
        assert [seen.body["model"] for seen in simulator.counted] == [OLD, NEW, NEW]


async def test_strict_gets_the_404() -> None:
    """L02: also once another request has found the model to be missing."""
    async with Simulator() as simulator, running(simulator) as one:
        for _ in range(2):
            with pytest.raises(NotFound, match=OLD):
                await told(one, OLD, strict=True)
            with pytest.raises(NotFound, match=OLD):
                await handed(one, original(OLD, strict=True))
            await told(one, OLD)
        assert {seen.body["model"] for seen in simulator.seen} == {OLD, NEW}


@pytest.mark.parametrize("model", ["claude-brandnew-1", "gpt-4"])
async def test_a_name_of_no_family_here_is_a_404(model: str) -> None:
    """L02: nothing is guessed."""
    async with Simulator() as simulator, running(simulator) as one:
        for _ in range(2):
            with pytest.raises(NotFound, match=model):
                await told(one, model)
        assert len(simulator.seen) == 2


async def test_another_404_teaches_nothing() -> None:
    """L02: the path was wrong, say."""
    async with Simulator() as simulator, running(simulator) as one:
        simulator.queue.append(error(404, "not_found_error", "Not Found"))
        with pytest.raises(NotFound, match="Not Found"):
            await told(one, NEW)
        reply, losses = await told(one, NEW)
        assert (reply.model, losses) == (NEW, [])


async def test_a_stand_in_that_is_gone_as_well_is_the_404() -> None:
    """L02: one more try, not a search."""
    async with Simulator(models=dict(MODELS)) as simulator, running(simulator) as one:
        del simulator._models[NEW]
        with pytest.raises(NotFound, match=NEW):
            await told(one, OLD)
        assert [seen.body["model"] for seen in simulator.seen] == [OLD, NEW]
