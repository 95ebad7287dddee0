"""Another version of the configuration for a server that runs: checked first, then taken as a whole or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from claude_proxy.backends.base import Backend
from claude_proxy.config.changes import Changes, compare
from claude_proxy.config.load import Loaded
from claude_proxy.config.schema import Config
from claude_proxy.config.watch import Version, Watch, version
from claude_proxy.errors import ConfigError
from claude_proxy.server.exchange import Server
from claude_proxy.server.leaving import close
from claude_proxy.server.listen import ssl_context, told_by_hangup

_ATTEMPTS = 5
"""How often a file is read that changes while it is read."""

log = logging.getLogger("claude_proxy.config")


class Parts(Protocol):
    """What is made of a configuration by whoever wires the server."""

    def load(self, path: Path) -> Loaded:
        """Read and check a file, in a thread; raise ``ConfigError``."""

    def makers(self, config: Config) -> Mapping[str, Callable[[], Backend]]:
        """Give who is to answer, by name, the preferred first, with what makes each; raise ``ConfigError`` for none."""

    def open_log(self, config: Config) -> Callable[[], None]:
        """Open what the log goes to, and give what turns it there. Raises ``OSError``."""

    def adapt(self, backend: Backend, config: Config) -> None:
        """Let a backend that stays go by another configuration."""

    def wind_down(self, backend: Backend) -> None:
        """Let a backend keep nothing for requests that it won't get any more."""


@dataclass(slots=True)
class Reloads:
    """Has the file at ``path`` read again when it changes, ``seen`` being its first version, and at SIGHUP.

    ``said`` are the warnings that have been given already.
    """

    parts: Parts
    path: Path
    seen: Version
    stop: asyncio.Event
    said: set[str] = field(default_factory=set)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _by_signal: bool = False

    async def run(self, server: Server) -> None:
        """Do so until cancelled."""
        loop = asyncio.get_running_loop()
        server.config_path = None if self.seen is None else self.path
        watch = Watch(self.path, self.seen, partial(loop.call_soon_threadsafe, self._asked.set))
        with told_by_hangup(self._ask, self.stop):
            watch.start()
            try:
                async with asyncio.TaskGroup() as tasks:
                    while True:
                        await self._asked.wait()
                        self._asked.clear()
                        for backend in await self._reload(server):
                            tasks.create_task(_tell_readiness(backend))
            finally:
                await asyncio.to_thread(watch.close)

    def _ask(self) -> None:
        self._by_signal = True
        self._asked.set()

    async def _reload(self, server: Server) -> Sequence[Backend]:
        """Take the file as it is now, or say why not; give the backends that are new."""
        by_signal, self._by_signal = self._by_signal, False
        try:
            loaded = await asyncio.to_thread(self._read)
            changes = compare(server.config, loaded.config)
            new = await self._take(server, changes)
        except (ConfigError, OSError) as error:
            log.error("%s; the configuration stays as it was", _in_words(error))  # noqa: TRY400  (the user's mistake)
        except Exception:
            log.exception("%s can't be taken; the configuration stays as it was. This is a bug", self.path)
        else:
            self._tell(loaded, changes, by_signal=by_signal)
            return new
        return ()

    def _read(self) -> Loaded:
        for _ in range(_ATTEMPTS):
            before = version(self.path)
            if before is None:
                raise ConfigError(f"{self.path}: is gone")
            loaded = self.parts.load(self.path)
            if version(self.path) == before:
                break
        else:
            raise ConfigError(f"{self.path}: changes while it is read")
        if loaded.is_empty:
            raise ConfigError(f"{self.path}: is empty (to go back to the defaults, restart)")
        ssl_context(loaded.config.tls)
        return loaded

    async def _take(self, server: Server, changes: Changes) -> Sequence[Backend]:
        here = {backend.name: backend for backend in server.backends}
        makers = self.parts.makers(changes.config)
        kept = {name: here[name] for name in makers if name in changes.kept and name in here}
        new: dict[str, Backend] = {}
        try:
            for name, make in makers.items():
                if name not in kept:
                    new[name] = make()
            await _start(new.values())
            turn_log = self.parts.open_log(changes.config)
        except BaseException:
            await close(new.values())
            raise
        # Nothing from here on waits or fails, so that nobody ever sees half of it.
        turn_log()
        for name, backend in here.items():
            if name in kept:
                self.parts.adapt(backend, changes.config)
            else:
                self.parts.wind_down(backend)
        server.change(changes.config, [(new | kept)[name] for name in makers])
        server.config_path = self.path
        return list(new.values())

    def _tell(self, loaded: Loaded, changes: Changes, *, by_signal: bool) -> None:
        for line in loaded.warnings:
            if line not in self.said:
                log.warning(line)
        self.said = set(loaded.warnings)
        if changes.changed:
            log.info("%s: read again, changed: %s", self.path, ", ".join(changes.changed))
        else:
            log.log(logging.INFO if by_signal else logging.DEBUG, "%s: read again, nothing changed", self.path)
        if changes.restart:
            log.warning("%s: restart the server for the change of %s", self.path, ", ".join(changes.restart))


async def _start(backends: Iterable[Backend]) -> None:
    """Start all; raise what one of them raises, but only when none is under way any more."""
    failures = await asyncio.gather(*(backend.start() for backend in backends), return_exceptions=True)
    for failure in failures:
        if failure is not None:
            raise failure


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return str(error)


async def _tell_readiness(backend: Backend) -> None:
    """Say whether a new backend can answer, as is said at the start."""
    try:
        health = await backend.health()
    except Exception:
        log.exception("%s can't say whether it is ready", backend.name)
        return
    if health.ready:
        log.info("%s is ready: %s", backend.name, health.detail)
    else:
        log.warning("%s isn't ready: %s", backend.name, health.detail)
