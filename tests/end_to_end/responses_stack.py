"""A server with all that stands behind it, for clients of the Responses API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import openai
from real_cli import Real, running
from served import serving

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.base import Backend
from claude_proxy.backends.openai.backend import OpenAICompatible
from claude_proxy.config.schema import ApiKeyEntry, ClaudeApiKey, Config, OpenAICompatibility
from claude_proxy.simulator import Simulator
from claude_proxy.store.responses import ResponseStore

KEY = "the-key-of-the-test"


@dataclass
class Stack:
    """A client, and what stands behind it; ``real`` is the CLI's backend where that one answers."""

    url: str
    client: openai.AsyncOpenAI
    simulator: Simulator
    real: Real | None

    async def ask(self, given: Any = "hi", **fields: Any) -> Any:
        """Make a response."""
        return await self.client.responses.create(input=given, **{"model": "sonnet", **fields})

    @property
    def sessions(self) -> list[str]:
        """The CLI's sessions, one for each upstream request: a process keeps its own."""
        return [seen.headers["x-claude-code-session-id"] for seen in self.simulator.seen]


@asynccontextmanager
async def standing(kind: str, folder: Path) -> AsyncIterator[Stack]:
    """Give a server on the real CLI (``cli``), on an API key (``key``), or on an upstream that speaks Chat (``chat``).

    Responses are kept on disk. The upstream that speaks Chat is one of our servers, on an API key.
    """
    store = ResponseStore(folder / "data/responses.sqlite3")
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator())
        config = Config(port=0, shutdown_seconds=1, api_keys=(KEY,), request_retry=0)
        real: Real | None = None
        backend: Backend
        if kind == "cli":
            cli = await stack.enter_async_context(running(folder, simulator, start=False))
            backend, real = cli, Real(cli, simulator, folder)
        else:
            entry = ClaudeApiKey(api_key="sk-upstream", base_url=simulator.base_url)
            config = msgspec.structs.replace(config, claude_api_key=(entry,))
            backend = ClaudeApi(config)
        if kind == "chat":
            between = await stack.enter_async_context(serving(backend, config))
            other = OpenAICompatibility(
                name="between", base_url=f"{between}/v1", api_key_entries=(ApiKeyEntry(api_key=KEY),)
            )
            config = msgspec.structs.replace(config, claude_api_key=(), openai_compatibility=(other,))
            backend = OpenAICompatible(config)
        url = await stack.enter_async_context(serving(backend, config, store))
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
        yield Stack(url, await stack.enter_async_context(client), simulator, real)
