"""One request under way, and what ends it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.test_utils import make_mocked_request

from claude_proxy.config.schema import Config
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.chat import Chat
from claude_proxy.errors import BadRequest, Unavailable
from claude_proxy.server.exchange import Exchange, Server
from claude_proxy.server.job import Job


async def test_what_is_stopped_before_it_begins_never_begins() -> None:
    """A request that comes to its turn after the end of waiting is refused."""
    exchange = Exchange()
    exchange.stop()
    with pytest.raises(Unavailable):
        async with exchange.stoppable():
            raise AssertionError


async def test_stopping_twice_is_stopping_once() -> None:
    """The second call finds nothing to do."""
    exchange = Exchange()

    async def stuck() -> None:
        async with exchange.stoppable():
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await asyncio.sleep(0)
    exchange.stop()
    exchange.stop()
    with pytest.raises(Unavailable):
        await task


async def test_a_cancelled_task_stays_cancelled() -> None:
    """A client that leaves is no shutdown."""
    exchange = Exchange()

    async def stuck() -> None:
        async with exchange.stoppable():
            await asyncio.Event().wait()

    task = asyncio.create_task(stuck())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def job_for(dialect: Chat) -> Job:
    """Give a request in a dialect."""
    request = make_mocked_request("POST", "/v1/chat/completions")
    server = Server(Config(), ())
    return Job(
        server, Exchange(), request, dialect, dialect.parse, body=b"", stream=False, candidates=(), stamp=Stamp("x", 0)
    )


def test_a_body_too_deep_for_any_parser_is_the_client_s_failure() -> None:
    """A dialect that runs out of stack gives a 400."""

    class Deep(Chat):
        def parse(self, body: bytes) -> Parsed:
            raise RecursionError

    with pytest.raises(BadRequest, match="nested too deeply"):
        job_for(Deep()).parsed()
