"""Our server beside the real CLI and the simulator: no network, no login. Linux only.

The sides take turns in every round, so what slows the machine down slows all of them down.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apis
import direct
import gaps
import latency
import mixed
import queue_up
import streams
import throughput
from rich.console import Console
from setting import DIRECT, ROOMY, USUAL, Setting, setting
from tables import show

from claude_proxy.backends.claude_cli.binary import find_binary

Figures = dict[str, Any]
_PACE = ("--gap-ms", str(gaps.GAP_MS), "--stamped")
_SLOW = ("--gap-ms", "600")


@dataclass(frozen=True)
class _Part:
    """What to run, with which configuration of the server and which options for the simulator."""

    run: Callable[[Setting, argparse.Namespace], Awaitable[Figures]]
    config: str = ROOMY
    pace: tuple[str, ...] = ()


_PARTS: dict[str, _Part] = {
    "first-delta": _Part(lambda ready, asked: latency.run(ready, asked.rounds)),
    "throughput": _Part(lambda ready, asked: throughput.run(ready, min(asked.rounds, 3), asked.requests), USUAL),
    "streaming": _Part(lambda ready, asked: gaps.run(ready, asked.rounds), ROOMY, _PACE),
    "direct": _Part(lambda ready, asked: direct.run(ready, asked.rounds, asked.litellm), DIRECT),
    "apis": _Part(lambda ready, asked: apis.run(ready, asked.rounds)),
    "apis-direct": _Part(lambda ready, asked: apis.run(ready, asked.rounds), DIRECT),
    "mixed": _Part(lambda ready, asked: mixed.run(ready, asked.mixed)),
    "queue": _Part(lambda ready, asked: queue_up.run(ready, asked.queue), USUAL),
    "streams": _Part(lambda ready, asked: streams.run(ready, asked.streams), DIRECT, _SLOW),
}
_APART = ("mixed", "queue", "streams")
"""Parts that are asked for with a number of requests, in the place of the others."""

_PART_SECONDS = 180
"""How long a part may take, and the seconds for each round and each mixed turn beside."""
_ROUND_SECONDS, _TURN_SECONDS = 30, 2


async def run(options: argparse.Namespace, folder: Path) -> Figures:
    """Run the parts, each on a fresh server."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    results: Figures = {"rounds": options.rounds, "cores": os.cpu_count()}
    results["claude"] = (await asyncio.to_thread(find_binary)).version
    turns = sum(getattr(options, part) or 0 for part in _APART)
    limit = _PART_SECONDS + _ROUND_SECONDS * options.rounds + _TURN_SECONDS * turns
    for name in options.only:
        part = _PARTS[name]
        async with asyncio.timeout(limit), setting(folder, *part.pace, config=part.config) as ready:
            results[name] = await part.run(ready, options)
    return results


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = [part for part in _PARTS if part not in _APART]
    parser.add_argument("--rounds", type=int, default=8, help="how often each side is measured (default: 8)")
    parser.add_argument("--requests", type=int, default=16, help="for the throughput, a round (default: 16)")
    parser.add_argument("--only", nargs="+", choices=parts, help="measure these parts only")
    parser.add_argument(
        "--mixed", type=int, metavar="N", help="make N turns of all kinds instead, and watch the memory"
    )
    parser.add_argument(
        "--queue", type=int, metavar="N", help="make N requests instead, 16 at once, and watch their order"
    )
    parser.add_argument("--streams", type=int, metavar="N", help="hold N slow streams at once instead")
    parser.add_argument("--litellm", type=Path, metavar="PATH", help="the `litellm` program, to be measured beside")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all figures to this file, too")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="draw the results as a PNG, too")
    options = parser.parse_args()
    apart = [part for part in _APART if getattr(options, part)]
    options.only = [*(options.only or ([] if apart else parts)), *apart]
    return options


def main() -> None:
    """Read the command line, measure, tell."""
    options = _options()
    with TemporaryDirectory(prefix="claude-proxy-bench-", ignore_cleanup_errors=True) as folder:
        results = asyncio.run(run(options, Path(folder)))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    show(results, Console(width=None if sys.stdout.isatty() else 120))
    if options.plot:
        from plot import save  # noqa: PLC0415  # slow to load, and only for a picture

        save(results, options.plot)


if __name__ == "__main__":
    main()
