"""Turns of the backend against an upstream that answers with exactly these bytes."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from openai_chunks import DONE, chunk, end, frame
from openai_upstream import ABORT, KEYS, Answer, backend, listening, refusal

from claude_proxy.backends.base import Call, Native, Turn
from claude_proxy.backends.http.attempts import Patience
from claude_proxy.backends.openai.backend import OpenAICompatible
from claude_proxy.backends.openai.request import Refusals
from claude_proxy.canon.blocks import Text, Thinking
from claude_proxy.canon.collect import Reply, collect
from claude_proxy.canon.events import AnyEvent, TextDelta, Usage
from claude_proxy.canon.request import Message, Reasoning, Request
from claude_proxy.config.schema import Config
from claude_proxy.errors import (
    BadRequest,
    ContextTooLong,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)

HELLO = Answer([chunk({"content": "Hel"}), chunk({"content": "lo"}), end()])


def ask(model: str = "m", *, prefix: str = "", strict: bool = False, **fields: Any) -> Call:
    """Give a call that says hi."""
    messages = (Message(role="user", content=(Text(text="hi"),)),)
    return Call(Request(model=model, messages=messages, **fields), strict=strict, prefix=prefix)


async def answered(running: OpenAICompatible, call: Call) -> tuple[Reply, Turn]:
    """Run a whole turn."""
    async with running.turn(call) as turn:
        return collect([event async for event in turn.events]), turn


async def follow(running: OpenAICompatible, events: list[AnyEvent], gate: asyncio.Event) -> None:
    """Run a turn, noting its events as they come; the first one opens the gate."""
    async with running.turn(ask()) as turn:
        async for event in turn.events:
            events.append(event)
            gate.set()


async def said(running: OpenAICompatible, call: Call) -> str:
    """Give the text of a whole turn."""
    reply, _ = await answered(running, call)
    return "".join(block.text for block in reply.content if isinstance(block, Text))


def test_it_is_a_native_backend() -> None:
    """It takes Chat Completions as they come, and says what kind it is."""
    made = OpenAICompatible(Config())

    assert isinstance(made, Native)
    assert (made.speaks, made.kind) == ("chat", "openai-compatibility")


async def test_a_turn() -> None:
    """What is asked reaches the upstream with its key and the entry's headers, and what it says comes back."""
    limits = {"content-type": "text/event-stream", "X-RateLimit-Remaining-Requests": "7"}
    usage = frame({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    steps = [chunk({"reasoning": "hm"}), chunk({"content": "Hi"}), chunk({}, "stop"), usage, DONE]
    entry = {"headers": {"X-Team": "r"}, "name": "router"}
    async with listening(Answer(steps, 200, limits)) as up, backend({"base_url": up.url, **entry}) as running:
        call = ask(max_tokens=5, top_k=3, reasoning=Reasoning(mode="on", effort="low", visible=True))
        reply, turn = await answered(running, call)

    assert reply.content == (Thinking(thinking="hm"), Text(text="Hi"))
    assert reply.usage == Usage(input_tokens=3, output_tokens=2)
    assert (turn.answered_by, turn.losses) == ("router", ["top_k"])
    assert turn.headers == {"x-ratelimit-remaining-requests": "7"}
    assert turn.timings["first_byte"] > 0
    (seen,) = up.seen
    assert (seen.method, seen.path) == ("POST", "/api/v1/chat/completions")
    assert (seen.headers["authorization"], seen.headers["x-team"]) == ("Bearer sk-1", "r")
    assert seen.headers["content-type"] == "application/json"
    assert (seen.json["model"], seen.json["max_tokens"], seen.json["stream"]) == ("m", 5, True)


async def test_events_come_as_they_come() -> None:
    """Nothing waits for the end of the reply."""
    go_on = asyncio.Event()
    answer = Answer([chunk({"content": "a"}), go_on, chunk({"content": "b"}), end()])
    async with listening(answer) as up, backend({"base_url": up.url}) as running, running.turn(ask()) as turn:
        async for event in turn.events:
            if event == TextDelta(index=0, text="a"):
                go_on.set()
        assert go_on.is_set()


async def test_an_upstream_without_keys_gets_none() -> None:
    """Ollama and the like."""
    async with listening(HELLO) as up, backend({"base_url": up.url + "/", "keys": ()}) as running:
        assert await said(running, ask()) == "Hello"

    assert "authorization" not in up.seen[0].headers
    assert up.seen[0].path == "/api/v1/chat/completions"


async def test_an_authorization_of_the_entrys_own_is_kept() -> None:
    """Some upstreams want another form of it."""
    own = {"headers": {"Authorization": "Basic x"}}
    async with listening(HELLO) as up, backend({"base_url": up.url, **own}) as running:
        await said(running, ask())

    assert up.seen[0].headers.getall("authorization") == ["Basic x"]


async def test_an_answer_that_is_not_streamed_is_taken() -> None:
    """Whatever was asked for."""
    whole = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    answer = Answer([json.dumps(whole).encode()], headers={"content-type": "application/json"})
    async with listening(answer) as up, backend({"base_url": up.url}) as running:
        assert await said(running, ask()) == "Hello"


async def test_the_connection_is_used_again() -> None:
    """Also where the end of the answer comes a little behind its last event."""
    async with listening(HELLO) as up, backend({"base_url": up.url}) as running:
        for _ in range(3):
            await said(running, ask())

    assert len({seen.peer for seen in up.seen}) == 1


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "cls", "status"),
    [
        (refusal(400, "bad", param="messages"), BadRequest, 400),
        (refusal(400, "maximum context length is 5"), ContextTooLong, 400),
        (refusal(401, "who?"), Unauthorized, 401),
        (refusal(404, "no such model"), NotFound, 404),
        (refusal(500, "oops"), UpstreamError, 502),
        (Answer([b"<html>teapot</html>"], 503), Unavailable, 503),
    ],
)
async def test_a_refusal_has_its_status_and_its_words(answer: Answer, cls: type[Exception], status: int) -> None:
    """The upstream's own message, and the class that it deserves."""
    async with listening(answer) as up, backend({"base_url": up.url}, patience=Patience(retries=0)) as running:
        with pytest.raises(cls) as caught:
            await said(running, ask())

    assert caught.value.status == status  # type: ignore[attr-defined]  # all of them are ProxyErrors
    assert "sk-1" not in str(caught.value)


async def test_a_limit_tells_how_long_to_wait() -> None:
    """A lone key's real error and time go to the client."""
    async with listening(refusal(429, "slow down", {"retry-after": "60"})) as up, backend({"base_url": up.url}) as one:
        with pytest.raises(RateLimited, match="slow down") as caught:
            await said(one, ask())

    assert caught.value.retry_after == 60
    assert len(up.seen) == 1


async def test_another_key_is_tried() -> None:
    """429 on the first one, and the second answers."""
    limited, keys = refusal(429, "slow down", {"retry-after": "60"}), ("sk-1", "sk-2")
    async with listening(limited, HELLO) as up, backend({"base_url": up.url, "keys": keys}) as running:
        assert await said(running, ask()) == "Hello"

    assert sorted(seen.headers["authorization"] for seen in up.seen) == ["Bearer sk-1", "Bearer sk-2"]


@pytest.mark.parametrize(
    "first",
    [
        Answer([ABORT]),
        Answer([]),
        Answer([DONE]),
        Answer([b"data: oops\n\n"]),
        Answer([frame({"error": {"message": "busy", "code": 503}})]),
        refusal(503, "busy"),
    ],
)
async def test_what_fails_before_the_first_event_is_tried_again(first: Answer) -> None:
    """Nothing has been told yet."""
    async with listening(first, HELLO) as up, backend({"base_url": up.url, "keys": KEYS}) as running:
        assert await said(running, ask()) == "Hello"

    assert len(up.seen) == 2


@pytest.mark.parametrize(
    "rest",
    [
        [ABORT],
        [],
        [b"data: oops\n\n"],
        [frame({"error": {"message": "busy", "code": 502}})],
    ],
)
async def test_what_fails_after_the_first_event_is_an_error(rest: list[Any]) -> None:
    """K07: never a clean end, never a second reply behind the first."""
    events: list[AnyEvent] = []
    gate = asyncio.Event()
    broken = Answer([chunk({"content": "a"}), gate, *rest])
    async with listening(broken, HELLO) as up, backend({"base_url": up.url}) as running:
        with pytest.raises(UpstreamError):
            await follow(running, events, gate)

    assert TextDelta(index=0, text="a") in events
    assert len(up.seen) == 1


async def test_an_error_in_the_same_bytes_comes_after_the_events_before_it() -> None:
    """How the bytes are cut changes nothing."""
    answer = Answer([chunk({"content": "a"}) + frame({"error": {"message": "late", "code": 502}})])
    events: list[AnyEvent] = []
    async with listening(answer) as up, backend({"base_url": up.url}) as running:
        with pytest.raises(UpstreamError, match="late"):
            await follow(running, events, asyncio.Event())

    assert TextDelta(index=0, text="a") in events


async def test_a_reply_that_is_whole_may_end_badly() -> None:
    """Only the connection breaks, and the reply says that it is finished."""
    events: list[AnyEvent] = []
    gate = asyncio.Event()
    answer = Answer([chunk({"content": "a"}) + chunk({}, "stop"), gate, ABORT])
    async with listening(answer) as up, backend({"base_url": up.url}) as running:
        await follow(running, events, gate)

    assert collect(events).content == (Text(text="a"),)


async def test_an_upstream_that_goes_silent_is_given_up() -> None:
    """With 504, once the deadline is over."""
    answer = Answer([chunk({"content": "a"}), asyncio.Event()])
    patience = Patience(retries=0, idle_seconds=0.2)
    async with listening(answer) as up, backend({"base_url": up.url}, patience=patience) as running:
        with pytest.raises(UpstreamTimeout):
            await said(running, ask())


async def test_nobody_there_is_an_error() -> None:
    """Said in the entry's name."""
    async with listening(HELLO) as up:
        url = up.url
    async with backend({"base_url": url, "name": "gone", "keys": KEYS}) as running:
        with pytest.raises(UpstreamError, match="gone"):
            await said(running, ask())


async def test_leaving_early_ends_the_request_upstream() -> None:
    """K08: the upstream sees its client go within a second."""
    answer = Answer([chunk({"content": "a"}), asyncio.Event()])
    async with listening(answer) as up, backend({"base_url": up.url}) as running:
        async with running.turn(ask()) as turn:
            await anext(turn.events)
        await asyncio.wait_for(up.left.wait(), 1)


async def test_a_cancelled_wait_ends_the_request_upstream() -> None:
    """K08, before the first event."""
    async with listening(Answer([b": wait\n\n", asyncio.Event()])) as up, backend({"base_url": up.url}) as running:
        waiting = asyncio.create_task(said(running, ask()))
        await up.came.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(up.left.wait(), 1)


# -- what an upstream refuses ------------------------------------------------------------------------------------------

NO_TEMPERATURE = refusal(400, "Unsupported value: 'temperature' does not support 0.5", param="temperature")
NEWER_NAME = refusal(400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                     "'max_completion_tokens' instead.", param="max_tokens", code="unsupported_parameter")  # fmt: skip


async def test_refused_fields_are_left_out_and_remembered() -> None:
    """C09b: one after the other, each named; the next request is right at once."""
    async with listening(NEWER_NAME, NO_TEMPERATURE, HELLO) as up, backend({"base_url": up.url}) as running:
        for _ in range(2):
            reply, turn = await answered(running, ask(max_tokens=9, temperature=0.5))
            assert reply.content == (Text(text="Hello"),)
            assert turn.losses == ["temperature"]

    bodies = [seen.json for seen in up.seen]
    assert ["temperature" in body for body in bodies] == [True, True, False, False]
    assert [body.get("max_completion_tokens") for body in bodies] == [None, 9, 9, 9]


async def test_one_key_learns_for_the_others() -> None:
    """What an upstream refuses has nothing to do with the key."""
    entry = {"keys": ("sk-1", "sk-2")}
    async with listening(NO_TEMPERATURE, HELLO) as up, backend({"base_url": up.url, **entry}) as running:
        for _ in range(3):
            await said(running, ask(temperature=0.5))

    assert ["temperature" in seen.json for seen in up.seen] == [True, False, False, False]
    assert len({seen.headers["authorization"] for seen in up.seen}) == 2


async def test_strict_gives_the_refusal() -> None:
    """C09b: nothing is left out, and what is known to be lost isn't even asked."""
    async with listening(NO_TEMPERATURE, HELLO) as up, backend({"base_url": up.url}) as running:
        with pytest.raises(BadRequest, match="temperature"):
            await said(running, ask(temperature=0.5, strict=True))
        with pytest.raises(BadRequest, match="can't honour top_k") as caught:
            await said(running, ask(top_k=5, strict=True))

    assert caught.value.param == "top_k"
    assert len(up.seen) == 1


async def test_a_refusal_that_stays_is_the_answer() -> None:
    """An upstream that refuses what isn't there any more isn't asked for ever."""
    async with listening(NO_TEMPERATURE) as up, backend({"base_url": up.url}) as running:
        with pytest.raises(BadRequest, match="temperature"):
            await said(running, ask(temperature=0.5))

    assert len(up.seen) == 2


async def test_what_is_remembered_has_a_bound() -> None:
    """Clients can make names up; memory stays what it is."""
    async with listening(NO_TEMPERATURE, HELLO) as up, backend({"base_url": up.url}) as running:
        running._refusals.update({("x", str(n)): Refusals() for n in range(1000)})
        await said(running, ask(temperature=0.5))
        assert len(running._refusals) == 1


# -- what it offers ----------------------------------------------------------------------------------------------------

LIST = Answer([b'{"data":[{"id":"a"},{"id":"b"}]}'], headers={"content-type": "application/json"})


async def test_models_of_the_config() -> None:
    """Nobody is asked."""
    async with backend({"base_url": "http://127.0.0.1:9", "models": ("big=b", "small"), "prefix": "p"}) as running:
        found = await running.models()

    assert [(model.id, model.aliases, model.prefix) for model in found] == [("big", ("b",), "p"), ("small", (), "p")]


async def test_models_of_the_upstream_are_asked_for_once() -> None:
    """With the key, and from then on they are known."""
    async with listening(LIST) as up, backend({"base_url": up.url, "models": ()}) as running:
        assert [model.id for model in await running.models()] == ["a", "b"]
        assert [model.id for model in await running.models()] == ["a", "b"]

    (seen,) = up.seen
    assert (seen.method, seen.path, seen.headers["authorization"]) == ("GET", "/api/v1/models", "Bearer sk-1")


async def test_each_upstream_is_asked_for_what_it_has() -> None:
    """Two of them without a list in the config: a turn goes to the one that has the model."""
    other = Answer([b'{"data":[{"id":"c"}]}'], headers={"content-type": "application/json"})
    async with listening(LIST, HELLO) as one, listening(other, HELLO) as two:
        entries = [{"base_url": up.url, "models": (), "name": name} for up, name in ((one, "one"), (two, "two"))]
        async with backend(*entries) as running:
            assert [model.id for model in await running.models()] == ["a", "b", "c"]
            for _ in range(2):
                _, turn = await answered(running, ask("c"))
                assert turn.answered_by == "two"

    assert len(one.seen) == 1


async def test_no_entry_is_no_model() -> None:
    """Nothing is set up."""
    async with backend() as running:
        with pytest.raises(Unavailable):
            await running.models()
        assert not (await running.health()).ready


async def test_health_names_who_can_be_asked_and_what_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """An entry that is of no use is left out, with the reason; no secret shows."""
    entries = [
        {"base_url": "http://127.0.0.1:9", "name": "good", "keys": ("sk-1", "sk-2")},
        {"base_url": "nowhere", "name": "bad", "keys": ("sk-secret",)},
    ]
    with caplog.at_level(logging.WARNING):
        async with backend(*entries) as running:
            health = await running.health()

    assert health.ready
    assert health.detail == "good; bad is not used: its `base-url` must look like https://host/path"
    assert "bad is not used" in caplog.text
    assert "sk-secret" not in f"{health}{running!r}{caplog.text}"


async def test_a_prefix_reaches_its_own_entry_only() -> None:
    """And a name without one reaches none that has one."""
    async with listening(HELLO) as one, listening(HELLO) as two:
        entries = [{"base_url": one.url, "name": "one"}, {"base_url": two.url, "name": "two", "prefix": "p"}]
        async with backend(*entries) as running:
            assert (await answered(running, ask()))[1].answered_by == "one"
            assert (await answered(running, ask(prefix="p")))[1].answered_by == "two"


async def test_tokens_are_not_counted() -> None:
    """M05: never a made-up number."""
    async with backend({"base_url": "http://127.0.0.1:9"}) as running:
        with pytest.raises(BadRequest, match="can't count tokens"):
            await running.count_tokens(ask())
