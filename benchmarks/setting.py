"""What stands ready for every part: the simulator and our server, in processes and a home of their own."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from processes import Process, at_rest, line_of, started

from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.config.schema import ClaudeCliConfig

MODEL = "claude-sonnet-4-6"  # one that can be made to call a tool


def warm(max_processes: int, more: str = "") -> str:
    """Give the configuration with so many processes of the CLI, and ``more`` of its keys."""
    return f"claude-cli: {{base-url: 'UPSTREAM', warm-models: [{MODEL}], max-processes: {max_processes}{more}}}"


ROOMY = warm(16, ", idle-seconds: 30, tool-wait-seconds: 30")
"""For the parts that keep conversations of several sides: none shall push another out, nor stay when it is over."""

USUAL = warm(ClaudeCliConfig().max_processes)

DIRECT = "claude-cli: {enabled: false}\nclaude-api-key: [{api-key: unused, base-url: 'UPSTREAM'}]"
"""No CLI, but an API key for the upstream."""

OURS = ("-m", "claude_proxy")
"""How Python is told to run our command."""

Json = dict[str, Any]
_COMMON = "port: 0\nlog-format: json\nmax-concurrent-requests: 2000\n"


@dataclass(frozen=True)
class Setting:
    """Base URLs, our server and pids, what a CLI process needs, and what must end before the simulator does."""

    http: aiohttp.ClientSession
    upstream: str
    server: str
    process: Process
    simulator_pid: int
    binary: str
    env: Mapping[str, str]
    cwd: Path
    stack: AsyncExitStack
    kept: Json = field(default_factory=dict)
    """What a side keeps from one of its turns for the next, by its own key."""

    @property
    def server_pid(self) -> int:
        """Our server's."""
        return self.process.pid

    async def rest(self) -> dict[int, float]:
        """Wait until no process is busy; give the CPU ms of each."""
        return await at_rest(self.server_pid)


@asynccontextmanager
async def setting(
    folder: Path, *pace: str, config: str = ROOMY, program: tuple[str, ...] = OURS
) -> AsyncIterator[Setting]:
    """Start both. ``pace`` are options for the simulator; without any it answers at once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE", "XDG_"))}
    own = {"CLAUDE_CONFIG_DIR": str(folder / "config"), "CLAUDE_CODE_OAUTH_TOKEN": "dummy", "NO_PROXY": "127.0.0.1"}
    env, file = {**kept, **own, "HOME": str(folder), "TMPDIR": str(folder)}, folder / "config.yaml"
    async with started("-m", "claude_proxy.simulator", "--lenient", *pace, env=env, cwd=folder) as simulator:
        upstream = (await line_of(simulator)).decode().strip()
        file.write_text(_COMMON + config.replace("UPSTREAM", upstream))
        command = (*program, "--config", str(file), "serve", "--log-level", "error")
        # No limit of the client's own: what waits shall wait in the server.
        http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        async with started(*command, env=env, cwd=folder) as server, http, AsyncExitStack() as stack:
            url = json.loads(await line_of(server, b'{"event":"listening"'))["openai_base_url"]
            await line_of(server, b'{"event":"backends"')
            binary = (await asyncio.to_thread(find_binary)).path
            yield Setting(http, upstream, url, server, simulator.pid, binary, env, folder, stack)
