"""Times to the first delta, side by side: the real CLI and the simulator, no network, no login. Linux only.

The sides take turns in every round, so what slows the machine down slows all of them down.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from processes import at_rest, line_of, rss_mb, started
from rich.console import Console
from rich.table import Table
from sides import CONTINUED, MODEL, SIDES, Setting

from claude_proxy.backends.claude_cli.binary import find_binary

Figures = dict[str, Any]
_BASE, _PROCESS = list(SIDES)[:2]


@asynccontextmanager
async def setting(folder: Path) -> AsyncIterator[tuple[Setting, int]]:
    """Start the simulator and our server in a home of their own; give the server's pid, too."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE", "XDG_"))}
    own = {"CLAUDE_CONFIG_DIR": str(folder / "config"), "CLAUDE_CODE_OAUTH_TOKEN": "dummy", "NO_PROXY": "127.0.0.1"}
    env, file = {**kept, **own, "HOME": str(folder), "TMPDIR": str(folder)}, folder / "config.yaml"
    async with started("claude_proxy.simulator", "--lenient", env=env, cwd=folder) as simulator:
        upstream = (await line_of(simulator)).decode().strip()
        cli = f"{{base-url: '{upstream}', warm-models: [{MODEL}], max-processes: 8}}"
        file.write_text(f"port: 0\nlog-format: json\nclaude-cli: {cli}\n")
        command = ("claude_proxy", "--config", str(file), "serve", "--log-level", "error")
        async with started(*command, env=env, cwd=folder) as server, aiohttp.ClientSession() as http:
            url = json.loads(await line_of(server, b'{"event":"listening"'))["openai_base_url"]
            await line_of(server, b'{"event":"backends"')
            yield Setting(http, upstream, url, find_binary().path, env, folder), server.pid


async def measure(side: str, ready: Setting, pid: int) -> dict[str, float]:
    """Make one request when all is at rest, and wait until it is again."""
    request = await SIDES[side](ready)
    before, ended = await at_rest(pid), _ended_ms()
    first_ms = await request * 1000
    after = await at_rest(pid)
    if side in CONTINUED and before.keys() != after.keys():  # another process took the turn, so it was no such turn
        return await measure(side, ready, pid)
    used = {one: total - before.get(one, 0) for one, total in after.items()}
    server = {"server_cpu_ms": used.pop(pid), "server_rss_mb": rss_mb(pid)}
    return {"first_ms": first_ms, "cli_cpu_ms": sum(used.values()) + _ended_ms() - ended, **server}


def _ended_ms() -> float:
    """Give the CPU time of the processes that we started and that have ended."""
    used = getrusage(RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


async def run(rounds: int, folder: Path) -> Figures:
    """Measure every side once a round, after a round that doesn't count."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    async with asyncio.timeout(60 + 30 * rounds), setting(folder) as (ready, pid):
        await at_rest(pid)
        start = rss_mb(pid)
        taken = [{side: await measure(side, ready, pid) for side in SIDES} for _ in range(rounds + 1)][1:]
        processes = [rss_mb(one) for one in await at_rest(pid) if one != pid]
        memory = {"server_start": start, "server_end": rss_mb(pid), "cli_process": median(processes)}
    sides = {side: _figures([samples[side] for samples in taken], side) for side in SIDES}
    about = {"rounds": rounds, "cores": os.cpu_count(), "claude": find_binary().version}
    return {**about, "memory_mb": memory, "cli_processes": len(processes), "sides": sides}


def _figures(samples: list[dict[str, float]], side: str) -> Figures:
    times = [sample["first_ms"] for sample in samples]
    names = {_BASE: (), _PROCESS: ("cli_cpu_ms",)}.get(side, ("server_cpu_ms", "cli_cpu_ms", "server_rss_mb"))
    medians = {name: median(sample[name] for sample in samples) for name in names}
    return {"median_ms": median(times), "least_ms": min(times), "most_ms": max(times), **medians, "all_ms": times}


def show(results: Figures, console: Console) -> None:
    """Print the table."""
    table = Table("first delta after", title="{rounds} rounds, {cores} cores, claude {claude}".format(**results))
    for column in ("median ms", "least-most", "x upstream", "x a process", "server CPU ms", "CLI CPU ms", "server MB"):
        table.add_column(column, justify="right")
    for name, side in results["sides"].items():
        spread = "{median_ms:.1f}|{least_ms:.1f}-{most_ms:.1f}".format(**side).split("|")
        ratios = [f"{side['median_ms'] / results['sides'][other]['median_ms']:.3g}" for other in (_BASE, _PROCESS)]
        more = [f"{side[key]:.1f}" if key in side else "" for key in ("server_cpu_ms", "cli_cpu_ms", "server_rss_mb")]
        table.add_row(name, *spread, *ratios, *more)
    console.print(table)
    memory = (
        "Server: {server_start:.0f} MB at the start, {server_end:.0f} MB at the end; CLI process: {cli_process:.0f} MB"
    )
    console.print(memory.format(**results["memory_mb"]), f"({results['cli_processes']} of them).")


def main() -> None:
    """Read the command line, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each side is measured (default: 10)")
    parser.add_argument("--json", type=Path, help="write all figures to this file, too")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="claude-proxy-bench-", ignore_cleanup_errors=True) as folder:
        results = asyncio.run(run(options.rounds, Path(folder)))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    show(results, Console(width=None if sys.stdout.isatty() else 120))


if __name__ == "__main__":
    main()
