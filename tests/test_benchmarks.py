"""The benchmarks run, and leave nothing behind. What they measure isn't judged here."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_cli import is_alive

RUN = Path(__file__).parents[1] / "benchmarks" / "run.py"
SIDES = {
    "upstream, straight",
    "a CLI process each",
    "ours, new",
    "ours, new prompt",
    "ours, next turn",
    "ours, tool results",
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="they read /proc")


@contextmanager
def running(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the benchmarks, and have them killed where a test fails."""
    env = {**os.environ, "TMPDIR": str(folder)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, RUN, *options], env=env, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def started_in(folder: Path) -> list[int]:
    """Give every process whose environment names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:  # gone, or somebody else's
            continue
        if str(folder).encode() in environment and is_alive(int(process.name)):
            found.append(int(process.name))
    return found


def wait_until_gone(folder: Path) -> None:
    """Wait until no process is left; fail after two seconds."""
    deadline = time.monotonic() + 2
    while left := started_in(folder):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.05)


def test_every_side_is_measured(tmp_path: Path) -> None:
    """The table names each, the JSON has its figures, and no process and no folder stays."""
    file = tmp_path / "results.json"
    with running(tmp_path, "--rounds", "1", "--json", str(file)) as process:
        output, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, "")
    results = json.loads(file.read_text())

    assert set(results["sides"]) == SIDES
    assert [side for side in SIDES if side not in output] == []
    for name, side in results["sides"].items():
        assert len(side["all_ms"]) == results["rounds"] == 1
        assert side["most_ms"] >= side["median_ms"] >= side["least_ms"] > 0
        wanted = {"server_cpu_ms", "server_rss_mb", "cli_cpu_ms"} if name.startswith("ours") else set()
        assert [key for key in wanted if not side[key] > 0] == []
    assert min(results["memory_mb"].values()) > 0
    assert results["cli_processes"] > 0
    wait_until_gone(tmp_path)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_stopped(tmp_path: Path, number: int) -> None:
    """Not the simulator, not the server, not a process of the CLI: whatever ends it."""
    with running(tmp_path) as process:
        deadline = time.monotonic() + 60
        while len(started_in(tmp_path)) < 4:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode != 0
    wait_until_gone(tmp_path)
