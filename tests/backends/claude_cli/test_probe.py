"""The probe: what it finds out about the real CLI and about one that was meddled with, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_claude
import pytest
from real_cli import is_alive, until

from claude_proxy.backends.claude_cli import checks, conversation, features, probe
from claude_proxy.backends.claude_cli.binary import Binary, find_binary
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.features import NAMES, VITAL, Check, Report

MEDDLER = """#!{python}
import json, os, subprocess, sys
{environment}
child = subprocess.Popen([{real!r}, *sys.argv[1:]], stdin=subprocess.PIPE)
for data in sys.stdin.buffer:
    line = json.loads(data)
    {meddle}
    child.stdin.write(json.dumps(line).encode() + b"\\n")
    child.stdin.flush()
"""
"""The real CLI with something changed on the way in."""

FAULTY = """#!{python}
import json, os, signal, sys, time
folder = {folder!r}
with open(folder + "/started", "a") as started:
    started.write(json.dumps([os.getpid(), os.getcwd(), os.listdir(), dict(os.environ)]) + "\\n")
{fault}
"""
"""No CLI at all; it notes down how it was started."""

HANGS = "time.sleep(600)"
IGNORES_SIGTERM = f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{HANGS}"
EXITS = "sys.exit('out of luck')"


def script(folder: Path, text: str) -> Binary:
    """Make an executable."""
    path = folder / "claude"
    path.write_text(text)
    path.chmod(0o755)
    return Binary(str(path), "2.1.999")


def faulty(folder: Path, fault: str) -> Binary:
    """Make a CLI that only fails."""
    return script(folder, FAULTY.format(python=sys.executable, folder=str(folder), fault=fault))


def started(folder: Path) -> list[tuple[int, str, list[str], dict[str, str]]]:
    """Tell how a faulty CLI was started: process id, working directory, what was in it, environment."""
    noted = folder / "started"
    return [tuple(json.loads(line)) for line in noted.read_text().splitlines()] if noted.exists() else []


def outcome(report: Report, name: str) -> Check:
    """Give one check of a report."""
    return next(check for check in report.checks if check.name == name)


def rooms() -> set[Path]:
    """Give the folders that probes have made and not yet removed."""
    return set(Path(tempfile.gettempdir()).glob("claude-proxy-probe-*"))


@pytest.fixture
def passing() -> bytes:
    """Give a kept report in which everything passed."""
    return features.to_json(Report("2.1.999", tuple(Check(name, passed=True) for name in NAMES)))


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let temporary folders be made below the test's own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@dataclass(frozen=True)
class Probed:
    """What a probe of the real CLI has found, started and left: five processes' work, done once for all tests."""

    report: Report
    children: list[Child]
    rooms: set[Path]
    cache: Path


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probed]:
    """Probe the real CLI, keeping the report in a folder that others could read."""
    cache, temporary = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("temporary")
    cache.chmod(0o755)
    children: list[Child] = []

    class Noted(Child):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            children.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "Child", Noted)
        patch.setattr(tempfile, "tempdir", str(temporary))
        report = asyncio.run(probe.cached(find_binary(), cache))
        yield Probed(report, children, rooms(), cache)


def test_the_real_cli_passes_every_check(real: Probed) -> None:
    """And its processes and folders are gone afterwards."""
    report, children = real.report, real.children
    passed = [check.name for check in report.checks if check.passed and not check.detail]
    vital, of_a_turn = "history at-path slash", "next-turn thinking effort json-schema"
    of_tools, of_faults = "tools held-results parameters", "errors early-stop broken-stream"
    assert passed == f"{vital} {of_a_turn} {of_tools} {of_faults}".split()
    assert (report.version, report.refused, report.off) == (find_binary().version, None, frozenset())
    assert len(children) == 5
    assert not [child.pid for child in children if child.returncode is None or is_alive(child.pid or 0)]
    assert not real.rooms


@pytest.mark.parametrize(
    ("environment", "meddle", "wrong"),
    [
        pytest.param(
            "",
            "if line['type'] == 'assistant': continue",
            {"history": '["assistant", [{"text": "I see.'},
            id="no assistant turns",
        ),
        pytest.param(
            "del os.environ['CLAUDE_CODE_DISABLE_ATTACHMENTS']",
            "line.pop('client_composed', None)",
            {"at-path": "the content of a file that was only named arrived", "slash": ""},
            id="text as if it was typed",
        ),
        pytest.param(
            "",
            "if line.get('shouldQuery', True): line.pop('client_composed', None)",
            {"slash": "/clear wasn't asked upstream"},
            id="the last turn as if it was typed",
        ),
        pytest.param(
            "",
            "if line.get('request', {}).get('subtype') == 'apply_flag_settings': line['request']['settings'] = {}",
            {
                "thinking": '"display": "summarized"',
                "effort": "asked for low, then for nothing",
                "json-schema": "null arrived in the place of",
                "parameters": '"max_tokens": 777',
            },
            id="settings that don't count",
        ),
        pytest.param(
            "del os.environ['CLAUDE_AGENT_SDK_MCP_NO_PREFIX']",
            "",
            {"tools": "doesn't offer the tools asked for", "held-results": "not reached, as tools failed"},
            id="prefixed tools",
        ),
        pytest.param(
            "",
            "line = json.loads(data.replace(b'tools/list_changed', b'prompts/list_changed'))",
            {"tools": "doesn't offer the tools asked for", "held-results": "not reached, as tools failed"},
            id="tools that are told late",
        ),
        pytest.param(
            "",
            "line = {'type': 'keep_alive'} if 'mcp_response' in str(line) else line",
            {"tools": "didn't ask for the tools as it started"},
            id="no tools asked for",
        ),
        pytest.param(
            "",
            "line = json.loads(data.replace(b'Look around', b'Look away'))",
            {"tools": "Look around"},
            id="another description",
        ),
        pytest.param(
            "",
            "line = json.loads(data.replace(b'readOnlyHint', b'destructiveHint'))",
            {"tools": "only 1 of two tool calls came"},
            id="one call after the other",
        ),
        pytest.param(
            "",
            "line = json.loads(data.replace(b'sunny', b'rainy')) if 'mcp_response' in str(line) else line",
            {"held-results": "rainy"},
            id="another result",
        ),
        pytest.param(
            "os.environ['CLAUDE_CODE_MAX_RETRIES'] = '1'",
            "",
            {"errors": "asked upstream 3 times, not 2"},
            id="retries",
        ),
        pytest.param(
            "del os.environ['CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK']",
            "",
            {"broken-stream": "asked upstream 2 times, not 1"},
            id="a second sample",
        ),
    ],
)
async def test_what_a_version_does_wrong_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str, meddle: str, wrong: dict[str, str]
) -> None:
    """Each change to the real CLI fails the checks that look for it, with what was seen."""
    monkeypatch.setattr(checks, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(conversation, "_CALL_SECONDS", 1.0)
    monkeypatch.setattr(checks, "GROUPS", [group for group in checks.GROUPS if wrong.keys() & group[1].keys()])
    real = find_binary().path
    filled = MEDDLER.format(python=sys.executable, real=real, environment=environment, meddle=meddle or "pass")
    report = await probe.probe(script(tmp_path, filled))
    for name, detail in wrong.items():
        check = outcome(report, name)
        assert not check.passed
        assert detail in check.detail
        assert "\n" not in check.detail
    assert ("can't be used" in (report.refused or "")) == bool(wrong.keys() & VITAL.keys())


async def test_a_cli_without_history_is_refused(tmp_path: Path) -> None:
    """A stand-in that answers by itself asks nothing upstream: whatever it says, it isn't used."""
    report = await probe.probe(Binary(fake_claude.install(tmp_path), "2.1.999"))
    assert report.refused is not None
    assert "2.1.999 can't be used, as it changes a conversation's history" in report.refused
    assert "(history: asked upstream 0 times, not 1)" in report.refused


@pytest.mark.parametrize("fault", [HANGS, IGNORES_SIGTERM])
async def test_a_cli_that_hangs_is_reported_within_the_deadline(tmp_path: Path, fault: str) -> None:
    """Nothing was shown, two processes at a time were started, and neither is left."""
    begun = time.monotonic()
    report = await probe.probe(faulty(tmp_path, fault), seconds=1)
    assert time.monotonic() - begun < 8
    assert {check.detail for check in report.checks} == {"not shown within 1 s"}
    assert report.refused is not None
    assert "couldn't be checked" in report.refused
    assert len(started(tmp_path)) == 2
    assert not [pid for pid, *_ in started(tmp_path) if is_alive(pid)]
    assert not rooms()


async def test_a_cancelled_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    """The processes are reaped before the cancellation is through."""
    task = asyncio.create_task(probe.probe(faulty(tmp_path, HANGS)))
    await until(lambda: len(started(tmp_path)) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [pid for pid, *_ in started(tmp_path) if is_alive(pid)]
    assert not rooms()


async def test_a_cli_that_exits_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """Nobody waits for the deadline, and what its exit left open isn't held against the version."""
    report = await probe.probe(faulty(tmp_path, EXITS))
    assert "out of luck" in outcome(report, "history").detail
    assert "not reached, as history failed" in outcome(report, "slash").detail
    assert not [check.name for check in report.checks if check.passed or check.shown]


async def test_a_binary_that_isnt_there_is_a_report_too(tmp_path: Path) -> None:
    """It may have been removed since it was found."""
    report = await probe.probe(Binary(str(tmp_path / "gone"), "2.1.999"))
    assert report.refused is not None


async def test_nothing_of_the_users_reaches_the_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Home, sign-in, keys and proxies of the user stay out; each child has folders of its own, and an empty one."""
    for name in ("HOME", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "HTTPS_PROXY", "LC_ALL"):
        monkeypatch.setenv(name, "/of/the/user")
    monkeypatch.setenv("LANG", "C.UTF-8")
    await probe.probe(faulty(tmp_path, EXITS))
    told = started(tmp_path)
    assert len({env["HOME"] for *_, env in told}) == len(told) == 5
    for _, cwd, entries, env in told:
        assert "/of/the/user" not in env.values()
        assert (env["CLAUDE_CODE_OAUTH_TOKEN"], env["LANG"], entries) == ("dummy", "C.UTF-8", [])
        assert env["ANTHROPIC_BASE_URL"].startswith("http://127.0.0.1:")
        for folder in (cwd, env["HOME"], env["CLAUDE_CONFIG_DIR"], env["TMPDIR"]):
            assert Path(folder).is_relative_to(tmp_path / "temporary")


async def test_a_version_is_probed_once(tmp_path: Path, real: Probed) -> None:
    """The second time nothing is started; what is kept is for its owner only."""
    version = real.report.version
    assert await probe.cached(Binary(str(tmp_path / "gone"), version), real.cache) == real.report
    (kept,) = real.cache.iterdir()
    assert kept.name == f"probe-{version}.json"
    assert (kept.stat().st_mode & 0o777, real.cache.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("probe-2.1.999.json", lambda data: data[:-9]),
        ("probe-2.1.999.json", lambda data: data.replace(b"2.1.999", b"2.1.998")),
        ("probe-2.1.998.json", lambda data: data),
        ("probe-2.1.999.json", lambda data: data.replace(b'"schema":1', b'"schema":0')),
    ],
    ids=["cut short", "of another version inside", "of another version", "of another schema"],
)
async def test_what_isnt_known_is_probed(tmp_path: Path, passing: bytes, file: str, change: Any) -> None:
    """A cache that says nothing about this version is no reason to trust it."""
    (tmp_path / file).write_bytes(change(passing))
    report = await probe.cached(faulty(tmp_path, EXITS), tmp_path)
    assert started(tmp_path)
    assert report.refused is not None


async def test_a_refusal_isnt_kept(tmp_path: Path) -> None:
    """What failed for a reason of the moment is tried again the next time."""
    folder = tmp_path / "cache"
    for times in (5, 10):
        await probe.cached(faulty(tmp_path, EXITS), folder)
        assert len(started(tmp_path)) == times
    assert not folder.exists()


async def test_a_cache_that_cant_be_written_is_done_without(
    tmp_path: Path, passing: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The report is given all the same, and the log says why it isn't kept."""
    report = features.from_json(passing)
    assert report is not None

    async def known(_: Binary) -> Report:
        return report

    monkeypatch.setattr(probe, "probe", known)
    (tmp_path / "file").write_text("in the way")
    assert await probe.cached(Binary("claude", "2.1.999"), tmp_path / "file") == report
    assert "can't be kept" in caplog.text
