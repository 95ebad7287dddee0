"""Tells when the configuration's file is another than before, however that came about.

Editors write a file or put another in its place; Kubernetes and home-manager turn a symbolic link, perhaps of a folder;
a file may come late, and its folder may go away. So what is watched are the folders in which a name on the way to the
file can change. And since not every change is told of (a network's file system, a folder moved as a whole), the file is
looked at every now and then, too.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

Version = tuple[int, ...] | None
"""What tells one version of a file from another; ``None``: there is no file."""

_LOOK_SECONDS = 2.0
_STEP_SECONDS = 0.1
"""How long nothing more may happen before it is told: who writes a file in pieces has done so by then."""

_MOST_LINKS = 40
"""As many as the kernel follows."""

log = logging.getLogger(__name__)


def version(path: Path) -> Version:
    """Say which version of a file is there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def folders(path: Path) -> dict[Path, Version]:
    """Give the folders in which a name on the way to a file can change, and what tells each from one in its place.

    Those of the file and of each symbolic link; of what isn't there, the folder in which it can appear.
    """
    return {folder: _identity(folder) for folder in _on_the_way(path) if os.access(folder, os.R_OK)}


def _identity(folder: Path) -> Version:
    found = version(folder)
    return found and found[:2]


def _on_the_way(path: Path) -> Iterator[Path]:
    path = Path.cwd() / path
    here, left, links = Path(path.anchor), deque(path.parts[1:]), 0
    while left:
        name = left.popleft()
        if name == os.pardir:
            here = here.parent
            continue
        step = here / name
        if step.is_symlink() and links < _MOST_LINKS:
            yield here
            links += 1
            target = step.readlink()
            left.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            here = Path(target.anchor) if target.is_absolute() else here
        elif not left or not step.exists():
            yield here
            return
        else:
            here = step


class Watch:
    """Calls ``changed`` from a thread of its own whenever a file is another than before, ``seen`` being the first."""

    def __init__(self, path: Path, seen: Version, changed: Callable[[], object]) -> None:
        self._path = path
        self._seen = seen
        self._changed = changed
        self._stop = threading.Event()
        # A file system that hangs holds up neither the server nor its end.
        self._thread = threading.Thread(target=self._run, name="config watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End it; nothing is called any more once this has returned."""
        self._stop.set()
        self._thread.join(_LOOK_SECONDS)

    def _run(self) -> None:
        try:
            self._look()
            while not self._stop.is_set():
                self._follow()
        except Exception:
            log.exception("%s isn't watched any more: send SIGHUP to have it read again", self._path)

    def _follow(self) -> None:
        """Watch until the way to the file is another one."""
        from watchfiles import watch  # noqa: PLC0415  (takes a while, and the server is to listen first)

        try:
            places = folders(self._path)
            for _ in watch(
                *places,
                watch_filter=None,
                recursive=False,
                step=int(_STEP_SECONDS * 1000),
                rust_timeout=int(_LOOK_SECONDS * 1000),
                yield_on_timeout=True,
                stop_event=self._stop,
                raise_interrupt=False,
            ):
                self._look()
                if folders(self._path) != places:
                    return
        except (OSError, RuntimeError) as error:
            # No more watches to be had, or a folder has just gone.
            log.debug("%s can't be watched now (%s)", self._path, error)
            self._stop.wait(_LOOK_SECONDS)
            self._look()

    def _look(self) -> None:
        seen = version(self._path)
        if seen != self._seen:
            self._seen = seen
            self._changed()
