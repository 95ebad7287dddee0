"""Short ways to make a record, and to read a file of them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from claude_proxy.store.record import Record


def item(text: str) -> dict[str, Any]:
    """Give an item that says ``text``."""
    return {"id": "msg_1", "type": "message", "role": "user", "content": text}


def record(name: str, after: Record | None = None, **fields: Any) -> Record:
    """Give a response that was asked "``name``?" and said "``name``!", maybe ``after`` another."""
    earlier = (*after.earlier, *after.input, *after.output) if after else ()
    values: dict[str, Any] = {
        "id": name,
        "client": "me",
        "created": 1000,
        "body": f'{{"id": "{name}"}}'.encode(),
        "input": (item(f"{name}?"),),
        "output": (item(f"{name}!"),),
        "earlier": earlier,
        "parent": after.id if after else None,
        "size": 100,
    }
    return Record(**values | fields)


def chain(*names: str) -> list[Record]:
    """Give responses of which each goes on from the one before."""
    records: list[Record] = []
    for name in names:
        records.append(record(name, records[-1] if records else None))
    return records


def rows(path: Path) -> dict[str, list[Any]]:
    """Give the ids in each table of a file; nothing where there is none."""
    if not path.exists():
        return {}
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return {
            table: [row[0] for row in database.execute(f"SELECT id FROM {table} ORDER BY id")]
            for table in ("responses", "turns")
        }
    finally:
        database.close()


def texts(items: Any) -> list[str]:
    """Give what items say."""
    return [one["content"] for one in items]
