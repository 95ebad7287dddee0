"""Put the service's file where its supervisor finds it, start it, see that it listens; and take it away again.

Done twice, it does nothing the second time: open streams aren't cut for a file that says the same.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from claude_proxy.errors import Unavailable
from claude_proxy.files import missing_folders
from claude_proxy.service.definition import MARK, Service
from claude_proxy.service.supervisor import Supervisor

_LISTEN_SECONDS = 30.0
_POLL_SECONDS = 0.1

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Installed:
    """What there is now."""

    changed: bool
    """The file is new, or another than before."""
    running: bool


def install(supervisor: Supervisor, service: Service, listens: Address | None, *, start: bool) -> Installed:
    """Write the file and start the service; ``listens`` is where it will be reached, where that is known."""
    supervisor.check()
    text = supervisor.render(service)
    changed = _read(supervisor.path) != text
    running = supervisor.state() == "running"
    if start and not running and listens and _answers(listens):
        raise Unavailable(
            f"port {listens[1]} is taken, by a `claude-proxy serve` in a terminal perhaps: stop that, then try again"
        )
    if changed:
        _write(supervisor.path, text)
    supervisor.enable()
    if start and (changed or not running):
        supervisor.start(service)
        _wait(supervisor, listens)
        running = True
    return Installed(changed, running)


def uninstall(supervisor: Supervisor) -> bool:
    """Stop the service and remove its file; ``False`` where there is none."""
    supervisor.check()
    if _read(supervisor.path) is None:
        return False
    supervisor.stop()
    supervisor.path.unlink()
    supervisor.forget()
    return True


def _read(path: Path) -> str | None:
    """Give the text of our file; never touch one that somebody else wrote."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    if MARK not in text:
        raise Unavailable(f"{path} wasn't written by claude-proxy: move it away first")
    return text


def _write(path: Path, text: str) -> None:
    """Write the file at once or not at all; only its owner can read it."""
    # Others keep theirs there, too, so that one that is there stays as it is.
    missing_folders(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _wait(supervisor: Supervisor, listens: Address | None) -> None:
    """Return when the service listens; raise when it has ended, or takes too long."""
    deadline = time.monotonic() + _LISTEN_SECONDS
    while listens is None or not _answers(listens):
        if supervisor.state() == "failed" or time.monotonic() > deadline:
            raise Unavailable(f"the service is installed but doesn't come up; it says why in: {supervisor.logs}")
        if listens is None and supervisor.state() == "running":
            return
        time.sleep(_POLL_SECONDS)


def _answers(address: Address) -> bool:
    try:
        with socket.create_connection(address, timeout=1):
            return True
    except OSError:
        return False
