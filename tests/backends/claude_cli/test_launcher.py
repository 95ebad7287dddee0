"""The launcher, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from claude_proxy.backends.claude_cli import launcher

SCRIPT = launcher.__file__
WAYS = [
    pytest.param("become", marks=pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux only")),
    "watch",
]
# Stands in for the server: starts the launcher in one of its two ways, says the launcher's pid, and waits.
SERVER = """
import os, subprocess, sys
way, script, *command = sys.argv[1:]
code = (
    "import runpy, sys; main = runpy.run_path(sys.argv[1]);"
    "sys.exit(main[sys.argv[2]](int(sys.argv[3]), sys.argv[4:]))"
)
child = subprocess.Popen([sys.executable, "-I", "-c", code, script, way, str(os.getpid()), *command])
print(child.pid, flush=True)
sys.exit(child.wait())
"""


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie, which nobody has reaped yet, doesn't)."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    """Look again and again until something holds; say whether it came to."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


class Family:
    """A server stand-in, its launcher, and the command's pid."""

    def __init__(self, way: str, tmp_path: Path, trap: str = "") -> None:
        note = tmp_path / "pid"
        command = ["/bin/sh", "-c", f"{trap}echo $$ > {note}.new; mv {note}.new {note}; while :; do sleep 0.05; done"]
        self.server = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SERVER, way, SCRIPT, *command], stdout=subprocess.PIPE, text=True
        )
        assert self.server.stdout is not None
        self.launcher = int(self.server.stdout.readline())
        assert wait_until(note.exists, 10)
        self.command = int(note.read_text())

    def end(self) -> None:
        """Leave nothing behind."""
        for pid in (self.command, self.launcher):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.server.kill()
        self.server.wait()
        assert self.server.stdout is not None
        self.server.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Family]]:
    """Start families that are ended with the test."""
    families: list[Family] = []

    def one(way: str, trap: str = "") -> Family:
        families.append(Family(way, tmp_path, trap))
        return families[-1]

    yield one
    for family in families:
        family.end()


@pytest.mark.parametrize("way", WAYS)
def test_the_child_dies_with_the_server(way: str, start: Callable[..., Family]) -> None:
    """K13: the server is killed with -9, and two seconds later there is no child that could spend the plan."""
    family = start(way)
    family.server.kill()
    family.server.wait()
    assert wait_until(lambda: not is_alive(family.command), 2)


@pytest.mark.parametrize("way", WAYS)
def test_no_launcher_outlives_the_server(way: str, start: Callable[..., Family]) -> None:
    """K13: nor does what stands between the two."""
    family = start(way)
    family.server.kill()
    family.server.wait()
    assert wait_until(lambda: not is_alive(family.launcher), 2)


@pytest.mark.parametrize("way", WAYS)
def test_a_child_that_ignores_signals_dies_with_the_server_too(way: str, start: Callable[..., Family]) -> None:
    """K13: it is killed, not asked."""
    family = start(way, trap="trap '' TERM INT HUP; ")
    family.server.kill()
    family.server.wait()
    assert wait_until(lambda: not is_alive(family.command), 2)


@pytest.mark.parametrize("way", WAYS)
def test_sigterm_reaches_the_child(way: str, start: Callable[..., Family]) -> None:
    """Ending the launcher ends the child, in the child's own way: here with its own exit code."""
    family = start(way, trap="trap 'exit 7' TERM; ")
    os.kill(family.launcher, signal.SIGTERM)
    assert family.server.wait(5) == 7
    assert not is_alive(family.command)


def test_a_child_ended_by_a_signal_is_told_apart(start: Callable[..., Family]) -> None:
    """The exit code is a shell's: 128 and the signal's number."""
    family = start("watch")
    os.kill(family.launcher, signal.SIGTERM)
    assert family.server.wait(5) == 128 + signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the launcher stays")
def test_on_linux_the_launcher_becomes_the_child(start: Callable[..., Family]) -> None:
    """There is no process in between."""
    family = start("become")
    assert family.launcher == family.command


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_run_for_a_server_that_is_gone(way: str, tmp_path: Path) -> None:
    """K13: it may die while the launcher starts; the command isn't even begun."""
    note = tmp_path / "ran"
    code = f"import runpy, sys; sys.exit(runpy.run_path({SCRIPT!r})[{way!r}](1, ['/bin/sh', '-c', 'echo > {note}']))"
    done = subprocess.run([sys.executable, "-I", "-c", code], check=False)
    assert done.returncode == 70
    assert not note.exists()


@pytest.mark.parametrize("code", [0, 3])
def test_it_runs_as_a_script_and_ends_as_the_command_ends(code: int) -> None:
    """The way the pool starts it: no packages, nothing of ours imported."""
    command = [sys.executable, "-I", "-S", SCRIPT, str(os.getpid()), "/bin/sh", "-c", f"cat; exit {code}"]
    done = subprocess.run(command, input=b"through", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (code, b"through")
