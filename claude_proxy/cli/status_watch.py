"""``status --watch``: the status on the whole terminal, drawn anew, whether the server comes or goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.text import Text

from claude_proxy.cli.observation import observe, understood
from claude_proxy.cli.screen import LOOK
from claude_proxy.cli.server_client import Place
from claude_proxy.cli.status_view import QUIET, view

SECONDS = 2.0


def watch(where: Place, console: Console, *, clock: Callable[[], float], wait: Callable[[float], None]) -> None:
    """Draw until interrupted; the terminal is given back as it was."""
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(frame(where, clock()), refresh=True)
            wait(SECONDS)


def frame(where: Place, now: float) -> RenderableType:
    """Give one drawing. What keeps the server from answering is said, and is no end."""
    found, failure = observe(where, now=now)
    parts = [view(understood(found), now=now)]
    if failure is not None:
        parts[1:] = [Text(), Text(failure.message, LOOK)]
    screen = Layout()
    foot = Text(f"{datetime.fromtimestamp(now).astimezone():%H:%M:%S}  every {SECONDS:g} s, Ctrl-C ends", QUIET)
    screen.split_column(Layout(Group(*parts)), Layout(foot, size=1))
    return screen
