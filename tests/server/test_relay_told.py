"""What is told of a request that was handed on as it came: what was lost on the way, and how it failed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted_server import NativeBackend, Serve

from claude_proxy.backends.base import Original, Relayed
from claude_proxy.errors import Overloaded, ProxyError


class Telling(NativeBackend):
    """Tells of a loss, and of a failure that the client reads for itself."""

    failure: ProxyError | None = None

    @asynccontextmanager
    async def relay(self, original: Original) -> AsyncIterator[Relayed]:
        """Hand ``chunks`` on."""
        async with super().relay(original) as relayed:
            relayed.losses, relayed.error = ["model"], self.failure
            yield relayed


async def test_another_model_than_was_asked_for_is_named(serve: Serve) -> None:
    """L02: in a header, streamed or not."""
    server = await serve(Telling())
    for stream in (False, True):
        async with server.message(stream=stream) as response:
            assert response.headers["x-claude-proxy-lost"] == "model"


async def test_the_log_knows_of_a_failure_inside_a_stream(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """M04: the client gets the upstream's own bytes, and nothing is added to them."""
    caplog.set_level(logging.INFO)
    backend = Telling(chunks=[b"event: a\ndata: {}\n\n", b"event: error\ndata: {}\n\n"])
    backend.failure = Overloaded("busy")
    server = await serve(backend)
    async with server.message(stream=True) as response:
        assert await response.read() == b"event: a\ndata: {}\n\nevent: error\ndata: {}\n\n"
    assert "error=Overloaded" in caplog.text


@pytest.mark.parametrize("strict", [False, True])
async def test_the_backend_is_told_whether_a_loss_is_allowed(serve: Serve, *, strict: bool) -> None:
    """L02: no other model's reply where the server is strict."""
    backend = Telling()
    server = await serve(backend, strict=strict)
    async with server.message() as response:
        assert response.status == 200
    assert backend.originals[0].strict is strict
