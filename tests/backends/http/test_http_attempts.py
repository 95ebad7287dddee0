"""One request over real sockets: tried again where that may help, and never longer than agreed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from raw_upstreams import free_port, listening, saying, silent

from claude_proxy.backends.http.attempts import Outgoing, Patience, Upstreams, no_begin, opened, read_all, read_some
from claude_proxy.backends.http.keys import Credential, Keys
from claude_proxy.errors import (
    BadRequest,
    Forbidden,
    Overloaded,
    ProxyError,
    RateLimited,
    Unauthorized,
    UnknownModel,
    UpstreamError,
    UpstreamTimeout,
)

QUICK = Patience(retries=2, retry_seconds=5, connect_seconds=2, first_byte_seconds=2, idle_seconds=2)


class Upstream:
    """Answers with a status a key, the last of which stays; 200 says who asked."""

    def __init__(self) -> None:
        self.plan: dict[str, list[int]] = {}
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.peers: set[Any] = set()
        self.server = TestServer(self._app(), host="127.0.0.1")

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        key = request.headers["x-api-key"]
        self.asked.append(key)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        plan = self.plan.get(key, [200])
        status = plan.pop(0) if len(plan) > 1 else plan[0]
        if status == 0:
            request.transport.abort()
        if status >= 300:
            return web.json_response({"error": {"message": f"no {key}"}}, status=status, headers=self.headers)
        if status == 201:
            return web.Response(body=bytes(20_000_000))
        return web.Response(text=f"hello {key}")


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """Start an upstream."""
    one = Upstream()
    async with one.server:
        yield one


def make(upstream: Upstream | str, *labels: str, patience: Patience = QUICK, cooldown: float = 0.02) -> Upstreams:
    """Give keys for an upstream."""
    url = upstream if isinstance(upstream, str) else str(upstream.server.make_url("/"))
    made = [Credential(label, label, url, secret=label) for label in labels]
    return Upstreams(Keys(made, strategy="fill-first", longest_cooldown=cooldown), patience)


def outgoing(credential: Credential) -> Outgoing:
    """Make the request for a key."""
    return Outgoing(credential.base_url, {"x-api-key": credential.secret}, b"{}")


async def ask(upstreams: Upstreams, begin: Any = no_begin, *, stream: bool = True, close: bool = True) -> str:
    """Give the whole answer."""
    try:
        async with opened(upstreams, "m", "", outgoing, stream=stream, begin=begin) as answer:
            return (await read_all(answer.response)).decode()
    finally:
        if close:
            await upstreams.close()


async def test_a_good_answer_is_given(upstream: Upstream) -> None:
    """The usual case."""
    assert await ask(make(upstream, "a")) == "hello a"


@pytest.mark.parametrize("status", [401, 402, 403, 408, 429, 500, 503, 529])
async def test_another_key_is_asked(upstream: Upstream, status: int) -> None:
    """Where the first one fails by itself or by the moment."""
    upstream.plan = {"a": [status]}
    assert await ask(make(upstream, "a", "b")) == "hello b"
    assert upstream.asked == ["a", "b"]


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequest), (404, ProxyError), (413, ProxyError)])
async def test_what_is_the_requests_own_fault_is_not_tried_again(
    upstream: Upstream, status: int, kind: type[ProxyError]
) -> None:
    """K10: its real reason goes to the client."""
    upstream.plan = {"a": [status]}
    with pytest.raises(kind, match="no a"):
        await ask(make(upstream, "a", "b"))
    assert upstream.asked == ["a"]


async def test_a_failing_key_is_left_alone_by_the_next_request(upstream: Upstream) -> None:
    """For as long as it said."""
    upstream.plan, upstream.headers = {"a": [429]}, {"retry-after": "60"}
    upstreams = make(upstream, "a", "b")
    for _ in range(2):
        assert await ask(upstreams, close=False) == "hello b"
    await upstreams.close()
    assert upstream.asked == ["a", "b", "b"]


async def test_a_lone_key_is_asked_again_after_a_wait(upstream: Upstream) -> None:
    """It is all there is."""
    upstream.plan = {"a": [529, 503, 200]}
    assert await ask(make(upstream, "a")) == "hello a"
    assert upstream.asked == ["a"] * 3


async def test_a_lone_refused_key_is_not_asked_again(upstream: Upstream) -> None:
    """It would be refused again."""
    upstream.plan = {"a": [401]}
    with pytest.raises(Unauthorized, match="no a"):
        await ask(make(upstream, "a"))
    assert upstream.asked == ["a"]


async def test_retries_have_an_end(upstream: Upstream) -> None:
    """As many as agreed, and then the real reason."""
    upstream.plan = {"a": [529]}
    with pytest.raises(Overloaded):
        await ask(make(upstream, "a"))
    assert upstream.asked == ["a"] * 3


async def test_a_wait_that_is_too_long_is_the_clients_to_wait(upstream: Upstream) -> None:
    """K10: it is told how long, at once; and the next request is asked for all the same."""
    upstream.plan, upstream.headers = {"a": [429, 200]}, {"retry-after": "60"}
    upstreams = make(upstream, "a")
    began = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        await ask(upstreams, close=False)
    assert caught.value.retry_after == 60
    assert time.monotonic() - began < 2
    assert await ask(upstreams) == "hello a"


async def test_a_429_always_says_how_long(upstream: Upstream) -> None:
    """Also where the upstream didn't, and we know only our own wait."""
    upstream.plan = {"a": [429]}
    with pytest.raises(RateLimited) as caught:
        await ask(make(upstream, "a", patience=Patience(retries=1, retry_seconds=0), cooldown=9))
    assert caught.value.retry_after == pytest.approx(1, abs=0.2)


async def test_of_several_reasons_a_refused_key_is_the_least(upstream: Upstream) -> None:
    """The client can wait for a limit; it can't mend our keys."""
    upstream.plan = {"a": [429], "b": [401]}
    with pytest.raises(RateLimited):
        await ask(make(upstream, "a", "b", patience=Patience(retries=1)))


async def test_no_key_for_a_model_is_said() -> None:
    """It isn't an upstream's failure."""
    with pytest.raises(UnknownModel):
        await ask(make("http://127.0.0.1"))


async def test_a_dead_connection_is_used_no_more_and_nobodys_failure(upstream: Upstream) -> None:
    """An old connection may have been given up by the other side: asked again at once, nobody cools down."""
    upstream.plan = {"a": [200, 0, 200]}
    upstreams = make(upstream, "a", cooldown=30)
    began = time.monotonic()
    for _ in range(2):
        assert await ask(upstreams, close=False) == "hello a"
    await upstreams.close()
    assert time.monotonic() - began < 1


async def test_connections_are_used_again_unless_they_were_left(upstream: Upstream) -> None:
    """A good one is kept, one of an answer that was left is not."""
    upstreams = make(upstream, "a")
    for _ in range(3):
        await ask(upstreams, close=False)
    assert len(upstream.peers) == 1
    upstream.plan = {"a": [201, 200]}
    async with opened(upstreams, "m", "", outgoing, stream=True, begin=no_begin):
        pass
    await ask(upstreams)
    assert len(upstream.peers) == 2


async def test_an_upstream_that_is_not_there_is_said() -> None:
    """502, and no more than that it can't be reached."""
    with pytest.raises(UpstreamError, match="a can't be reached"):
        await ask(make(f"http://127.0.0.1:{free_port()}", "a"))


async def test_a_dead_upstream_hands_over_to_the_other(upstream: Upstream) -> None:
    """The other key answers."""
    upstreams = make(upstream, "a", "b")
    dead = Credential("dead", "dead", f"http://127.0.0.1:{free_port()}", secret="dead")
    keys = Keys([dead, *upstreams.keys.credentials], strategy="fill-first")
    assert await ask(Upstreams(keys, QUICK)) == "hello a"


async def test_a_silent_upstream_is_given_up() -> None:
    """504, within the deadline; what has taken so long isn't begun again."""
    patience = Patience(retries=2, retry_seconds=0.1, connect_seconds=0.1, first_byte_seconds=0.2)
    async with listening(silent) as port:
        began = time.monotonic()
        with pytest.raises(UpstreamTimeout):
            await ask(make(f"http://127.0.0.1:{port}", "a", patience=patience))
        assert time.monotonic() - began < 2


async def test_a_reply_in_one_piece_may_take_longer_than_a_streams_first_byte() -> None:
    """Its first byte is its last."""

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        await asyncio.sleep(0.4)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    patience = Patience(retries=0, connect_seconds=0.1, first_byte_seconds=0.1, idle_seconds=5)
    async with listening(late) as port:
        assert await ask(make(f"http://127.0.0.1:{port}", "a", patience=patience), stream=False) == "ok"
        with pytest.raises(UpstreamTimeout):
            await ask(make(f"http://127.0.0.1:{port}", "a", patience=patience))


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\ncontent-length: nine\r\n\r\n"])
async def test_garbage_is_a_bad_gateway(answer: bytes) -> None:
    """502 before the first byte."""
    async with listening(saying(answer)) as port:
        with pytest.raises(UpstreamError):
            await ask(make(f"http://127.0.0.1:{port}", "a"))


async def test_an_answer_that_breaks_off_is_a_failure() -> None:
    """Never half an answer."""
    async with listening(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")) as port:
        with pytest.raises(UpstreamError, match="broke off"):
            await ask(make(f"http://127.0.0.1:{port}", "a"))


async def test_an_error_whose_reason_breaks_off_keeps_its_status() -> None:
    """The status has come."""
    async with listening(saying(b"HTTP/1.1 403 No\r\ncontent-length: 9\r\n\r\nhalf")) as port:
        with pytest.raises(Forbidden, match="half"):
            await ask(make(f"http://127.0.0.1:{port}", "a"))


async def test_an_answer_that_goes_silent_is_given_up() -> None:
    """504 in the middle, too."""

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        await reader.read(-1)

    async with listening(stuck) as port:
        with pytest.raises(UpstreamTimeout, match="silent"):
            await ask(make(f"http://127.0.0.1:{port}", "a", patience=Patience(retries=0, idle_seconds=0.2)))


async def test_an_answer_that_begins_badly_is_tried_again(upstream: Upstream) -> None:
    """A failure inside a 200 counts like that status."""

    async def begin(response: aiohttp.ClientResponse) -> None:
        if await read_some(response) == b"hello a":
            raise Overloaded("busy")

    upstreams = make(upstream, "a", "b")
    assert await ask(upstreams, begin) == ""
    assert upstream.asked == ["a", "b"]


async def test_a_client_that_leaves_stops_it() -> None:
    """K08: the connection is closed while the upstream still thinks."""
    left = asyncio.Event()

    async def thinking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.readuntil(b"\r\n\r\n{}")
        await reader.read(-1)
        left.set()

    async with listening(thinking) as port:
        upstreams = make(f"http://127.0.0.1:{port}", "a")
        task = asyncio.create_task(ask(upstreams))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(left.wait(), 1)


async def test_a_broken_url_is_no_crash() -> None:
    """502, said in a line."""
    with pytest.raises(UpstreamError, match="can't be reached"):
        await ask(make("http://", "a"))
