"""Finished turns in an SQLite file, used by one thread. All raises ``DATABASE_ERRORS``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from claude_proxy.ledger.entry import CLIENT_GONE, Entry, Group
from claude_proxy.sqlite_file import opened, opened_to_read, transaction

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (
    at REAL NOT NULL, dialect TEXT NOT NULL, backend TEXT NOT NULL, profile TEXT NOT NULL, model TEXT NOT NULL,
    status INTEGER NOT NULL, total_seconds REAL NOT NULL, queue_seconds REAL, first_byte_seconds REAL,
    input_tokens INTEGER, output_tokens INTEGER,
    cache_read_tokens INTEGER, cache_write_tokens INTEGER, cache_write_1h_tokens INTEGER
);
CREATE INDEX IF NOT EXISTS turns_by_time ON turns (at);
"""
_ADD = f"INSERT INTO turns ({', '.join(Entry._fields)}) VALUES ({', '.join('?' * len(Entry._fields))})"  # noqa: S608 - our own names
_PROMPT = "ifnull(input_tokens, 0) + ifnull(cache_read_tokens, 0) + ifnull(cache_write_tokens, 0)"
_GROUPS = """
SELECT model, backend || iif(profile = '', '', '/' || profile), {long} AS long, count(*),
    sum(status >= 400 AND status <> {gone}), {sums}
FROM turns WHERE at >= ? GROUP BY model, backend, profile, long
"""


class Database:
    """An open database; without a path it is in memory."""

    def __init__(self, path: Path | None = None, *, read_only: bool = False) -> None:
        if path is not None and read_only:
            self._db = opened_to_read(path, version=_VERSION)
        else:
            self._db = opened(path, version=_VERSION, schema=_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """Keep turns, all or none of them."""
        with transaction(self._db):
            self._db.executemany(_ADD, entries)

    def forget(self, before: float) -> None:
        """Take out what is older."""
        self._db.execute("DELETE FROM turns WHERE at < ?", (before,))

    def groups(self, since: float, limits: Sequence[int] = ()) -> list[Group]:
        """Add up the turns from a moment on: by model, backend, and how many of ``limits`` their prompts exceed."""
        long = " + ".join(f"({_PROMPT} > {int(limit)})" for limit in limits) or "0"
        sums = ", ".join(f"ifnull(sum({name}), 0)" for name in Group._fields if name.endswith("_tokens"))
        found: sqlite3.Cursor = self._db.execute(_GROUPS.format(long=long, gone=CLIENT_GONE, sums=sums), (since,))
        return [Group(*row) for row in found]
