"""Servers to be fuzzed: one on a backend that answers at once, and the demo, where the real CLI does."""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import cli_process
from scripted_server import ScriptedBackend

from claude_proxy.config.schema import Config
from claude_proxy.server.app import serve_forever
from claude_proxy.server.listen import Listening


class Complaints(logging.Handler):
    """Keeps what was logged as an error: nothing may be."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(self.format(record))


@contextmanager
def scripted(home: Path) -> Iterator[str]:
    """Run a server of this process's own, in a thread; give its URL. Raises where it logged an error."""
    del home
    ready: Future[Listening] = Future()
    loop, stop, complaints = asyncio.new_event_loop(), asyncio.Event(), Complaints()
    running = serve_forever(
        Config(port=0, shutdown_seconds=0), [ScriptedBackend()], on_ready=ready.set_result, stop=stop
    )
    thread = threading.Thread(target=loop.run_until_complete, args=[running])
    logging.getLogger().addHandler(complaints)
    thread.start()
    try:
        yield ready.result(30).urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
        logging.getLogger().removeHandler(complaints)
    assert complaints.lines == []


@contextmanager
def demo(home: Path) -> Iterator[str]:
    """Run ``serve --demo``; give its URL. Raises where it logged an error."""
    # Into a file: what nobody reads from a pipe would hold the server up in the end.
    output = home / "output"
    with output.open("wb") as written:
        process = subprocess.Popen(
            [*cli_process.COMMAND, "serve", "--port", "0", "--demo", "--log-format", "json"],
            env=cli_process.environment(home),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _listening(output)
        finally:
            process.terminate()
            process.wait(60)
    assert '"level":"error"' not in output.read_text()


def _listening(output: Path) -> str:
    deadline = time.monotonic() + 60
    while not (found := re.search(r'"anthropic_base_url":"([^"]+)"', output.read_text())):
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    return found.group(1)
