"""The benchmarks run, and leave nothing behind. What they measure isn't judged here."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_cli import is_alive

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RUN, SOAK = BENCHMARKS / "run.py", BENCHMARKS / "soak.py"
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

# The first test of either kind waits for all that is measured.
pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="they read /proc"), pytest.mark.timeout(300)]


@contextmanager
def running(folder: Path, *options: str, script: Path = RUN) -> Iterator[subprocess.Popen[str]]:
    """Run the benchmarks, and have them killed where a test fails. They are no part of what is covered."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    env = {**kept, "TMPDIR": str(folder)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script, *options], env=env, stdout=pipe, stderr=pipe, text=True) as process:
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


@dataclass(frozen=True)
class Measured:
    """What a run has told: the figures, what was printed, and the picture where there is one."""

    results: dict[str, Any]
    output: str
    picture: Path


def measured(folder: Path, *options: str) -> Measured:
    """Run the benchmarks to their end; no process and no folder may stay."""
    file, picture = folder / "results.json", folder / "results.png"
    with running(folder, "--rounds", "1", "--json", str(file), "--plot", str(picture), *options) as process:
        output, errors = process.communicate(timeout=240)
    assert (process.returncode, errors) == (0, "")
    wait_until_gone(folder)
    assert file in set(folder.iterdir()) <= {file, picture}
    return Measured(json.loads(file.read_text()), output, picture)


@pytest.fixture(scope="module")
def with_the_cli(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Measure all that needs the CLI, once for all tests: a run begins with its probe, and each part with a server."""
    parts = ("--only", "first-delta", "throughput", "streaming", "apis", "--mixed", "6", "--queue", "5")
    return measured(tmp_path_factory.mktemp("with-the-cli"), "--requests", "1", *parts)


@pytest.fixture(scope="module")
def with_an_api_key(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Measure all that needs none, once for all tests."""
    parts = ("--only", "direct", "apis-direct", "--streams", "3")
    return measured(tmp_path_factory.mktemp("with-an-api-key"), *parts)


def test_every_side_is_measured(with_the_cli: Measured) -> None:
    """The table names each, the JSON has its figures."""
    results, output = with_the_cli.results, with_the_cli.output
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


def test_loads_and_streams_are_measured(with_the_cli: Measured) -> None:
    """Each load has its rate, each stream the gaps between all of its deltas."""
    results, output = with_the_cli.results, with_the_cli.output

    assert set(results["throughput"]) == LOADS
    assert [load for load in LOADS if load not in output] == []
    assert all(load["per_second"] > 0 and load["median_ms"] > 0 for load in results["throughput"].values())
    streams = results["streaming"].values()
    assert len({stream["deltas"] for stream in streams}) == 1  # each has all that the upstream sends
    assert all(len(stream["all_gaps_ms"]) == stream["deltas"] - 1 > 10 for stream in streams)
    # A delay is the difference of two processes' readings of one clock: wrong by a unit or a base it is far off.
    assert all(0 < min(stream["all_delays_ms"]) < stream["median_delay_ms"] < 1000 for stream in streams)


def test_requests_that_queue_up_are_counted(with_the_cli: Measured) -> None:
    """All are answered, by no more processes than allowed, and who came first is served first."""
    part = with_the_cli.results["queue"]

    assert part["requests"] == 5
    assert 1 < part["most_processes"] <= 4
    assert part["most_overtaken"] < 4
    assert "requests, 16 at once" in with_the_cli.output


def test_each_api_is_measured_on_either_kind_of_backend(with_the_cli: Measured, with_an_api_key: Measured) -> None:
    """The same turns of each."""
    for part in (with_the_cli.results["apis"], with_an_api_key.results["apis-direct"]):
        assert set(part) == {"Chat Completions", "Messages", "Responses", "Responses, stored"}
        assert all(len(api["all_ms"]) == len(api["all_whole_ms"]) == 10 for api in part.values())
        assert part["Chat Completions"]["x_chat"] == part["Chat Completions"]["whole_x_chat"] == 1
        assert all(api["x_chat"] > 0 and api["whole_x_chat"] > 0 for api in part.values())
        assert all(api["whole_ms"] >= api["median_ms"] > 0 for api in part.values())
    for run in (with_the_cli, with_an_api_key):
        assert "Responses, stored" in run.output


def test_requests_with_an_api_key_are_measured(with_an_api_key: Measured) -> None:
    """What the server adds to a request that it hands on."""
    results, output = with_an_api_key.results, with_an_api_key.output

    straight, ours = results["direct"]["upstream, straight"], results["direct"]["ours"]
    assert len(straight["all_ms"]) == len(ours["all_ms"]) == 25
    assert min(ours["cpu_ms"], ours["rss_mb"], straight["median_ms"]) > 0
    assert "first byte with an API key" in output


def test_slow_streams_are_counted(with_an_api_key: Measured) -> None:
    """All are open at once, and all arrive whole."""
    part = with_an_api_key.results["streams"]

    assert part["streams"] == part["whole"] == part["most_open"] == 3
    assert part["server_most_mb"] >= part["server_start_mb"] > 0
    assert "slow streams" in with_an_api_key.output


def test_mixed_turns_are_sampled(with_the_cli: Measured) -> None:
    """Every kind of turn is made; memory and processes are known before the first and after the last."""
    part = with_the_cli.results["mixed"]

    assert sum(part["turns"].values()) == 6
    assert set(part["turns"]) == {"new", "next", "tool", "stream", "schema", "abandoned"}
    assert [sample["turns"] for sample in part["samples"]] == [0, 6]
    assert all(sample["server_rss_mb"] > 0 for sample in part["samples"])
    assert "6 mixed turns" in with_the_cli.output


def test_a_picture_is_drawn(with_the_cli: Measured) -> None:
    """It is a PNG."""
    assert with_the_cli.picture.read_bytes().startswith(b"\x89PNG")


def test_a_soak_is_reported(tmp_path: Path) -> None:
    """Every answer is the right one; the server is looked at before, meanwhile and afterwards. A picture is drawn."""
    file, picture = tmp_path / "soak.json", tmp_path / "soak.png"
    options = ("--scripted", "40", "--real", "0", "--json", str(file), "--plot", str(picture))
    with running(tmp_path, *options, script=SOAK) as process:
        output, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, "")
    wait_until_gone(tmp_path)
    run = json.loads(file.read_text())["scripted"]

    assert (run["errors"], run["left"]) == ({}, 0)
    assert {"200", "400", "404"} <= set(run["statuses"])
    first, *_, last = run["samples"]
    assert first["requests"] == 0
    assert last["requests"] >= 40
    figures = ("rss_mb", "descriptors", "children", "threads", "tasks", "objects", "cpu_ms")
    assert [name for name in figures if not min(sample[name] for sample in run["samples"]) > 0] == []
    assert "bytes a request" in output
    assert picture.read_bytes().startswith(b"\x89PNG")


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
