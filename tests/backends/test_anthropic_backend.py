"""Our own requests against a Messages API: what arrives, what is learnt, and what becomes of failures."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from raw_upstreams import free_port

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.base import Call, Native, Turn
from claude_proxy.backends.http.attempts import Patience
from claude_proxy.canon.blocks import Json, Text
from claude_proxy.canon.collect import Reply, collect
from claude_proxy.canon.events import AnyEvent
from claude_proxy.canon.request import Message, Reasoning, Request, Tool, ToolChoice
from claude_proxy.config.schema import ClaudeApiKey, Config, ModelName
from claude_proxy.errors import (
    BadRequest,
    NotFound,
    Overloaded,
    ProxyError,
    RateLimited,
    Unauthorized,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from claude_proxy.simulator import Simulator, script

TODAY = "claude-sonnet-5-5"
OLDER = "claude-opus-4-1-20250805"
QUICK = Patience(retries=2, retry_seconds=3, connect_seconds=1, first_byte_seconds=1, idle_seconds=1)
USER = Message(role="user", content=(Text(text="hi"),))


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Start a Messages API."""
    async with Simulator() as one:
        yield one


def entry(base_url: str, **fields: Any) -> ClaudeApiKey:
    """Configure a key."""
    return ClaudeApiKey(**{"api_key": "sk-ant-api-1", "base_url": base_url, **fields})


@contextlib.asynccontextmanager
async def backend(*entries: ClaudeApiKey, patience: Patience = QUICK, **fields: Any) -> AsyncIterator[ClaudeApi]:
    """Make a backend, and close it."""
    fields.setdefault("max_retry_interval", 0.05)
    one = ClaudeApi(Config(claude_api_key=entries, **fields), patience=patience)
    await one.start()
    try:
        yield one
    finally:
        await one.close()


async def told(one: ClaudeApi, request: Request | None = None, **fields: Any) -> tuple[Reply, Turn]:
    """Run a turn to its end."""
    call = {name: fields.pop(name) for name in ("strict", "prefix") if name in fields}
    asked = request or Request(**{"model": TODAY, "messages": (USER,), "max_tokens": 100, **fields})
    events: list[AnyEvent] = []
    async with one.turn(Call(asked, **call)) as turn:
        events += [event async for event in turn.events]
    return collect(events), turn


async def test_a_turn_is_answered(simulator: Simulator) -> None:
    """M02: text, who answered, limits and the upstream's own request id."""
    simulator.queue.append(script.text("Hello ", "there."))
    async with backend(entry(simulator.base_url)) as one:
        assert isinstance(one, Native)
        reply, turn = await told(one)
    assert reply.content == (Text(text="Hello there."),)
    assert turn.answered_by == "claude-api-key"
    assert turn.headers["anthropic-ratelimit-unified-status"] == "allowed"
    assert turn.headers["x-upstream-request-id"].startswith("req_")
    assert turn.losses == []
    assert turn.timings["first_byte"] > 0
    (seen,) = simulator.seen
    assert seen.headers["x-api-key"] == "sk-ant-api-1"
    assert seen.headers["anthropic-version"] == "2023-06-01"
    assert seen.body["stream"] is True


async def test_connections_are_used_again(simulator: Simulator) -> None:
    """A turn that was read to its end leaves its connection for the next one."""
    async with backend(entry(simulator.base_url)) as one:
        for _ in range(3):
            await told(one)
        (session,) = one._upstreams.sessions._sessions.values()
        assert session.connector is not None
        assert len(session.connector._conns) == 1
        assert sum(map(len, session.connector._conns.values())) == 1


async def test_nobody_asked_for_a_length_so_it_is_the_models_own(simulator: Simulator) -> None:
    """C15: as the upstream lists it."""
    async with backend(entry(simulator.base_url)) as one:
        await told(one, model=OLDER, max_tokens=None)
    assert [seen.body["max_tokens"] for seen in simulator.seen] == [32_000]


async def test_a_maximum_that_nobody_lists_is_learnt() -> None:
    """C15: from the 400, once; too much asked for is lowered and named from then on."""
    async with Simulator() as simulator, backend(entry(simulator.base_url)) as one:
        one._offers._due = math.inf  # as if the upstream listed nothing
        await told(one, model=OLDER, max_tokens=None)
        _, turn = await told(one, model=OLDER, max_tokens=90_000)
    assert [seen.body["max_tokens"] for seen in simulator.seen] == [128_000, 32_000, 32_000]
    assert turn.losses == ["max_tokens"]


async def test_what_a_model_refuses_is_left_out_named_and_remembered() -> None:
    """C09b: one more request for each, once."""
    asked: dict[str, Any] = {
        "temperature": 0.2,
        "top_k": 5,
        "tools": (Tool(name="t"),),
        "tool_choice": ToolChoice(type="any"),
        "reasoning": Reasoning(mode="off"),
    }
    async with Simulator() as simulator, backend(entry(simulator.base_url)) as one:
        one._offers._due = math.inf  # as if the upstream listed nothing
        _, first = await told(one, **asked)
        tried = len(simulator.seen)
        _, second = await told(one, **asked)
    assert tried > 1
    assert len(simulator.seen) == tried + 1
    assert set(first.losses) == {"reasoning", "temperature", "top_k", "tool_choice"}
    assert second.losses == first.losses


async def test_what_the_upstream_lists_is_known_beforehand(simulator: Simulator) -> None:
    """C09b: nothing has to be refused."""
    async with backend(entry(simulator.base_url)) as one:
        _, turn = await told(one, temperature=0.2)
    assert turn.losses == ["temperature"]
    assert len(simulator.seen) == 1


async def test_strict_refuses_a_loss(simulator: Simulator) -> None:
    """C09b: nothing is sent then."""
    async with backend(entry(simulator.base_url)) as one:
        with pytest.raises(BadRequest, match="temperature"):
            await told(one, temperature=0.2, strict=True)
    assert simulator.seen == []


async def test_another_400_is_the_clients(simulator: Simulator) -> None:
    """K10: the upstream's own words, asked once."""
    simulator.queue.append(script.error(400, "invalid_request_error", "messages: odd"))
    async with backend(entry(simulator.base_url)) as one:
        with pytest.raises(BadRequest, match="messages: odd"):
            await told(one)
    assert len(simulator.seen) == 1


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (529, Overloaded), (401, Unauthorized)])
async def test_a_lone_keys_real_error_is_given(simulator: Simulator, status: int, kind: type[ProxyError]) -> None:
    """K10: with its status and time to wait."""
    simulator.queue.extend([script.error(status, "x", "sorry", headers={"retry-after": "99"})] * 2)
    async with backend(entry(simulator.base_url)) as one:
        for _ in range(2):
            with pytest.raises(kind, match="sorry") as caught:
                await told(one)
            assert caught.value.retry_after == 99
        await told(one)


async def test_the_other_key_answers(simulator: Simulator) -> None:
    """By turns, and in the stead of one that is limited."""
    simulator.queue.append(script.error(429, "rate_limit_error", "sorry", headers={"retry-after": "99"}))
    keys = [entry(simulator.base_url, api_key=f"key-{place}") for place in (1, 2)]
    async with backend(*keys) as one:
        answered = [(await told(one))[1].answered_by for _ in range(3)]
    assert answered == ["claude-api-key/2"] * 3
    assert [seen.headers["x-api-key"] for seen in simulator.seen] == ["key-1", "key-2", "key-2", "key-2"]


async def test_a_stream_that_begins_with_an_error_is_tried_again(simulator: Simulator) -> None:
    """C35: before the first event nothing is lost."""
    raw = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    simulator.queue.append(script.Reply(raw=raw))
    async with backend(entry(simulator.base_url)) as one:
        await told(one)
    assert len(simulator.seen) == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (script.text("a b c", cut_after=4), UpstreamError),
        (script.text("a b", error_after=1, error={"type": "overloaded_error", "message": "busy"}), Overloaded),
    ],
)
async def test_a_reply_that_dies_in_the_middle_is_a_failure(
    simulator: Simulator, reply: script.Reply, kind: type[ProxyError]
) -> None:
    """K07: never tried again, never a clean end."""
    simulator.queue.append(reply)
    async with backend(entry(simulator.base_url)) as one:
        with pytest.raises(kind):
            await told(one)
        await told(one)
    assert len(simulator.seen) == 2


async def test_a_reply_that_goes_silent_is_a_timeout(simulator: Simulator) -> None:
    """Within the deadline between two bytes."""
    simulator.queue.append(script.text("a b c", gap_seconds=30))
    async with backend(entry(simulator.base_url), patience=Patience(idle_seconds=0.2)) as one:
        with pytest.raises(UpstreamTimeout):
            await told(one)


@pytest.mark.parametrize("reply", [script.Reply(raw=b"<html>"), script.Reply(raw=b""), script.text("a", cut_after=0)])
async def test_garbage_is_a_bad_gateway(simulator: Simulator, reply: script.Reply) -> None:
    """C35: after as many tries as agreed."""
    simulator.queue.extend([reply] * 3)
    async with backend(entry(simulator.base_url)) as one:
        with pytest.raises(UpstreamError) as caught:
            await told(one)
    assert caught.value.status == 502
    assert len(simulator.seen) == 3


async def test_leaving_early_stops_it_upstream(simulator: Simulator) -> None:
    """K08: its connection is closed."""
    simulator.queue.append(script.text("a b c", gap_seconds=30))
    async with backend(entry(simulator.base_url)) as one:
        request = Request(model=TODAY, messages=(USER,), max_tokens=9)
        async with one.turn(Call(request)) as turn:
            await anext(turn.events)
        async with contextlib.AsyncExitStack():
            await told(one)
    assert simulator.seen[0].gone


async def test_tokens_are_counted_upstream(simulator: Simulator) -> None:
    """M05: with system prompt and tools, and without what the endpoint refuses."""
    async with backend(entry(simulator.base_url)) as one:
        plain = Request(model=TODAY, messages=(USER,), temperature=0.5)
        more = Request(model=TODAY, messages=(USER,), system=(Text(text="be brief"),), tools=(Tool(name="t"),))
        assert 0 < await one.count_tokens(Call(plain)) < await one.count_tokens(Call(more))
    assert len(simulator.counted) == 2


async def test_counting_learns_like_a_turn() -> None:
    """C09b: what the model refuses is left out."""
    async with Simulator() as simulator, backend(entry(simulator.base_url)) as one:
        asked = Request(model=TODAY, messages=(USER,), reasoning=Reasoning(mode="off"))
        assert await one.count_tokens(Call(asked)) > 0
        missing = Request(model="claude-none", messages=(USER,))
        with pytest.raises(NotFound):
            await one.count_tokens(Call(missing))


# -- what it offers ----------------------------------------------------------------------------------------------------


async def test_the_upstreams_own_list_is_offered(simulator: Simulator) -> None:
    """L01: nothing hard-coded; less what is excluded; under its prefix."""
    async with backend(entry(simulator.base_url, prefix="p", excluded_models=("*-haiku-*",))) as one:
        models = await one.models()
    ids = [model.id for model in models]
    assert TODAY in ids
    assert not [name for name in ids if "haiku" in name]
    assert {model.prefix for model in models} == {"p"}
    assert next(model for model in models if model.id == OLDER).max_output_tokens == 32_000


async def test_an_upstream_that_never_listed_anything_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """L01: not an empty list, and in one line for a person."""
    caplog.set_level(logging.CRITICAL)
    async with backend(entry(f"http://127.0.0.1:{free_port()}")) as one:
        with pytest.raises(UpstreamError, match="can't be reached"):
            await one.models()
        assert "can't be reached" in (await one.health()).detail


async def test_configured_models_need_no_list() -> None:
    """An upstream without a list works all the same."""
    models = (ModelName(name=TODAY, alias="mine"), ModelName(name=OLDER))
    async with backend(entry(f"http://127.0.0.1:{free_port()}", models=models)) as one:
        assert [(model.id, model.aliases) for model in await one.models()] == [(TODAY, ("mine",)), (OLDER, ())]


async def test_all_pages_are_read(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """L01: where there are more than fit on one."""
    monkeypatch.setattr("claude_proxy.backends.anthropic.listing._PAGE", 2)
    async with backend(entry(simulator.base_url)) as one:
        assert len(await one.models()) == len(simulator._models)


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"api_key": "sk-ant-oat01-abc"}, "subscription"),
        ({"base_url": "nowhere"}, "base-url"),
        ({"proxy_url": "ftp://x"}, "proxy-url"),
        ({"api_key": "two\nlines"}, "characters"),
    ],
)
async def test_an_entry_that_can_not_be_used_is_named_and_the_others_work(
    simulator: Simulator, fields: Json, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A subscription's token is never sent, and nothing is guessed."""
    async with backend(entry(**{"base_url": simulator.base_url, **fields}), entry(simulator.base_url)) as one:
        health = await one.health()
        assert health.ready
        assert "claude-api-key/1 is not used" in health.detail
        assert why in health.detail
        assert "oat01" not in health.detail + caplog.text
        assert (await told(one))[1].answered_by == "claude-api-key/2"


async def test_no_entry_that_can_be_used_is_not_ready() -> None:
    """It says why, and doesn't keep the server from starting."""
    async with backend(entry("nowhere")) as one:
        assert not (await one.health()).ready
        with pytest.raises(Unavailable):
            await one.models()


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({}, {"x-api-key": "sk-ant-api-1", "authorization": "Bearer sk-ant-api-1"}),
        ({"Authorization": "Bearer own"}, {"authorization": "Bearer own"}),
        ({"X-Team": "t"}, {"x-team": "t", "x-api-key": "sk-ant-api-1"}),
    ],
)
async def test_how_it_signs_in(simulator: Simulator, headers: dict[str, str], sent: dict[str, str]) -> None:
    """Another upstream gets the key both ways, unless the config says how."""
    async with backend(entry(simulator.base_url + "/v1/", headers=headers)) as one:
        await told(one)
    got = simulator.seen[0].headers
    assert {name: got.get(name) for name in sent} == sent
    assert ("x-api-key" in got) is ("x-api-key" in sent)
