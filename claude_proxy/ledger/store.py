"""The usage ledger: noted at once, on disk within a second, never in a request's way.

A disk that can't be written fails no request: turns wait in memory, as many as fit, and the log says so once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import platformdirs

from claude_proxy.ledger.database import Database
from claude_proxy.ledger.entry import Entry
from claude_proxy.ledger.prices import Prices, parse
from claude_proxy.ledger.usage import OFF, Json, usage
from claude_proxy.sqlite_file import DATABASE_ERRORS

MOST_WAITING = 10_000
"""How many turns wait in memory where the disk can't be written; then the oldest go."""

_DELAY_SECONDS = 0.9
"""How long a turn waits for others to be written with it. With the writing itself that is less than a second."""
_KEPT_SECONDS = 400 * 86_400.0
"""How long a turn stays: a year can be compared with the one before."""

log = logging.getLogger(__name__)

T = TypeVar("T")


def usage_path() -> Path:
    """Say where the ledger is."""
    return platformdirs.user_data_path("claude-proxy", appauthor=False) / "usage.sqlite3"


def read_usage(path: Path, now: float) -> Json:
    """Give the ``usage`` object of ``/api/status`` from the file, which stays as it is.

    ``{"enabled": False}`` where there is none; with a ``problem`` (one line) where it can't be read.
    """
    if not path.exists():
        return OFF
    try:
        with closing(Database(path, read_only=True)) as database:
            return _usage(database, now)
    except DATABASE_ERRORS as error:
        return {**OFF, "problem": f"{path} can't be read: {error}"}


@cache
def list_prices() -> Prices:
    """Give the price list that comes with this version."""
    return parse(files("claude_proxy.ledger").joinpath("prices.toml").read_bytes())


def _usage(database: Database, now: float) -> Json:
    prices = list_prices()
    return usage(lambda since: database.groups(since, prices.limits), prices, now)


class Ledger:
    """Keeps finished turns. Without a path they are in memory only.

    All work on the file is done in a thread of its own, one thing after the other.
    """

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._noted: list[Entry] = []
        self._writing: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        # The thread's own.
        self._database: Database | None = None
        self._unwritten: deque[Entry] = deque(maxlen=MOST_WAITING)
        self._failing = False

    def note(self, entry: Entry) -> None:
        """Keep a turn. It is written within a second, and nobody waits for that."""
        self._noted.append(entry)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(_DELAY_SECONDS, self._begin_writing)

    def _begin_writing(self) -> None:
        self._writing = None
        self._thread.submit(self._write, self._taken())

    def _taken(self) -> list[Entry]:
        taken, self._noted = self._noted, []
        return taken

    async def usage(self) -> Json:
        """Give today's and this month's usage, up to now."""
        return await self._run(partial(self._read, self._taken()))

    async def close(self) -> None:
        """Write what waits, and close the file."""
        if self._writing is not None:
            self._writing.cancel()
        waits = self._path is not None and (self._noted or self._unwritten)
        if waits or self._database is not None:
            await self._run(partial(self._end, self._taken()))
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # -- In the thread ------------------------------------------------------------------------------------------------

    def _write(self, entries: list[Entry]) -> None:
        self._unwritten.extend(entries)
        if not self._unwritten:
            return
        try:
            self._opened().add(self._unwritten)
        except DATABASE_ERRORS as error:
            if not self._failing:
                log.warning("usage can't be written to %s (%s): it is kept in memory only", self._path, error)
            self._failing = True
            return
        self._failing = False
        self._unwritten.clear()

    def _opened(self) -> Database:
        if self._database is None:
            self._database = Database(self._path)
            self._database.forget(self._clock() - _KEPT_SECONDS)
        return self._database

    def _read(self, entries: list[Entry]) -> Json:
        self._write(entries)
        now = self._clock()
        # No file is made to find nothing in.
        if self._database is not None or (self._path is not None and self._path.exists()):
            with suppress(*DATABASE_ERRORS):
                if not self._failing:
                    return _usage(self._opened(), now)
        with closing(Database()) as memory:
            memory.add(self._unwritten)
            return _usage(memory, now)

    def _end(self, entries: list[Entry]) -> None:
        self._write(entries)
        if self._database is not None:
            with suppress(*DATABASE_ERRORS):
                self._database.close()
            self._database = None
