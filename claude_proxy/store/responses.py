"""The responses that are kept: found at once by who goes on from them soon, on disk a moment later, gone in time.

A disk that can't be written fails no request: responses wait in memory, as many as fit, and the log says so once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from claude_proxy.errors import Unavailable
from claude_proxy.store.database import DATABASE_ERRORS, Database
from claude_proxy.store.record import Conversation, Record

MOST_BYTES = 512_000_000
"""What all that is kept may take on disk; then the oldest go."""
MOST_WAITING_BYTES = 64_000_000
"""What may wait in memory where the disk can't be written; then the oldest go."""

MOST_RECENT_BYTES = 4_000_000
"""What of the latest ones stays in memory, too: who goes on from one mostly does so soon, and need not wait for a file.
"""

_DELAY_SECONDS = 0.05
"""How long writing waits: for the last bytes of the answer, and for others to be written with it."""
_SWEEP_SECONDS = 3600.0
_DAY_SECONDS = 86_400

log = logging.getLogger(__name__)

T = TypeVar("T")


class ResponseStore:
    """Keeps responses for ``days`` (which may change; 0 keeps none). Without a path they are in memory only.

    All work on the file is done in a thread of its own, one thing after the other.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        days: int = 30,
        most_bytes: int = MOST_BYTES,
        most_waiting_bytes: int = MOST_WAITING_BYTES,
        most_recent_bytes: int = MOST_RECENT_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.days = days
        self._path = path
        self._most_bytes = most_bytes if path is not None else most_waiting_bytes
        self._most_waiting_bytes = most_waiting_bytes
        self._most_recent_bytes = most_recent_bytes
        self._clock = clock
        self._database: Database | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="responses")
        # What isn't on disk yet, oldest first; the thread takes it from there.
        self._waiting: dict[str, Record] = {}
        # The latest of those that are on disk, oldest first.
        self._recent: dict[str, Record] = {}
        self._lock = threading.Lock()
        self._failing = False
        self._writing: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._swept: float | None = None

    def start(self) -> None:
        """Forget what is too old, now and every hour."""
        now = self._clock()
        # A clock that jumps ahead must not empty the store at once: it may be set right again.
        self._swept = now if self._swept is None else min(now, self._swept + 2 * _SWEEP_SECONDS)
        if self._is_there():
            self._thread.submit(self._sweep, self._since(self._swept))
        self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self.start)

    async def close(self) -> None:
        """Write what waits, and close the file."""
        for timer in (self._writing, self._sweeping):
            if timer is not None:
                timer.cancel()
        if self._waiting or self._database is not None:
            await self._run(self._end)
        self._thread.shutdown()

    def keep(self, record: Record) -> None:
        """Keep a response; from now on it is found. It is written to disk soon, and nobody waits for that."""
        with self._lock:
            self._waiting[record.id] = record
            excess = sum(one.size for one in self._waiting.values()) - self._most_waiting_bytes
            for one in list(self._waiting.values())[:-1]:
                if excess > 0:
                    del self._waiting[one.id]
                    excess -= one.size
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(_DELAY_SECONDS, self._begin_writing)

    def _begin_writing(self) -> None:
        self._writing = None
        self._thread.submit(self._write)

    async def body(self, response_id: str, client: str) -> bytes | None:
        """Give a response's JSON, ``None`` where this client has none of that id. Raises ``Unavailable``."""
        record = self._in_memory(response_id, client)
        if record is not None:
            return record.body
        return await self._asked(lambda database: database.body(response_id, client, self._since()))

    async def conversation(self, response_id: str, client: str) -> Conversation | None:
        """Give the conversation up to a response; as :meth:`body`."""
        record = self._in_memory(response_id, client)
        if record is not None:
            return Conversation((*record.earlier, *record.input), record.output, record.size)
        return await self._asked(lambda database: database.conversation(response_id, client, self._since()))

    async def delete(self, response_id: str, client: str) -> bool:
        """Forget a response; say whether this client had it. Raises ``Unavailable`` where the disk keeps it."""
        with self._lock:
            had = self._in_memory(response_id, client) is not None
            if had:
                self._forget(response_id)
        # It may be on its way to the disk at this moment: the thread takes it off there after it has put it on.
        gone = await self._asked(lambda database: database.delete(response_id, client))
        with self._lock:
            # So it is in memory again by now.
            if had:
                self._forget(response_id)
        return gone or had

    def _forget(self, response_id: str) -> None:
        self._waiting.pop(response_id, None)
        self._recent.pop(response_id, None)

    def _in_memory(self, response_id: str, client: str) -> Record | None:
        record = self._waiting.get(response_id) or self._recent.get(response_id)
        mine = record is not None and record.client == client and record.created >= self._since()
        return record if mine else None

    def _since(self, now: float | None = None) -> float:
        now = self._clock() if now is None else now
        return now - self.days * _DAY_SECONDS if self.days else float("inf")

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _asked(self, ask: Callable[[Database], T]) -> T | None:
        def work() -> T | None:
            # No file is made to find nothing in.
            return ask(self._opened()) if self._is_there() else None

        try:
            return await self._run(work)
        except DATABASE_ERRORS as error:
            log.warning("the stored responses can't be read (%s)", error)
            raise Unavailable("the stored responses can't be read now; the server's log says why") from error

    def _is_there(self) -> bool:
        return self._database is not None or (self._path is not None and self._path.exists())

    # -- In the thread ------------------------------------------------------------------------------------------------

    def _opened(self) -> Database:
        if self._database is None:
            self._database = Database(self._path)
        return self._database

    def _write(self) -> None:
        with self._lock:
            records = list(self._waiting.values())
        if not records:
            return
        try:
            database = self._opened()
            database.add(records)
            database.trim(self._most_bytes)
        except DATABASE_ERRORS as error:
            if not self._failing:
                log.warning("responses can't be stored in %s (%s): they are kept in memory only", self._path, error)
            self._failing = True
            return
        self._failing = False
        with self._lock:
            for record in records:
                if self._waiting.get(record.id) is record:
                    self._recent[record.id] = self._waiting.pop(record.id)
            size = sum(record.size for record in self._recent.values())
            while size > self._most_recent_bytes:
                size -= self._recent.pop(next(iter(self._recent))).size

    def _sweep(self, since: float) -> None:
        try:
            self._opened().expire(since)
        except DATABASE_ERRORS as error:
            log.warning("old responses can't be taken out of %s (%s)", self._path, error)

    def _end(self) -> None:
        self._write()
        if self._database is not None:
            with suppress(*DATABASE_ERRORS):
                self._database.close()
            self._database = None
