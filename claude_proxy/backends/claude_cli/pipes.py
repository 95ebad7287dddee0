"""A process and its three pipes. What it writes is handed over piece by piece, as it is read."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import cast

_log = logging.getLogger("claude_proxy.cli")

_OUTPUT, _ERRORS = 1, 2
_CLOSED_SECONDS = 1.0
_TERM_SECONDS = 2.0


class Pipes(asyncio.SubprocessProtocol):
    """A process under way. ``closed`` is set when it can write no more, ``exited`` when it has been reaped.

    asyncio's own streams would put a buffer, a future and a task switch between each line and whom it is for.
    """

    def __init__(self, on_output: Callable[[bytes], None], on_errors: Callable[[bytes], None]) -> None:
        self.closed = asyncio.Event()
        self.exited = asyncio.Event()
        self._takers = {_OUTPUT: on_output, _ERRORS: on_errors}
        self._open = set(self._takers)
        self._transport: asyncio.SubprocessTransport | None = None

    async def start(self, command: Sequence[str], env: Mapping[str, str], cwd: str) -> int:
        """Start the process in a session of its own (a Ctrl-C in our terminal is ours to handle); give its pid.

        Raises ``OSError`` where it can't be started.
        """
        loop = asyncio.get_running_loop()
        transport, _ = await loop.subprocess_exec(lambda: self, *command, env=env, cwd=cwd, start_new_session=True)
        self._transport = transport
        return transport.get_pid()

    @property
    def returncode(self) -> int | None:
        """How it ended; a signal is a negative number."""
        return self._transport.get_returncode() if self._transport is not None else None

    def write(self, data: bytes) -> None:
        """Write to its stdin; where that is closed it goes nowhere."""
        stdin = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if stdin is not None and not stdin.is_closing():
            cast("asyncio.WriteTransport", stdin).write(data)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group: where the launcher stays between the two, neither may be left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._transport is not None and not self.exited.is_set():
                os.killpg(self._transport.get_pid(), number)

    async def end(self, *, idle: bool = False) -> None:
        """End the process, and return when it is gone.

        An ``idle`` one ends by itself when its input does, which costs it least. Any other would go on with its turn:
        it gets SIGTERM, as does an idle one that is still there a second later, and after two more seconds SIGKILL.
        """
        if self._transport is None or self.exited.is_set():
            return
        if idle and (stdin := self._transport.get_pipe_transport(0)) is not None:
            stdin.close()
            if await self.has_exited(_CLOSED_SECONDS):
                return
        self.signal(signal.SIGTERM)
        if not await self.has_exited():
            _log.warning("child %s ignores SIGTERM, killing it", self._transport.get_pid())
            self.signal(signal.SIGKILL)
            await self.exited.wait()

    async def has_exited(self, seconds: float | None = None) -> bool:
        """Say whether it is gone within ``seconds`` (two, unless told)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TERM_SECONDS if seconds is None else seconds):
                await self.exited.wait()
        return self.exited.is_set()

    def release(self) -> None:
        """Close what is left of the pipes, once the process has ended: something it started may hold them open."""
        if self._transport is not None:
            self._transport.close()
        # Whoever takes what is written holds these pipes: only the collector would get rid of the two.
        self._takers.clear()

    # -- what asyncio calls -------------------------------------------------------------------------------------------

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Hand over what was read; once released it is nobody's."""
        if taker := self._takers.get(fd):
            taker(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's own signature
        """Note that a pipe is closed."""
        self._open.discard(fd)
        if not self._open:
            self.closed.set()

    def process_exited(self) -> None:
        """Note that the process is gone."""
        self.exited.set()
