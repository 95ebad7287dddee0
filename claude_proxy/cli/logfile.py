"""The log in files: only their owner can read them, and all together they stay below a size."""

from __future__ import annotations

import io
import os
from pathlib import Path

import platformdirs

from claude_proxy.files import open_private, private_folder

_FILES = 5
"""The size is shared by the file being written and four older ones."""


def log_path() -> Path:
    """Say where the log is."""
    return platformdirs.user_log_path("claude-proxy", appauthor=False) / "claude-proxy.log"


class LogFile(io.TextIOBase):
    """A text stream that goes on in a new file when one is full. ``total_bytes`` 0 means: never."""

    def __init__(self, path: Path, total_bytes: int) -> None:
        self._path = path
        self._limit = total_bytes // _FILES
        private_folder(path.parent)
        self._file = self._open()

    def _open(self) -> io.BufferedWriter:
        return os.fdopen(open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab")

    def write(self, text: str) -> int:
        """Write whole lines, in the next file where this one is full."""
        data = text.encode("utf-8", "backslashreplace")
        if self._limit and self._file.tell() and self._file.tell() + len(data) > self._limit:
            self._rotate()
        self._file.write(data)
        return len(text)

    def _rotate(self) -> None:
        self._file.close()
        for number in range(_FILES - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)
        self._file = self._open()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._file.close()
