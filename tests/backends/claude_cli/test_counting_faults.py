"""Counting on a CLI that doesn't do it: an error each time, and never a number."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import fake_claude
import pytest
from real_cli import until, user

from claude_proxy.backends.base import Call
from claude_proxy.backends.claude_cli import count
from claude_proxy.backends.claude_cli.backend import ClaudeCli
from claude_proxy.backends.claude_cli.failures import Lost
from claude_proxy.backends.claude_cli.features import NAMES, Check, Report
from claude_proxy.canon.request import Request, Tool
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.errors import ProxyError, Unavailable, UpstreamError, UpstreamTimeout

CALL = Call(Request(model="sonnet", messages=(user("hi"),)))

MakeFake = Callable[..., Awaitable[ClaudeCli]]


@pytest.fixture
async def make_fake(tmp_path: Path) -> AsyncIterator[MakeFake]:
    """Make backends on the scripted CLI; no process is left of them."""
    made: list[ClaudeCli] = []

    async def make(fault: str, probe: Any = None, **config: Any) -> ClaudeCli:
        settings = {"path": fake_claude.install(tmp_path), "warm": 0, "env": {"FAKE": fault}, **config}
        own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        made.append(ClaudeCli(ClaudeCliConfig(**settings), environment=own, workdir=tmp_path, probe=probe))
        await made[-1].start()
        return made[-1]

    yield make
    for backend in made:
        await backend.close()


async def test_a_count_is_given(make_fake: MakeFake) -> None:
    """The scripted CLI counts one token where nothing is wrong, and its child is gone afterwards."""
    backend = await make_fake("")
    assert await backend.count_tokens(CALL) == 1
    await until(lambda: backend._pool.counts()["leaving"] == 0)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("counting refused", UpstreamError, "no such request"),
        ("estimates", UpstreamError, "estimates"),
        ("dies counting", Lost, "ended"),
        ("history refused", ProxyError, "no"),
    ],
)
async def test_what_is_no_count_is_an_error(
    make_fake: MakeFake, fault: str, error: type[ProxyError], words: str
) -> None:
    """M05: an older version, an upstream that isn't asked, a child that dies twice, a message that isn't taken."""
    backend = await make_fake(fault)
    with pytest.raises(error, match=words):
        await backend.count_tokens(CALL)


async def test_tools_that_the_cli_doesnt_take_are_an_error(
    make_fake: MakeFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """M05: a count without them would be too small, and nobody would know."""
    monkeypatch.setattr(count, "_LISTING_SECONDS", 0.2)
    backend = await make_fake("no tools")
    with pytest.raises(UpstreamError, match="tools"):
        await backend.count_tokens(CALL)


async def test_a_count_that_takes_too_long_is_a_504(make_fake: MakeFake) -> None:
    """The deadline is that of a turn's first sign of life."""
    backend = await make_fake("hangs counting", first_byte_seconds=1)
    with pytest.raises(UpstreamTimeout):
        await backend.count_tokens(CALL)


async def test_a_version_that_drops_tools_counts_none(make_fake: MakeFake) -> None:
    """What the probe has found out holds for counting as well."""

    async def probe(_: Any) -> Report:
        return Report("2.1.329", tuple(Check(name, passed=name != "tools") for name in NAMES))

    backend = await make_fake("", probe)
    with pytest.raises(Unavailable, match="tools"):
        await backend.count_tokens(Call(Request(model="sonnet", messages=(user("hi"),), tools=(Tool(name="x"),))))
    assert await backend.count_tokens(CALL) == 1
