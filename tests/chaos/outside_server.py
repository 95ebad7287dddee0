"""The ``serve`` command on the real CLI and the simulator, as a process of its own that can be starved of something."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from chaos_stage import Answer, asked, client, open_files
from cli_process import Serving, serve
from real_cli import seen_before, until

from claude_proxy.simulator import Simulator

RESTING_WARM = 1


@dataclass
class Outside:
    """A server that runs, its upstream, and a client."""

    serving: Serving
    url: str
    home: Path
    simulator: Simulator
    http: aiohttp.ClientSession

    @property
    def pid(self) -> int:
        """The server's."""
        return self.serving.process.pid

    @property
    def process(self) -> psutil.Process:
        """The server."""
        return psutil.Process(self.pid)

    async def ask(self, dialect: str = "chat", words: str = "hi", **fields: Any) -> Answer:
        """Ask for a turn."""
        return await asked(self.http, self.url, dialect, words, **fields)

    async def told(self, path: str) -> Any:
        """Give what an endpoint tells."""
        async with self.http.get(self.url + path) as response:
            return await response.json()

    async def at_rest(self) -> bool:
        """Say whether nothing is under way, and the processes are those that wait for what comes next."""
        told = await self.told("/api/status")
        pool = told["backends"][0]["pool"]
        moving = told["requests"]["open"] + pool["busy"] + pool["leaving"] + pool["waiting"]
        return not moving and pool["warm"] >= RESTING_WARM

    async def rest(self) -> None:
        """Wait until it is at rest; then every process is one that it knows, and none a zombie."""
        async with asyncio.timeout(20):
            while not await self.at_rest():  # noqa: ASYNC110  # it happens in other processes
                await asyncio.sleep(0.05)
        pool = (await self.told("/api/status"))["backends"][0]["pool"]
        known = {process["pid"] for process in pool["processes"]}
        await until(lambda: {one.pid for one in self.process.children()} <= known, 5)

    async def own_files(self) -> int:
        """Count the files that the server has open beside the pipes to its processes, once it is at rest."""
        await self.rest()
        return open_files(self.pid) - 3 * len(self.process.children())

    @contextmanager
    def limited(self, what: int, most: int) -> Iterator[None]:
        """Let the server have no more than this of something."""
        soft, hard = resource.prlimit(self.pid, what)
        resource.prlimit(self.pid, what, (most, hard))
        try:
            yield
        finally:
            resource.prlimit(self.pid, what, (soft, hard))


@asynccontextmanager
async def outside(home: Path, config: str = "") -> AsyncIterator[Outside]:
    """Run a server with these lines of configuration; it is killed at the end where it still runs."""
    async with Simulator() as simulator, client() as http:
        file = home / "config.yaml"
        cli = f"claude-cli: {{base-url: '{simulator.base_url}', max-processes: 3}}\n"
        await asyncio.to_thread(file.write_text, cli + config)
        await asyncio.to_thread(seen_before, home)
        env = {"CLAUDE_CODE_OAUTH_TOKEN": "dummy", "NO_PROXY": "127.0.0.1"}
        serving = await asyncio.to_thread(serve, "--config", str(file), home=home, **env)
        try:
            ready = await asyncio.to_thread(serving.wait_for, r"http://127\.0\.0\.1:\d+(?=/v1)")
            await asyncio.to_thread(serving.wait_for, "ready")
            yield Outside(serving, ready.group(), home, simulator, http)
        finally:
            family = psutil.Process(serving.process.pid).children() if serving.process.poll() is None else []
            serving.process.kill()
            await asyncio.to_thread(serving.process.communicate)
            await until(lambda: not any(one.is_running() for one in family), 5)
