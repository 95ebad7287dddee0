"""``status --watch``: the live screen, with servers that come and go."""

import asyncio
import io
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from cli_process import COMMAND, environment
from rich.console import Console
from telling_server import NOW, document, telling

from claude_proxy.cli.server_client import Place
from claude_proxy.cli.status_watch import frame, watch

SCREEN, BACK = "\x1b[?1049h", "\x1b[?1049l"


def drawn(where: Place, *, height: int = 30) -> list[str]:
    """Give one drawing, line by line."""
    written = io.StringIO()
    console = Console(file=written, width=80, height=height, highlight=False)
    console.print(frame(where, NOW), height=height)
    return [line.rstrip() for line in written.getvalue().splitlines()]


async def test_a_drawing_fills_the_screen_and_says_how_it_ends() -> None:
    """The status from the top, how it goes on at the bottom."""
    async with telling(status=(200, document())) as server:
        lines = await asyncio.to_thread(drawn, Place("127.0.0.1", server.port))

    assert lines[0] == f"claude-proxy 0.1.0  running  http://127.0.0.1:{server.port}  up 2 h 13 m"
    assert "  1 warm, 2 busy, 1 idle, 0 waiting  of at most 4, 612 MB" in lines
    assert lines[-1].endswith("  every 2 s, Ctrl-C ends")
    assert len(lines) == 30


async def test_a_small_terminal_keeps_the_last_line() -> None:
    """What doesn't fit is left out before it."""
    async with telling(status=(200, document())) as server:
        lines = await asyncio.to_thread(drawn, Place("127.0.0.1", server.port), height=8)

    assert len(lines) == 8
    assert lines[-1].endswith("Ctrl-C ends")


async def test_a_refusal_is_shown_and_is_no_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong key, say: the server may be restarted with another configuration."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    async with telling(status=(401, {"error": {"message": "no", "code": "invalid_api_key"}})) as server:
        lines = await asyncio.to_thread(drawn, Place("127.0.0.1", server.port))

    assert lines[0] == f"claude-proxy  running  http://127.0.0.1:{server.port}"
    assert lines[2].startswith(f"the server at http://127.0.0.1:{server.port} wants a key")


async def test_it_survives_the_server_and_ends_on_ctrl_c(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It says when there is none, finds it when it is back, and gives the terminal back in the end."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    loop = asyncio.get_running_loop()
    written = io.StringIO()
    console = Console(file=written, width=80, height=30, force_terminal=True, color_system=None)
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        server = await first.enter_async_context(telling(status=(200, document())))
        where = Place("127.0.0.1", server.port)

        async def back() -> None:
            again = telling(port=server.port, status=(200, document(version="9.9.9")))
            await second.enter_async_context(again)

        steps: list[Callable[[], Coroutine[Any, Any, Any]]] = [first.aclose, back]

        def wait(seconds: float) -> None:
            assert seconds == 2
            if not steps:
                raise KeyboardInterrupt
            asyncio.run_coroutine_threadsafe(steps.pop(0)(), loop).result(20)

        def until_interrupted() -> None:
            with pytest.raises(KeyboardInterrupt):
                watch(where, console, clock=lambda: NOW, wait=wait)

        await asyncio.to_thread(until_interrupted)
    text = written.getvalue()
    shown = [text.index(words) for words in (SCREEN, "0.1.0  running", "not running", "9.9.9  running", BACK)]

    assert shown == sorted(shown)
    assert "start it with `claude-proxy serve`" in text


def test_ctrl_c_in_a_terminal_is_a_clean_end(tmp_path: Path) -> None:
    """Exit code 0, no traceback, and the screen that was there before."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "status", "--watch", "--port", "1"],
        env=environment(tmp_path, TERM="xterm-256color"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        seen = b""
        while b"Ctrl-C ends" not in seen:
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        try:
            while chunk := os.read(ours, 65536):
                seen += chunk
        except OSError:  # which is how a terminal ends on Linux
            pass
        code = process.wait(20)
    os.close(ours)

    assert code == 0
    assert b"not running" in seen
    assert b"Traceback" not in seen
    assert seen.rstrip().endswith((BACK.encode(), b"\x1b[?25h"))
