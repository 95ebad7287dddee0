"""Finds out what the installed CLI does, by running it against a Messages API of ours on loopback.

It gets a home, a configuration, a token and a working directory of its own for that, all thrown away: nobody's sign-in
is used, and nothing leaves the machine. Whatever the CLI does, there is a report within the deadline, and no process
is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from claude_proxy import __version__
from claude_proxy.backends.claude_cli import argv, checks, features
from claude_proxy.backends.claude_cli.binary import Binary
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.failures import Lost
from claude_proxy.backends.claude_cli.features import Check, Report, one_line
from claude_proxy.backends.claude_cli.scene import Scene
from claude_proxy.errors import ProxyError
from claude_proxy.files import read_private, write_private
from claude_proxy.simulator import Simulator

_log = logging.getLogger("claude_proxy.cli")

SECONDS = 30.0
"""How long a probe may take; it takes about three seconds."""

_AT_ONCE = 2
_DETAIL_CHARACTERS = 300


async def probe(binary: Binary, *, seconds: float = SECONDS) -> Report:
    """Check what the binary does, whatever that is. What wasn't shown within ``seconds`` counts as failed."""
    done: dict[str, Check] = {}
    places = asyncio.Semaphore(_AT_ONCE)
    with (
        tempfile.TemporaryDirectory(prefix="claude-proxy-probe-", ignore_cleanup_errors=True) as folder,
        contextlib.suppress(TimeoutError),
    ):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for number, (model, table) in enumerate(checks.GROUPS):
                room = Path(folder) / str(number)
                group.create_task(_run_group(binary, model, table, room, places, done))
    late = f"not shown within {seconds:g} s"
    report = Report(
        binary.version,
        tuple(done.get(name) or Check(name, passed=False, detail=late, shown=False) for name in features.NAMES),
    )
    _log.debug("claude CLI %s was probed; refused: %s; off: %s", binary.version, report.refused, sorted(report.off))
    return report


async def _run_group(
    binary: Binary,
    model: str,
    table: Mapping[str, checks.Checking],
    room: Path,
    places: asyncio.Semaphore,
    done: dict[str, Check],
) -> None:
    async with places, Simulator(strict=False) as simulator:
        secret = secrets.token_hex(16)
        env = _environment(room, secret, simulator.base_url)
        early = binary.asks_for_tools_again
        child = Child(argv.arguments(binary.path, model, lists_tools_early=early), env, str(room / "cwd"))
        async with _alive(child):
            scene = Scene(child, simulator, model, room / "secret.txt", secret, early)
            stopped: Check | None = None
            for name, check in table.items():
                if stopped is None:
                    done[name], raised = await _outcome(name, check, scene)
                    stopped = done[name] if raised else None
                else:
                    because = f"not reached, as {stopped.name} failed: {stopped.detail}"
                    done[name] = Check(name, passed=False, detail=because, shown=False)


def _environment(room: Path, secret: str, base_url: str) -> dict[str, str]:
    """Make the folders of one child, and give its environment: of our own only what tells where programs are."""
    for name in ("home", "config", "cwd", "tmp"):
        (room / name).mkdir(parents=True)
    (room / "secret.txt").write_text(secret)
    own = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    throw_away = {
        "HOME": str(room / "home"),
        "CLAUDE_CONFIG_DIR": str(room / "config"),
        "TMPDIR": str(room / "tmp"),
        "CLAUDE_CODE_OAUTH_TOKEN": "dummy",
    }
    account = argv.account_environment(own, throw_away, base_url=base_url)
    return argv.child_environment(account, version=__version__, tool_wait_seconds=SECONDS)


@asynccontextmanager
async def _alive(child: Child) -> AsyncIterator[None]:
    """Run the child, and see it reaped, however this ends."""
    life = asyncio.create_task(child.run(), name="probed child")
    try:
        yield
    finally:
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)


async def _outcome(name: str, check: checks.Checking, scene: Scene) -> tuple[Check, bool]:
    """Carry out one check. The second value says that it broke off, so that nothing is known of the child any more."""
    try:
        problem = await check(scene)
    except Exception as caught:  # noqa: BLE001  # whatever a changed CLI sends, it is a failed check, not our end
        ours = isinstance(caught, ProxyError)
        detail = one_line(str(caught) if ours else repr(caught), _DETAIL_CHARACTERS)
        return Check(name, passed=False, detail=detail, shown=ours and not isinstance(caught, Lost)), True
    return Check(name, passed=problem is None, detail=one_line(problem or "", _DETAIL_CHARACTERS)), False


# -- Asked once a version ----------------------------------------------------------------------------------------------


async def cached(binary: Binary, folder: Path) -> Report:
    """Give what is known of the binary's version, or check it and remember the outcome in ``folder``."""
    file = folder / f"probe-{binary.version}.json"
    report = _load(file)
    if report is None or report.version != binary.version:
        report = await probe(binary)
        if report.lasting:
            _store(file, features.to_json(report))
    return report


def _load(file: Path) -> Report | None:
    try:
        # What others could have written there would be trusted: better asked again.
        return features.from_json(read_private(file))
    except OSError:
        return None


def _store(file: Path, data: bytes) -> None:
    try:
        write_private(file, data)
    except OSError as error:
        _log.warning("what was found out about the claude CLI can't be kept in %s: %s", file.parent, error)
