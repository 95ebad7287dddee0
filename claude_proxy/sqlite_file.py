"""An SQLite file that only its owner can read, in the layout that its user expects. All raises ``DATABASE_ERRORS``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from claude_proxy.files import open_private, private_folder, refuse_link

DATABASE_ERRORS = (sqlite3.Error, OSError)

_BUSY_SECONDS = 1
_CACHE_KB = 512
"""What of a file may stay in memory. By default it is 2 MB, which a file that grows fills up in the course of a day."""


def opened(path: Path | None, *, version: int, schema: str, pragmas: Sequence[str] = ()) -> sqlite3.Connection:
    """Open a file, or memory where there is no path; make what isn't there, and refuse what a later version has made.

    ``pragmas`` come before anything is made. The connection commits by itself; use :func:`transaction` for more than
    one statement. It may be used by any thread, one at a time.
    """
    if path is not None:
        _create(path)
    db = sqlite3.connect(path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        found = _version(db, version)
        for pragma in (*pragmas, "journal_mode=WAL", "synchronous=NORMAL", f"cache_size=-{_CACHE_KB}"):
            db.execute(f"PRAGMA {pragma}").close()
        if found < version:
            db.executescript(schema)
            db.execute(f"PRAGMA user_version={version}")
    except BaseException:
        db.close()
        raise
    return db


def opened_to_read(path: Path, *, version: int) -> sqlite3.Connection:
    """Open a file that is there without changing it; refuse what a later version has made."""
    db = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", timeout=_BUSY_SECONDS, uri=True)
    try:
        _version(db, version)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do what is done inside as a whole or not at all."""
    # Written to from the start: a reader that becomes a writer can't wait for another one's lock.
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        # Where the disk is full, SQLite has taken it all back by itself.
        if db.in_transaction:
            db.execute("ROLLBACK")


def _version(db: sqlite3.Connection, known: int) -> int:
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > known:
        raise sqlite3.DatabaseError("a later version of claude-proxy has written it")
    return found


def _create(path: Path) -> None:
    """Make the file and its folder, or take away what others may do with them, whatever the umask."""
    private_folder(path.parent)
    for name in (path, *(path.with_name(f"{path.name}-{kind}") for kind in ("wal", "shm", "journal"))):
        refuse_link(name)
    # Never opened where it exists: closing it again would take away the locks of others in this process.
    if not path.exists():
        os.close(open_private(path, os.O_RDWR | os.O_CREAT))
    path.chmod(0o600)
