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
from typing import Any

import pytest
from real_cli import is_alive

RUN = Path(__file__).parents[1] / "benchmarks" / "run.py"
PAIRED = ("new", "next turn", "new prompt", "tool results")
SIDES = {"upstream, straight", "a CLI process each"} | {
    f"{who}, {what}" for who in ("straight", "ours") for what in PAIRED
}
LOADS = {
    "ours, new, 1 at once",
    "ours, new, 4 at once",
    "ours, new, 16 at once",
    "a CLI process each, 4 at once",
    "straight, next turns of 4",
    "ours, next turns of 4",
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


def measured(folder: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Give the results as JSON, and what was printed; no process and no folder may stay."""
    file = folder / "results.json"
    with running(folder, "--json", str(file), *options) as process:
        output, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, "")
    wait_until_gone(folder)
    assert list(folder.iterdir()) == [file]
    return json.loads(file.read_text()), output


def test_every_side_is_measured(tmp_path: Path) -> None:
    """The table names each, the JSON has its figures."""
    results, output = measured(tmp_path, "--rounds", "1", "--only", "first-delta")
    part = results["first-delta"]

    assert set(part["sides"]) == SIDES
    assert [side for side in SIDES if side not in output] == []
    for name, side in part["sides"].items():
        assert len(side["all_ms"]) == results["rounds"] == 1
        assert side["most_ms"] >= side["median_ms"] >= side["least_ms"] > 0
        wanted = {"server_cpu_ms", "server_rss_mb", "cli_cpu_ms"} if name.startswith("ours") else set()
        assert [key for key in wanted if not side[key] > 0] == []
    assert min(part["memory_mb"].values()) > 0
    assert part["cli_processes"] > 0


def test_loads_and_streams_are_measured(tmp_path: Path) -> None:
    """Each load has its rate, each stream the gaps between all of its deltas."""
    results, output = measured(tmp_path, "--rounds", "1", "--requests", "1", "--only", "throughput", "streaming")

    assert set(results["throughput"]) == LOADS
    assert [load for load in LOADS if load not in output] == []
    assert all(load["per_second"] > 0 and load["median_ms"] > 0 for load in results["throughput"].values())
    streams = results["streaming"].values()
    assert len({stream["deltas"] for stream in streams}) == 1  # each has all that the upstream sends
    assert all(len(stream["all_gaps_ms"]) == stream["deltas"] - 1 > 10 for stream in streams)
    # A delay is the difference of two processes' readings of one clock: wrong by a unit or a base it is far off.
    assert all(0 < min(stream["all_delays_ms"]) < stream["median_delay_ms"] < 1000 for stream in streams)


def test_requests_that_queue_up_are_counted(tmp_path: Path) -> None:
    """All are answered, by no more processes than allowed, and who came first is served first."""
    results, output = measured(tmp_path, "--queue", "6")
    part = results["queue"]

    assert part["requests"] == 6
    assert 1 < part["most_processes"] <= 4
    assert part["most_overtaken"] < 4
    assert "requests, 16 at once" in output


def test_requests_with_an_api_key_are_measured(tmp_path: Path) -> None:
    """What the server adds to a request that it hands on, and each API's turns on either kind of backend."""
    results, output = measured(tmp_path, "--rounds", "1", "--only", "direct", "apis", "apis-direct")

    straight, ours = results["direct"]["upstream, straight"], results["direct"]["ours"]
    assert len(straight["all_ms"]) == len(ours["all_ms"]) == 25
    assert min(ours["cpu_ms"], ours["rss_mb"], straight["median_ms"]) > 0
    for part in ("apis", "apis-direct"):
        assert set(results[part]) == {"Chat Completions", "Messages", "Responses", "Responses, stored"}
        assert all(len(api["all_ms"]) == 4 for api in results[part].values())
        assert all(api["whole_ms"] >= api["median_ms"] > 0 for api in results[part].values())
    assert "first byte with an API key" in output
    assert "Responses, stored" in output


def test_slow_streams_are_counted(tmp_path: Path) -> None:
    """All are open at once, and all arrive whole."""
    results, output = measured(tmp_path, "--streams", "3")
    part = results["streams"]

    assert part["streams"] == part["whole"] == part["most_open"] == 3
    assert part["server_most_mb"] >= part["server_start_mb"] > 0
    assert "slow streams" in output


def test_mixed_turns_are_sampled(tmp_path: Path) -> None:
    """Every kind of turn is made; memory and processes are known before the first and after the last."""
    results, output = measured(tmp_path, "--mixed", "8")
    part = results["mixed"]

    assert sum(part["turns"].values()) == 8
    assert set(part["turns"]) == {"new", "next", "tool", "stream", "schema", "abandoned"}
    assert [sample["turns"] for sample in part["samples"]] == [0, 8]
    assert all(sample["server_rss_mb"] > 0 for sample in part["samples"])
    assert "first-delta" not in results
    assert "8 mixed turns" in output


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    """It is a PNG."""
    file = tmp_path / "results.png"
    with running(tmp_path, "--mixed", "1", "--plot", str(file)) as process:
        process.communicate(timeout=100)
    assert process.returncode == 0
    assert file.read_bytes().startswith(b"\x89PNG")


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
