"""The log in files: only their owner can read them, and all together they stay below a size."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import platformdirs

from claude_proxy.files import open_private, private_folder

_FILES = 5
"""The size is shared by the file being written and four older ones."""


def log_path() -> Path:
    """Say where the log is."""
    return platformdirs.user_log_path("claude-proxy", appauthor=False) / "claude-proxy.log"


class LogFile(io.TextIOBase):
    """A text stream that goes on in a new file when one is full. ``total_bytes`` 0 means: never.

    A disk that can't be written costs the lines of that time, and no request: stderr says so once, and the log goes on
    as soon as it can.
    """

    def __init__(self, path: Path, total_bytes: int) -> None:
        self._path = path
        self._limit = total_bytes // _FILES
        self._failing = False
        self._handle: int | None = None
        self._size = 0
        private_folder(path.parent)
        self._open()

    def _open(self) -> int:
        self._handle = handle = open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._size = os.fstat(handle).st_size
        return handle

    def write(self, text: str) -> int:
        """Write whole lines at once, in the next file where this one is full."""
        try:
            self._write(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            if not self._failing:
                sys.stderr.write(f"the log can't be written to {self._path} ({error.strerror}): lines are lost\n")
            self._failing = True
        else:
            self._failing = False
        return len(text)

    def _write(self, data: bytes) -> None:
        handle = self._open() if self._handle is None else self._handle
        if self._limit and self._size and self._size + len(data) > self._limit:
            handle = self._rotate()
        written = os.write(handle, data)
        if written < len(data):
            # No half a line: the next one would be joined to it.
            os.ftruncate(handle, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _rotate(self) -> int:
        self._close()
        for number in range(_FILES - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)
        return self._open()

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._close()
