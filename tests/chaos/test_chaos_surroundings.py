"""What changes under a server that runs: the time of day, and the CLI itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from chaos_stage import Stage, staged
from real_cli import until

from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.backends.claude_cli.policy import Phase
from claude_proxy.simulator import error, text

pytestmark = pytest.mark.asyncio(loop_scope="module")

YEAR = 365 * 86_400.0
REAL = time.time


def install(path: Path, script: str | None) -> None:
    """Put another version of the CLI where one is, at once, as installers do; or take it away."""
    if script is None:
        path.unlink()
        return
    fresh = path.with_name("claude.new")
    fresh.write_text(script)
    fresh.chmod(0o755)
    fresh.replace(path)


def version(name: str, log: Path) -> str:
    """Give a version of the CLI that notes down where it is used; it is the real one."""
    return f'#!/bin/sh\n[ "$1" = --version ] || echo {name} >> {log}\nexec {find_binary().path} "$@"\n'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Run a stage whose CLI is a file that can be replaced. No process is started before it is asked for."""
    folder = tmp_path_factory.mktemp("stage")
    install(folder / "claude", version("first", folder / "log"))
    async with staged(folder, path=str(folder / "claude"), warm=0) as stage:
        yield stage


def conversation(*turns: str) -> list[dict[str, str]]:
    """Give messages of the user and the assistant in turn."""
    return [{"role": ("user", "assistant")[n % 2], "content": words} for n, words in enumerate(turns)]


@pytest.mark.parametrize("years", [20, -20])
async def test_a_clock_that_jumps_stops_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch, years: int) -> None:
    """In mid-stream: it goes on to its end, and its process stays for the next turn, which comes at once."""
    before = len(stage.simulator.seen)
    stage.simulator.queue.append(text("a ", "b ", "c", gap_seconds=0.3))
    answer = stage.asking(messages=conversation("one"), stream=True)
    await until(lambda: any(seen.status == 200 for seen in stage.simulator.seen[before:]), 20)
    monkeypatch.setattr(time, "time", lambda: REAL() + years * YEAR)
    assert (await answer).is_whole
    kept = stage.children(Phase.KEPT)
    began = time.monotonic()
    assert (await stage.ask(messages=conversation("one", "a b c", "two"))).is_whole
    assert time.monotonic() - began < 5
    assert set(kept) <= set(stage.children(Phase.KEPT))
    async with stage.http.get(f"{stage.url}/api/status") as response:
        assert 0 < (await response.json())["uptime_seconds"] < 1000


async def test_a_clock_set_back_does_not_keep_the_plan_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window is over when its time has passed, whatever the clock says by then."""
    told = {"status": "rejected", "reset": f"{int(REAL()) + 5}"}  # later than a busy machine refuses the first
    headers = {f"anthropic-ratelimit-unified-{name}": value for name, value in told.items()}
    stage.simulator.queue.append(error(429, "rate_limit_error", "used up", headers=headers))
    assert (await stage.ask()).status == 429
    monkeypatch.setattr(time, "time", lambda: REAL() - 20 * YEAR)
    refused = await stage.ask("messages")
    assert refused.status == 429
    left = int(refused.headers["retry-after"])
    assert left <= 5
    await asyncio.sleep(left)
    assert (await stage.ask("messages")).is_whole


async def test_another_version_is_used_from_the_next_process_on(stage: Stage, tmp_path: Path) -> None:
    """Upgraded in mid-stream: the stream goes on to its end, its conversation too; who comes new gets the new one."""
    path, log = Path(stage.backend.config.path), tmp_path / "log"
    before = len(stage.simulator.seen)
    stage.simulator.queue.append(text("a ", "b ", "c", gap_seconds=0.3))
    answer = stage.asking(messages=conversation("upgrade"), stream=True)
    await until(lambda: any(seen.status == 200 for seen in stage.simulator.seen[before:]), 20)
    install(path, version("second", log))
    assert (await answer).is_whole
    assert (await stage.ask(messages=conversation("upgrade", "a b c", "more"))).is_whole
    assert not log.exists()
    assert (await stage.ask("messages", "a new conversation")).is_whole
    assert log.read_text() == "second\n"


@pytest.mark.parametrize("broken", ["#!/bin/sh\nexit 1\n", "\x7fELF half of it", None], ids=["fails", "half", "gone"])
async def test_a_version_that_does_not_run_is_a_503_until_one_does(
    stage: Stage, tmp_path: Path, broken: str | None
) -> None:
    """An upgrade that has gone wrong: requests are told what to do, readiness says so, and the next one mends it."""
    path = Path(stage.backend.config.path)
    install(path, broken)
    stage.backend._pool.retire_idle()
    answer = await stage.ask("responses")
    assert answer.status == 503
    assert "isn't a working claude binary" in answer.failed
    async with stage.http.get(f"{stage.url}/readyz") as response:
        assert response.status == 503
    install(path, version("mended", tmp_path / "log"))
    assert (await stage.ask("responses")).is_whole
    async with stage.http.get(f"{stage.url}/readyz") as response:
        assert json.loads(await response.text())["status"] == "ready"
