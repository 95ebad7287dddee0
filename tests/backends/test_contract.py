"""All backends hold the contract: the real CLI, the Messages API by key, and Chat Completions by key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from contract import Contract, Rig, echo
from real_cli import running as running_cli
from served import serving

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.base import Backend
from claude_proxy.backends.http.attempts import Patience
from claude_proxy.backends.openai.backend import OpenAICompatible
from claude_proxy.config.schema import ApiKeyEntry, ClaudeApiKey, Config, OpenAICompatibility
from claude_proxy.simulator import Simulator

MODEL = "claude-sonnet-5-5"
KEY = "dummy-secret"


def patience(*, hasty: bool) -> Patience:
    """Try once, and wait for as long as the test wants."""
    return Patience(retries=0, connect_seconds=0.5, first_byte_seconds=0.5) if hasty else Patience(retries=0)


@asynccontextmanager
async def closing(backend: Backend) -> AsyncIterator[Backend]:
    """Start a backend, and close it."""
    await backend.start()
    try:
        yield backend
    finally:
        await backend.close()


def by_key(simulator: Simulator, how: Patience) -> ClaudeApi:
    """Make a backend that asks the simulator."""
    return ClaudeApi(Config(claude_api_key=(ClaudeApiKey(api_key=KEY, base_url=simulator.base_url),)), patience=how)


class TestClaudeCli(Contract):
    """The official CLI."""

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, *, hasty: bool = False) -> AsyncIterator[Rig]:
        """Run it with a home of its own."""
        patient = 3 if hasty else 60
        async with (
            Simulator(echo) as simulator,
            running_cli(folder, simulator, plan_only=False, env={"X_KEY": KEY}, first_byte_seconds=patient) as backend,
        ):
            yield Rig(backend, simulator, MODEL)


class TestClaudeApiKey(Contract):
    """The Messages API."""

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, *, hasty: bool = False) -> AsyncIterator[Rig]:
        """Run it with one key."""
        async with Simulator(echo) as simulator, closing(by_key(simulator, patience(hasty=hasty))) as backend:
            yield Rig(backend, simulator, MODEL)


class TestOpenAICompatibility(Contract):
    """Chat Completions. The upstream is our own server, on a backend that holds the contract by itself."""

    counts_tokens: ClassVar[bool] = False

    @classmethod
    @asynccontextmanager
    async def running(cls, folder: Path, *, hasty: bool = False) -> AsyncIterator[Rig]:
        """Run it with one key."""
        async with Simulator(echo) as simulator, serving(by_key(simulator, Patience(retries=0))) as url:
            keys = (ApiKeyEntry(api_key=KEY),)
            entry = OpenAICompatibility(name="ours", base_url=f"{url}/v1", api_key_entries=keys)
            config = Config(openai_compatibility=(entry,))
            async with closing(OpenAICompatible(config, patience=patience(hasty=hasty))) as backend:
                yield Rig(backend, simulator, MODEL)
