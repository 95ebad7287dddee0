"""What is left in memory of a request that is over: nothing that only the garbage collector would find."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from scripted_server import ScriptedBackend, Serve, Step, reply

from claude_proxy.errors import Overloaded, UpstreamError
from claude_proxy.server.failures import forget_frames
from claude_proxy.server.job import Job


@pytest.fixture
def uncollected() -> Iterator[int]:
    """Turn the collector off: what goes then has gone by itself. Give what was there, held by other tests' errors."""
    gc.collect()
    gc.disable()
    yield held()
    gc.enable()


def held() -> int:
    """Count the requests that are in memory, each with its body."""
    return sum(isinstance(one, Job) for one in gc.get_objects())


@pytest.mark.parametrize(
    ("script", "fields"),
    [
        (reply("fine"), {}),
        (reply("fine"), {"stream": True}),
        ([Overloaded("busy")], {}),
        ([*reply("begun")[:3], UpstreamError("broken off")], {"stream": True}),
        (reply("fine"), {"temperature": "warm"}),
    ],
    ids=["whole", "streamed", "refused upstream", "broken off", "invalid"],
)
async def test_nothing_is_left_of_a_request(
    serve: Serve, backend: ScriptedBackend, uncollected: int, script: Sequence[Step], fields: dict[str, Any]
) -> None:
    """In no API and however it ends: a storm of large bodies would fill the memory before the collector comes to it."""
    backend.script = script
    server = await serve()
    for ask in (server.chat, server.message, server.respond):
        async with ask(**fields) as response:
            await response.read()
    async with server.http.get(f"{server.url}/health"):  # over: the same connection has been answered again
        assert held() == uncollected


def test_frames_are_taken_off_all_errors_behind_one() -> None:
    """Off causes, off what was being handled, and where they go in a circle."""
    inner, outer = ValueError("inner"), OSError("outer")
    try:
        try:
            raise inner
        except ValueError:
            raise outer  # noqa: B904  # what is being handled counts as well
    except OSError:
        inner.__cause__ = outer
    assert inner.__traceback__ is not None
    forget_frames(outer)
    assert [one.__traceback__ for one in (inner, outer)] == [None, None]
    forget_frames(None)
