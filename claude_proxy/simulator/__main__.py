"""``python -m claude_proxy.simulator``: the simulator in a process of its own.

The first line on stdout is its base URL. It runs until it gets SIGINT or SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from claude_proxy.simulator.app import Simulator


async def run(port: int, *, demo: bool, strict: bool) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    simulator = Simulator(demo=demo, strict=strict)
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
    options = parser.parse_args()
    asyncio.run(run(options.port, demo=options.demo, strict=not options.lenient))


if __name__ == "__main__":
    main()
