"""Processes that end when the benchmark does, and what the kernel says of them (Linux)."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from claude_proxy.backends.claude_cli import launcher

Process = asyncio.subprocess.Process


@asynccontextmanager
async def started(*arguments: str, env: Mapping[str, str], cwd: Path) -> AsyncIterator[Process]:
    """Run Python with these arguments; it is stopped at the end, and killed by the kernel where we are killed."""
    command = (sys.executable, launcher.__file__, str(os.getpid()), sys.executable, *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=env, cwd=cwd)
    try:
        yield process
    finally:
        await stopped(process)


async def stopped(process: Process) -> None:
    """See to it that a process ends."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def line_of(process: Process, start: bytes = b"") -> bytes:
    """Give the next line of a process's output that begins with ``start``."""
    assert process.stdout
    async for line in process.stdout:
        if line.startswith(start):
            return line
    raise RuntimeError(f"a process ended with {await process.wait()} before it was ready")


def rss_mb(pid: int) -> float:
    """Give the memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def children(pid: int) -> list[int]:
    """Give the processes that a process has started, and that haven't been reaped."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def at_rest(pid: int) -> dict[int, float]:
    """Wait until all we started rest, and all that ``pid`` did: none slows a request down; give the CPU ms of each."""
    before: dict[int, float] = {}
    deadline = time.monotonic() + 20
    while (now := _cpu_ms(pid)).keys() != before.keys() or sum(now.values()) - sum(before.values()) > 3:
        if time.monotonic() > deadline:
            raise TimeoutError("the server and its processes don't come to rest")
        before = now
        await asyncio.sleep(0.06)
    return now


def _cpu_ms(parent: int) -> dict[int, float]:
    used: dict[int, float] = {}
    for pid in (*children(os.getpid()), *children(parent)):
        with suppress(OSError):  # it ended just now
            used[pid] = cpu_ms(pid)
    return used


def cpu_ms(pid: int) -> float:
    """Give the CPU time that a process has used."""
    return time.clock_gettime(~pid << 3 | 2) * 1000  # the clock that clock_getcpuclockid(3) names


def family(pid: int) -> list[int]:
    """Give a process, and all that it and its own have started."""
    return [pid, *(one for child in children(pid) for one in family(child))]


def ended_ms() -> float:
    """Give the CPU time of the processes that we started and that have ended."""
    used = getrusage(RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000
