"""Finds the official ``claude`` binary: the configured path, the one the ``cli`` extra brought, or one on PATH."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from claude_proxy.errors import Unavailable

MIN_VERSION = (2, 1, 248)
"""The first version that takes ``client_composed``, without which ``@path`` in a message would read a file."""

_ASKS_AGAIN = (2, 1, 274)
"""It is known to ask for the tools again when it is told that they have changed; 2.1.259 doesn't."""

_INSTALL = "install it with: pipx install 'claude-proxy[cli]'"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Binary:
    """A usable binary and its version."""

    path: str
    version: str

    @property
    def asks_for_tools_again(self) -> bool:
        """Whether it may ask for the client's tools before the client is known, and again when it is."""
        return _parts(self.version) >= _ASKS_AGAIN


_ASK_AGAIN_SECONDS = 10.0

_known: dict[tuple[str, int, int], str] = {}
"""Version by path, modification time and size: an updated binary is asked again, an unchanged one isn't."""

_failed: dict[tuple[str, int, int], float] = {}
"""When one that didn't say may be asked again, which holds us up: it may have been the machine's fault."""

_SAME_PARENT = '[ "$PPID" = "$0" ] && exec "$@"'
"""For sh: become the command, unless the parent died before the kernel was told to look after it."""


@cache
def launcher() -> tuple[str, ...]:
    """Give the command line to put before a child's, so that the child can't outlive this process.

    ``setpriv`` of util-linux and a shell do in two milliseconds what ``launcher.py`` takes a Python start for.
    """
    if sys.platform == "linux" and (setpriv := shutil.which("setpriv")):
        prefix = (setpriv, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", _SAME_PARENT, str(os.getpid()))
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            # BusyBox has a setpriv that doesn't know the option.
            subprocess.run([*prefix, "/bin/sh", "-c", ":"], capture_output=True, timeout=5, check=True)  # noqa: S603  # our own words
            return prefix
    return (sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py")), str(os.getpid()))


def candidates(configured: str) -> Iterator[str]:
    """Give the places to look at, in order; a configured path is the only one then."""
    if configured:
        yield str(Path(configured).expanduser())
        return
    yield from _bundled()
    if found := shutil.which("claude"):
        yield found


@cache
def _bundled() -> tuple[str, ...]:
    """Give where the ``cli`` extra's package has its binary. It is asked for with every request, and never moves."""
    spec = importlib.util.find_spec("claude_agent_sdk")  # not imported: only its binary is used
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return tuple(str(Path(folder) / "_bundled" / "claude") for folder in folders)


def known_binary(configured: str = "") -> Binary | None:
    """Give what :func:`find_binary` would, but at once: ``None`` where it would ask a binary first, or find none."""
    path = next((path for path in candidates(configured) if os.access(path, os.X_OK)), None)
    if path is None:
        return None
    try:
        version = _known.get(_key(path))
    except OSError:  # it is gone again
        return None
    return Binary(path, version) if version and _is_new_enough(version) else None


def _key(path: str) -> tuple[str, int, int]:
    """Give what changes with a binary; raise ``OSError`` where there is none."""
    status = Path(path).stat()
    return path, status.st_mtime_ns, status.st_size


def _is_new_enough(version: str) -> bool:
    return _parts(version) >= MIN_VERSION


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def read_version(path: str) -> str | None:
    """Give the binary's version, or ``None`` where it doesn't say."""
    try:
        key = _key(path)
    except OSError:
        return None
    if key not in _known and time.monotonic() >= _failed.get(key, 0.0):
        if version := _ask_version(path):
            _known[key] = version
        else:
            _failed[key] = time.monotonic() + _ASK_AGAIN_SECONDS
    return _known.get(key)


def _ask_version(path: str) -> str | None:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=5, check=False)  # noqa: S603  # the user's own binary
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(done.stdout.decode(errors="replace"))
    return match.group() if match else None


def find_binary(configured: str = "") -> Binary:
    """Give the first binary that is new enough; raise ``Unavailable`` that says what to do where there is none."""
    old: str | None = None
    for path in candidates(configured):
        if not os.access(path, os.X_OK):
            continue
        version = read_version(path)
        if version is None:
            continue
        if _is_new_enough(version):
            return Binary(path, version)
        old = old or f"the claude CLI at {path} is version {version}"
    wanted = ".".join(map(str, MIN_VERSION))
    if old:
        raise Unavailable(f"{old}, which is too old (needs {wanted}): update it with `claude update`, or {_INSTALL}")
    if configured:
        raise Unavailable(f"claude-cli.path: {configured} isn't a working claude binary; correct it, or {_INSTALL}")
    raise Unavailable(f"the official claude CLI isn't installed: {_INSTALL}")
