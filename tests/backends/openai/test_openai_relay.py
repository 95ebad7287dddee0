"""Chat Completions requests handed on as they came, and answers as they come."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai_chunks import DONE, chunk, end, frame
from openai_upstream import ABORT, KEYS, Answer, backend, listening, refusal

from claude_proxy.backends.base import Original, Relayed
from claude_proxy.backends.openai.backend import OpenAICompatible
from claude_proxy.errors import BadRequest, ProxyError, RateLimited, UpstreamError

BODY = b'{ "model" : "alias", "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}],"seed":1.0,  "stream":true }'


def original(body: bytes = BODY, *, stream: bool = True, **fields: Any) -> Original:
    """Give a client's request."""
    made: dict[str, Any] = {
        "dialect": "chat",
        "path": "/v1/chat/completions",
        "query": "",
        "headers": {},
        "model": "m",
        **fields,
    }
    return Original(body=body, stream=stream, **made)


async def follow(
    running: OpenAICompatible, asked: Original, parts: list[bytes], gate: asyncio.Event | None = None
) -> Relayed:
    """Hand a request on, noting what comes back as it comes; the first of it opens the gate."""
    async with running.relay(asked) as answer:
        async for part in answer.chunks:
            parts.append(part)
            if gate is not None:
                gate.set()
    return answer


async def relayed(running: OpenAICompatible, asked: Original) -> tuple[bytes, Relayed]:
    """Give all bytes of an answer."""
    parts: list[bytes] = []
    answer = await follow(running, asked, parts)
    return b"".join(parts), answer


async def test_the_body_goes_out_byte_for_byte_but_for_the_model() -> None:
    """Unknown fields, spaces, escapes and numbers stay what they are."""
    async with listening(Answer([end()])) as up, backend({"base_url": up.url, "name": "router"}) as running:
        _, answer = await relayed(running, original())

    assert up.seen[0].body == BODY.replace(b'"alias"', b'"m"')
    assert up.seen[0].path == "/api/v1/chat/completions"
    assert up.seen[0].headers["authorization"] == "Bearer sk-1"
    assert answer.answered_by == "router"


async def test_the_stream_comes_back_byte_for_byte() -> None:
    """Comments, odd spacing and unknown fields included, whole events at a time."""
    pieces = [
        b": hi\r\n\r\n",
        chunk({"content": "a"}, logprobs=None)[:30],
        chunk({"content": "a"}, logprobs=None)[30:],
        end(),
    ]
    headers = {"content-type": "text/event-stream; charset=utf-8", "x-ratelimit-limit-tokens": "9", "set-cookie": "a=b"}
    parts: list[bytes] = []
    async with listening(Answer(pieces, 200, headers)) as up, backend({"base_url": up.url}) as running:
        answer = await follow(running, original(), parts)

    assert b"".join(parts) == b"".join(pieces)
    assert all(part.endswith((b"\n\n", b"\r\n\r\n")) for part in parts)
    assert answer.content_type == "text/event-stream; charset=utf-8"
    assert answer.headers == {"x-ratelimit-limit-tokens": "9"}


async def test_events_are_handed_on_at_once() -> None:
    """Nothing waits for the end."""
    go_on = asyncio.Event()
    answer = Answer([chunk({"content": "a"}), go_on, end()])
    async with listening(answer) as up, backend({"base_url": up.url}) as running, running.relay(original()) as got:
        assert await anext(got.chunks) == chunk({"content": "a"})
        go_on.set()
        assert [part async for part in got.chunks]


async def test_a_whole_answer_comes_back_byte_for_byte() -> None:
    """Also one that the client wanted as a stream."""
    body = b'{ "choices": [], "x": 1.0 }'
    answer = Answer([body[:5], body[5:]], headers={"content-type": "application/json"})
    async with listening(answer) as up, backend({"base_url": up.url}) as running:
        for stream in (False, True):
            data, got = await relayed(running, original(stream=stream))
            assert (data, got.content_type) == (body, "application/json")


async def test_headers_that_matter_go_on_and_others_do_not() -> None:
    """What names the client's application, say; never what it signs in with."""
    headers = {"http-referer": "https://app", "x-title": "App", "openai-beta": "x", "authorization": "Bearer client",
               "cookie": "a=b", "x-api-key": "client", "host": "here", "accept-encoding": "gzip"}  # fmt: skip
    async with listening(Answer([end()])) as up, backend({"base_url": up.url}) as running:
        await relayed(running, original(headers=headers, query="a=b"))

    seen = up.seen[0]
    assert seen.path == "/api/v1/chat/completions?a=b"
    assert (seen.headers["http-referer"], seen.headers["x-title"], seen.headers["openai-beta"]) == (
        "https://app",
        "App",
        "x",
    )
    assert seen.headers["authorization"] == "Bearer sk-1"
    assert {"cookie", "x-api-key"} & {name.lower() for name in seen.headers} == set()
    assert seen.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("first", "cls"),
    [
        (refusal(400, "Unsupported parameter: 'seed'"), BadRequest),
        (refusal(429, "slow", {"retry-after": "99"}), RateLimited),
        (Answer([frame({"error": {"message": "Unsupported", "code": 400}})]), BadRequest),
        (
            Answer([b'{"error":{"message":"Unsupported","code":400}}'], headers={"content-type": "application/json"}),
            BadRequest,
        ),
    ],
)
async def test_a_failure_before_the_first_byte_is_raised(first: Answer, cls: type[ProxyError]) -> None:
    """With its own status; the request stays the client's, so nothing is left out of it."""
    async with listening(first, Answer([end()])) as up, backend({"base_url": up.url}) as running:
        with pytest.raises(cls, match=r"Unsupported|slow"):
            await relayed(running, original())

    assert len(up.seen) == 1


@pytest.mark.parametrize(
    "first",
    [
        Answer([ABORT]),
        Answer([]),
        Answer([b": hi\n\n", ABORT], 502),
        Answer([frame({"error": {"message": "busy", "code": 503}})]),
        Answer([b"<html>"], headers={"content-type": "application/json"}),
    ],
)
async def test_what_may_go_better_is_tried_again(first: Answer) -> None:
    """Nothing has been handed on yet."""
    async with listening(first, Answer([end()])) as up, backend({"base_url": up.url, "keys": KEYS}) as running:
        assert (await relayed(running, original()))[0] == end()

    assert len(up.seen) == 2


@pytest.mark.parametrize("rest", [[ABORT], [], [chunk({"content": "b"})[:20]]])
async def test_a_stream_that_breaks_off_raises(rest: list[Any]) -> None:
    """After the events that came whole; nothing of a half one."""
    first = chunk({"content": "a"})
    parts: list[bytes] = []
    gate = asyncio.Event()
    async with listening(Answer([first, gate, *rest])) as up, backend({"base_url": up.url}) as running:
        with pytest.raises(UpstreamError):
            await follow(running, original(), parts, gate)

    assert b"".join(parts) == first


@pytest.mark.parametrize(
    "steps",
    [
        [chunk({"content": "a"}), chunk({}, "stop")],
        [chunk({"content": "a"}), DONE, asyncio.Event()],
        [chunk({"content": "a"}), frame({"error": {"message": "late"}})],
        [chunk({"content": "a"}), chunk({}, "stop").strip()],
        [DONE.strip()],
        [b'data: "error" {\n\n', DONE],
    ],
)
async def test_what_ends_properly_is_no_failure(steps: list[Any]) -> None:
    """By its finish reason, by ``[DONE]``, by an error of its own, whatever the connection does then."""
    async with listening(Answer(steps)) as up, backend({"base_url": up.url}) as running:
        data, _ = await asyncio.wait_for(relayed(running, original()), 3)

    assert data == b"".join(step for step in steps if isinstance(step, bytes))


async def test_a_connection_that_breaks_behind_the_end_is_no_failure() -> None:
    """What was handed on is whole."""
    parts: list[bytes] = []
    gate, whole = asyncio.Event(), chunk({"content": "a"}) + chunk({}, "stop")
    async with listening(Answer([whole, gate, ABORT])) as up, backend({"base_url": up.url}) as running:
        await follow(running, original(), parts, gate)

    assert b"".join(parts) == whole


async def test_leaving_early_ends_the_request_upstream() -> None:
    """K08: the upstream sees its client go within a second."""
    answer = Answer([chunk({"content": "a"}), asyncio.Event()])
    async with listening(answer) as up, backend({"base_url": up.url}) as running:
        async with running.relay(original()) as got:
            await anext(got.chunks)
        await asyncio.wait_for(up.left.wait(), 1)


async def test_the_connection_is_used_again() -> None:
    """Streams and whole answers alike."""
    async with listening(Answer([chunk({"content": "a"}), end()])) as up, backend({"base_url": up.url}) as running:
        for _ in range(3):
            await relayed(running, original())

    assert len({seen.peer for seen in up.seen}) == 1
