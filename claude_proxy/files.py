"""Files and folders that only their owner can read or write, whatever the umask, and whoever else could write there.

A link that somebody planted where we write is never followed: we would write to, or believe, a file of their choice.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

_OTHERS_WRITE = 0o022


def private_folder(path: Path) -> None:
    """Make a folder, and what is missing above it, for the owner alone; take away what others may do with it."""
    missing_folders(path)
    path.chmod(0o700)


def missing_folders(path: Path) -> None:
    """Make a folder and those above it for the owner alone, where they are missing; what is there stays as it is."""
    missing = [path, *path.parents]
    for folder in reversed(missing[: next((i for i, one in enumerate(missing) if one.exists()), len(missing))]):
        folder.mkdir(mode=0o700, exist_ok=True)  # the umask can only take away from this


def open_private(path: Path, flags: int) -> int:
    """Open a file that only its owner can read, or make it one. Raises ``OSError`` for a link or a pipe."""
    # Without O_NONBLOCK, a pipe that was planted would keep us waiting for its other end.
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        _check_regular(os.fstat(handle), path)
        os.fchmod(handle, 0o600)
    except BaseException:
        os.close(handle)
        raise
    return handle


def write_private(path: Path, data: bytes) -> None:
    """Write a whole file at once: who reads it sees the old one or the new one. A link there is replaced."""
    private_folder(path.parent)
    handle, fresh = tempfile.mkstemp(dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def read_private(path: Path) -> bytes:
    """Read a file that nobody but its owner, who is this user, could have written. Raises ``OSError`` else."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        _check_regular(found, path)
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
            raise PermissionError(errno.EPERM, "others can write it", str(path))
        return file.read()


def _check_regular(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def refuse_link(path: Path) -> None:
    """Raise ``OSError`` where a link stands for a file that a library opens by its name."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, and nothing of ours is written through one", str(path))
