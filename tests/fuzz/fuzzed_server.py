"""Servers to be fuzzed: one on a backend that answers at once, and the demo, where the real CLI does."""

from __future__ import annotations

import asyncio
import logging
import threading
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
    serving = cli_process.serve("--demo", "--log-format", "json", home=home)
    try:
        yield serving.wait_for(r'"anthropic_base_url":"([^"]+)"').group(1)
    finally:
        serving.stop()
    assert '"level":"error"' not in serving.output
