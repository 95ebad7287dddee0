"""A day of use in some minutes: requests of all kinds, several clients at once, and what the server does meanwhile.

It is a report: nothing is judged but whether each answer was the right one. Linux only.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import soak_child
from processes import children
from rich.console import Console
from setting import ROOMY, Setting, setting
from soak_client import Client, Tally
from soak_figures import Soaked, sample
from soak_report import show
from soak_traffic import KINDS, SCRIPTED_ONLY

from claude_proxy.backends.claude_cli.features import NAMES, Check, Report, to_json
from claude_proxy.files import write_private

AT_ONCE = 8
_SAMPLES = 50
_SERVER = (str(Path(__file__).with_name("soak_server.py")),)
_NO_PAUSES = ("--gap-ms", "0")


async def soak(ready: Setting, requests: int, kinds: Sequence[str]) -> Soaked:
    """Make so many requests; each client has conversations of its own, and begins with another kind."""
    tally = Tally()
    await ready.rest()
    samples = [await sample(ready, 0, 0, ())]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        ours = replace(ready, http=http)
        works = [(Client(ours, tally), islice(cycle(kinds), worker * 2, None)) for worker in range(AT_ONCE)]
        started = time.perf_counter()
        while tally.requests < requests:
            tally.seconds.clear()
            goal = min(requests, tally.requests + max(AT_ONCE, requests // _SAMPLES))
            async with asyncio.TaskGroup() as group:
                for client, following in works:
                    group.create_task(_work(client, following, goal))
            await ready.rest()
            samples.append(await sample(ready, tally.requests, time.perf_counter() - started, tally.seconds))
    await ready.rest()
    samples.append(await sample(ready, tally.requests, samples[-1].seconds, ()))
    return Soaked(samples, dict(tally.statuses), dict(tally.errors))


async def _work(client: Client, kinds: Iterator[str], goal: int) -> None:
    while client.tally.requests < goal:
        kind = next(kinds)
        await client.do(kind, KINDS[kind])


async def scripted(folder: Path, requests: int) -> Soaked:
    """Soak our server in front of the stand-in, which counts as one that passes each check of the real CLI."""
    passed = Report(soak_child.VERSION, tuple(Check(name, passed=True) for name in NAMES))
    write_private(folder / f".cache/claude-proxy/probe-{soak_child.VERSION}.json", to_json(passed))
    config = ROOMY.replace("{", f"{{path: '{soak_child.install(folder)}', ", 1)
    return await _served(folder, config, requests, tuple(KINDS))


async def real(folder: Path, requests: int) -> Soaked:
    """Soak our server in front of the real CLI and the simulator."""
    return await _served(folder, ROOMY, requests, tuple(kind for kind in KINDS if kind not in SCRIPTED_ONLY))


async def _served(folder: Path, config: str, requests: int, kinds: Sequence[str]) -> Soaked:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    async with setting(folder, *_NO_PAUSES, config=config, program=_SERVER) as ready:
        soaked = await soak(ready, requests, kinds)
        processes = children(ready.server_pid)
    return replace(soaked, left=sum(os.path.exists(f"/proc/{pid}") for pid in processes))  # noqa: PTH110, ASYNC240  # no disk


RUNS: dict[str, Callable[[Path, int], Coroutine[Any, Any, Soaked]]] = {"scripted": scripted, "real": real}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripted", type=int, default=20_000, metavar="N", help="requests to a stand-in for the CLI")
    parser.add_argument("--real", type=int, default=2_000, metavar="N", help="requests to the real CLI")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all figures to this file, too")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="draw them as a PNG, too")
    return parser.parse_args()


def main() -> None:
    """Read the command line, soak, report."""
    options = _options()
    runs: dict[str, Soaked] = {}
    for name, run in RUNS.items():
        if requests := getattr(options, name):
            with TemporaryDirectory(prefix="claude-proxy-soak-", ignore_cleanup_errors=True) as folder:
                runs[name] = asyncio.run(run(Path(folder), requests))
    if options.json:
        options.json.write_text(json.dumps({name: asdict(run) for name, run in runs.items()}, indent=2) + "\n")
    show(runs, Console(width=None if sys.stdout.isatty() else 120))
    if options.plot:
        from soak_plot import save  # noqa: PLC0415  # slow to load, and only for a picture

        save(runs, options.plot)


if __name__ == "__main__":
    main()
