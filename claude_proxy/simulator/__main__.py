"""``python -m claude_proxy.simulator``: the simulator in a process of its own.

The first line on stdout is its base URL. It runs until it gets SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from dataclasses import replace

from claude_proxy.simulator.app import Simulator
from claude_proxy.simulator.demo import answer
from claude_proxy.simulator.script import Json, Reply


async def run(port: int, *, demo: bool, strict: bool, gap_ms: float | None = None, stamped: bool = False) -> None:
    """Serve until a signal comes."""

    def paced(body: Json) -> Reply:
        return replace(answer(body), gap_seconds=(gap_ms or 0) / 1000, stamped=stamped)

    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    simulator = Simulator(None if gap_ms is None else paced, demo=demo, strict=strict, keeps=False)
    await simulator.start(port)
    print(simulator.base_url, flush=True)  # noqa: T201 - what it promises to its parent
    await stop.wait()
    await simulator.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m claude_proxy.simulator", description="A loopback Messages API.")
    parser.add_argument("--port", type=int, default=0, help="0 is any free port")
    parser.add_argument("--demo", action="store_true", help="answer as the demo does")
    parser.add_argument("--lenient", action="store_true", help="refuse nothing that the real API would")
    parser.add_argument("--gap-ms", type=float, help="answer as the demo does, with this wait after each delta")
    parser.add_argument("--stamped", action="store_true", help="with --gap-ms: each delta is the time when it is sent")
    options = parser.parse_args()
    pace = {"gap_ms": options.gap_ms, "stamped": options.stamped}
    asyncio.run(run(options.port, demo=options.demo, strict=not options.lenient, **pace))


if __name__ == "__main__":
    main()
