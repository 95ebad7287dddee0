"""Responses in an SQLite file that only its owner can read, used by one thread. All raises ``DATABASE_ERRORS``.

A response has a row of its own, and its turn another: the items that it added to its conversation, and the turn
before. So a conversation takes space once, however long it is, and a deleted response leaves the later ones whole:
its turn stays for as long as one that is kept goes on from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from claude_proxy.sqlite_file import DATABASE_ERRORS, opened, transaction
from claude_proxy.store.record import Conversation, Json, Record

__all__ = ["DATABASE_ERRORS", "Database"]

_VERSION = 1
_FULL_ENOUGH = 0.9
"""What is left when the file was too large, so that not each response that follows finds it too large again."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (id TEXT PRIMARY KEY, parent TEXT, input BLOB NOT NULL, output BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS turns_by_parent ON turns (parent);
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, client TEXT NOT NULL, created INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS responses_by_age ON responses (created);
"""
_CHAIN = """
WITH RECURSIVE chain (id, parent, depth) AS (
    SELECT id, parent, 0 FROM turns WHERE id = ?
    UNION ALL
    SELECT turns.id, turns.parent, depth + 1 FROM turns JOIN chain ON turns.id = chain.parent
)
SELECT turns.input, turns.output FROM chain JOIN turns USING (id) ORDER BY depth DESC
"""
_FORGET_TURNS = """
WITH RECURSIVE needed (id) AS (
    SELECT id FROM responses
    UNION
    SELECT turns.parent FROM turns JOIN needed USING (id) WHERE turns.parent IS NOT NULL
)
DELETE FROM turns WHERE id NOT IN (SELECT id FROM needed)
"""
_IS_NEEDED = "SELECT EXISTS (SELECT 1 FROM responses WHERE id = ?1) OR EXISTS (SELECT 1 FROM turns WHERE parent = ?1)"
_OLDEST = """
DELETE FROM responses WHERE id IN (
    SELECT id FROM responses ORDER BY created, rowid LIMIT max(1, (SELECT count(*) FROM responses) / 20)
)
"""

_decode = msgspec.json.Decoder(tuple[Json, ...]).decode


class Database:
    """An open database; without a path it is in memory."""

    def __init__(self, path: Path | None = None) -> None:
        # Freed pages are given back, and what was deleted isn't left in them.
        pragmas = ("auto_vacuum=INCREMENTAL", "secure_delete=ON")
        self._db = opened(path, version=_VERSION, schema=_SCHEMA, pragmas=pragmas)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, records: Sequence[Record]) -> None:
        """Keep responses, all or none of them."""
        with transaction(self._db):
            for record in records:
                self._add(record)

    def _add(self, record: Record) -> None:
        parent, items = record.parent, record.input
        if parent is not None and not self._one("SELECT 1 FROM turns WHERE id = ?", parent):
            # What it goes on from was deleted, or never made it here.
            parent, items = None, (*record.earlier, *items)
        self._db.execute(
            "INSERT OR IGNORE INTO turns VALUES (?, ?, ?, ?)",
            (record.id, parent, msgspec.json.encode(items), msgspec.json.encode(record.output)),
        )
        self._db.execute(
            "INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?)",
            (record.id, record.client, record.created, record.body),
        )

    def body(self, response_id: str, client: str, since: float) -> bytes | None:
        """Give a response's JSON, if this client has it and it isn't older than ``since``."""
        found = self._one(
            "SELECT body FROM responses WHERE id = ? AND client = ? AND created >= ?", response_id, client, since
        )
        return bytes(found[0]) if found else None

    def conversation(self, response_id: str, client: str, since: float) -> Conversation | None:
        """Give the conversation up to a response; as :meth:`body`."""
        if self.body(response_id, client, since) is None:
            return None
        turns = self._db.execute(_CHAIN, (response_id,)).fetchall()
        *before, (asked, said) = turns
        earlier = [item for turn in before for part in turn for item in _decode(part)]
        size = sum(len(part) for turn in turns for part in turn)
        return Conversation((*earlier, *_decode(asked)), _decode(said), size)

    def delete(self, response_id: str, client: str) -> bool:
        """Forget a response, and what of its conversation no other one needs; say whether this client had it."""
        with transaction(self._db):
            gone = self._db.execute("DELETE FROM responses WHERE id = ? AND client = ?", (response_id, client)).rowcount
            turn: str | None = response_id if gone else None
            while turn is not None and self._one(_IS_NEEDED, turn) != (1,):
                found = self._one("SELECT parent FROM turns WHERE id = ?", turn)
                self._db.execute("DELETE FROM turns WHERE id = ?", (turn,))
                turn = found[0] if found else None
        if gone:
            self._shrink()
        return bool(gone)

    def expire(self, before: float) -> None:
        """Forget the responses that are older."""
        with transaction(self._db):
            if self._db.execute("DELETE FROM responses WHERE created < ?", (before,)).rowcount:
                self._db.execute(_FORGET_TURNS)
        self._shrink()

    def trim(self, most_bytes: int) -> None:
        """Forget the oldest responses where there are more than this many bytes of them."""
        if self.used_bytes() <= most_bytes:
            return
        while self.used_bytes() > most_bytes * _FULL_ENOUGH:
            with transaction(self._db):
                if not self._db.execute(_OLDEST).rowcount:
                    break
                self._db.execute(_FORGET_TURNS)
        self._shrink()

    def used_bytes(self) -> int:
        """Say how much of the file is in use."""
        return (self._number("page_count") - self._number("freelist_count")) * self._number("page_size")

    def _shrink(self) -> None:
        # It is a step a page, of which ``execute`` takes only the first.
        self._db.executescript("PRAGMA incremental_vacuum")
        # The log beside the file holds what was deleted until it has been taken over.
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return found

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])
