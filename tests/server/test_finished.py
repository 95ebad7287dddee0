"""What stays of each finished turn: whatever its dialect, its backend, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from real_cli import until
from scripted_server import MODELS, NativeBackend, Running, ScriptedBackend, Serve, reply
from served import serving

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.base import Original, Relayed, Used
from claude_proxy.canon.events import MessageStart, Usage
from claude_proxy.config.schema import ClaudeApiKey, Config
from claude_proxy.errors import RateLimited, UpstreamError
from claude_proxy.ledger.entry import Entry
from claude_proxy.ledger.store import Ledger
from claude_proxy.simulator import Simulator


class Noting(Ledger):
    """A ledger of which a test gets each entry when it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: asyncio.Queue[Entry] = asyncio.Queue()

    def note(self, entry: Entry) -> None:
        """Give it to the test, too."""
        super().note(entry)
        self.entries.put_nowait(entry)

    async def next(self) -> Entry:
        """Wait for an entry."""
        return await asyncio.wait_for(self.entries.get(), 10)


@pytest.fixture
def ledger() -> Noting:
    """Give a ledger in memory."""
    return Noting()


def ask(server: Running, dialect: str, **fields: Any) -> Any:
    """Ask in one of the dialects."""
    return {"chat": server.chat, "messages": server.message, "responses": server.respond}[dialect](**fields)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
async def test_a_turn_that_is_translated(
    serve: Serve, backend: ScriptedBackend, ledger: Noting, dialect: str, *, stream: bool
) -> None:
    """The tokens of its beginning and of its end, and how long it took."""
    backend.timings = {"queue": 0.25, "claim": 0.1, "first_byte": 0.5}
    server = await serve(ledger=ledger)
    async with ask(server, dialect, stream=stream) as response:
        await response.read()
    entry = await ledger.next()
    assert entry[1:6] == (dialect, "scripted", "", "claude-sonnet-5-5", 200)
    assert (entry.queue_seconds, entry.first_byte_seconds) == (0.25, 0.5)
    assert entry.total_seconds > 0
    assert entry[-5:] == (3, 5, None, None, None)


async def test_all_kinds_of_tokens(serve: Serve, backend: ScriptedBackend, ledger: Noting) -> None:
    """Also how many of the cache writes are for an hour; and the model that really answered."""
    usage = Usage(
        input_tokens=1,
        output_tokens=2,
        cache_read_input_tokens=3,
        cache_creation_input_tokens=4,
        extra={"cache_creation": {"ephemeral_1h_input_tokens": 3}},
    )
    backend.script = [MessageStart(id="m", model="claude-opus-9", usage=usage), *reply("hi")[1:]]
    server = await serve(ledger=ledger)
    async with server.chat() as response:
        assert response.status == 200
    entry = await ledger.next()
    assert entry.model == "claude-opus-9"
    assert entry[-5:] == (1, 5, 3, 4, 3)


@dataclass
class Telling(NativeBackend):
    """Hands on what says what it took."""

    used: Used = field(default_factory=lambda: Used("told", Usage(input_tokens=8)))

    @asynccontextmanager
    async def relay(self, original: Original) -> AsyncIterator[Relayed]:
        """Hand it on."""
        async with super().relay(original) as relayed:
            relayed.used = self.used
            yield relayed


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_that_is_handed_on(serve: Serve, ledger: Noting, *, stream: bool) -> None:
    """By what the backend has seen of it."""
    server = await serve(Telling(answered_by="claude-api-key/2"), ledger=ledger)
    async with server.message(stream=stream) as response:
        await response.read()
    entry = await ledger.next()
    assert entry[1:6] == ("messages", "claude-api-key/2", "", "told", 200)
    assert entry.input_tokens == 8


async def test_a_failure_the_upstream_told_of_in_its_stream(serve: Serve, ledger: Noting) -> None:
    """Though the client's status was 200."""

    class Failing(Telling):
        @asynccontextmanager
        async def relay(self, original: Original) -> AsyncIterator[Relayed]:
            async with super().relay(original) as relayed:
                relayed.error = UpstreamError("no more")
                yield relayed

    server = await serve(Failing(), ledger=ledger)
    async with server.message(stream=True) as response:
        assert response.status == 200
        await response.read()
    assert (await ledger.next()).status == 502


async def test_a_turn_that_fails_before_its_first_byte(serve: Serve, backend: ScriptedBackend, ledger: Noting) -> None:
    """Nobody has counted anything."""
    backend.entry = [RateLimited("later")]
    server = await serve(ledger=ledger)
    async with server.chat(stream=True) as response:
        assert response.status == 429
    entry = await ledger.next()
    assert entry[1:6] == ("chat", "scripted", "", "claude-sonnet-5-5", 429)
    assert entry[-5:] == (None,) * 5


async def test_a_turn_that_fails_in_its_middle(serve: Serve, backend: ScriptedBackend, ledger: Noting) -> None:
    """With the status of its failure, and the tokens that were told before."""
    backend.script = [*reply("hi")[:3], UpstreamError("broke off")]
    server = await serve(ledger=ledger)
    async with server.chat(stream=True) as response:
        assert response.status == 200
        await response.read()
    entry = await ledger.next()
    assert (entry.status, entry.input_tokens, entry.output_tokens) == (502, 3, None)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_whose_client_leaves(
    serve: Serve, backend: ScriptedBackend, ledger: Noting, *, stream: bool
) -> None:
    """It isn't lost, and no failure."""
    backend.script = [*reply("hi")[:3], asyncio.Event()]
    server = await serve(ledger=ledger)
    asked = asyncio.ensure_future(server.chat(stream=stream)._coro)
    await backend.reached(1)
    await until(lambda: backend.sent == 3)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await server.http.close()
    entry = await ledger.next()
    assert (entry.status, entry.input_tokens) == (499, 3)


async def test_a_profile_has_a_column(serve: Serve, ledger: Noting) -> None:
    """A backend of the CLI is one sign-in."""
    server = await serve(ScriptedBackend(name="claude-cli/work"), ledger=ledger)
    async with server.chat() as response:
        assert response.status == 200
    entry = await ledger.next()
    assert (entry.backend, entry.profile) == ("claude-cli", "work")


async def test_what_is_no_turn_has_no_entry(serve: Serve, ledger: Noting) -> None:
    """Counting, lists, what nobody has, and what isn't understood."""
    server = await serve(ledger=ledger)
    await server.http.post(f"{server.url}/v1/messages/count_tokens", json={"model": "sonnet", "messages": []})
    await server.http.get(f"{server.url}/v1/models")
    await server.chat(model="nobody-has-it")
    await server.http.post(f"{server.url}/v1/chat/completions", data=b"nonsense")
    async with server.chat() as response:
        await response.read()
    await ledger.next()
    assert ledger.entries.empty()


async def test_nothing_is_noted_where_that_is_switched_off(serve: Serve, ledger: Noting) -> None:
    """Though the server counts for its metrics."""
    server = await serve(ledger=ledger, usage_statistics_enabled=False)
    async with server.chat() as response:
        await response.read()
    async with server.http.get(f"{server.url}/api/status") as response:
        assert (await response.json())["usage"] == {"enabled": False}
    async with server.http.get(f"{server.url}/metrics") as response:
        assert "claude_proxy_requests_total{" in await response.text()
    assert ledger.entries.empty()


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=-1, output_tokens=1 << 70),
        Usage(extra={"cache_creation": [1]}),
        Usage(extra={"cache_creation": {"ephemeral_1h_input_tokens": "many"}}),
    ],
)
async def test_counts_that_cant_be_are_none(
    serve: Serve, backend: ScriptedBackend, ledger: Noting, usage: Usage
) -> None:
    """Whatever an upstream says, the turn is kept."""
    backend.script = [MessageStart(id="m", model="m\ud800", usage=usage), *reply("hi")[1:]]
    server = await serve(ledger=ledger)
    async with server.chat(stream=True) as response:
        await response.read()
    entry = await ledger.next()
    assert entry.input_tokens is None
    assert entry.cache_write_1h_tokens is None
    assert (await ledger.usage())["month"]["total"]["requests"] == 1


async def test_real_keys_and_a_client_in_each_dialect(ledger: Noting) -> None:
    """What the upstream counted for the same question is the same, whether it is handed on or translated."""
    async with Simulator() as upstream:
        config = Config(port=0, claude_api_key=(ClaudeApiKey(api_key="k", base_url=upstream.base_url),))
        async with serving(ClaudeApi(config), config, ledger=ledger) as url, asking(url) as post:
            entries = []
            for path, stream in (
                ("/v1/messages", False),
                ("/v1/messages", True),
                ("/v1/chat/completions", False),
                ("/v1/chat/completions", True),
            ):
                await post(path, stream=stream)
                entries.append(await ledger.next())
    assert {(entry.backend, entry.model, entry.status) for entry in entries} == {("claude-api-key", MODELS[0].id, 200)}
    assert len({entry.output_tokens for entry in entries}) == 1
    assert entries[0].output_tokens
    assert all(entry.input_tokens for entry in entries)
    assert entries[0][-5:] == entries[1][-5:]


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Any]:
    """Give what posts a question and reads the answer."""
    async with aiohttp.ClientSession() as session:

        async def post(path: str, *, stream: bool) -> None:
            body = {"model": "sonnet", "max_tokens": 50, "stream": stream}
            body["messages"] = [{"role": "user", "content": "hi"}]
            async with session.post(url + path, json=body) as response:
                assert response.status == 200, await response.text()
                await response.read()

        yield post
