"""One CLI process: started, written to, read all the time, and always reaped.

What its lines mean is :mod:`turns`' business. Here they are carried: reply events to whoever runs the turn, tool calls
into ``calls`` until somebody answers them, everything that needs an answer at once to :mod:`tools`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import psutil

from claude_proxy.backends.claude_cli import control, tools
from claude_proxy.backends.claude_cli.binary import launcher
from claude_proxy.backends.claude_cli.failures import Lost, NotStarted
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.claude_cli.pipes import Pipes
from claude_proxy.backends.claude_cli.signals import (
    Answered,
    HistoryTaken,
    LoopEnded,
    McpAsked,
    Refused,
    Signal,
    ToolCalled,
    ToolsListed,
    TurnFailed,
)
from claude_proxy.backends.claude_cli.turns import Turns
from claude_proxy.canon.blocks import Json
from claude_proxy.canon.events import AnyEvent, MessageStart, MessageStop
from claude_proxy.errors import ProxyError, UpstreamError
from claude_proxy.framing import Lines, LineTooLong

_log = logging.getLogger("claude_proxy.cli")

_STDERR_KEPT = 4096
_LISTED_AS = {"Agent": "Task"}
"""The one tool that the CLI lists by an older name, whoever serves it: Claude Code has it as a client."""


class Child:
    """A process under way. ``run`` is its life; all else is used while that runs."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
        self.turns = Turns()
        self.calls: dict[str, ToolCalled] = {}
        """Tool calls that wait for their result, by ``tool_use`` id."""
        self.tools: Sequence[Json] = ()
        """What ``tools/list`` answers."""
        self.pid: int | None = None
        self.returncode: int | None = None
        self.spoke = False
        """It has written something we understand, so it did start."""
        self.heard = False
        """It has written something since this was last unset."""
        self.spoiled = False
        """It can't be used for another turn."""
        self.on_loop_ended: Callable[[LoopEnded], None] = lambda _: None
        self.on_limits: Callable[[Limits], None] = lambda _: None
        self._command = (*launcher(), *command)
        self._env = dict(env)
        self._cwd = cwd
        self._measured: psutil.Process | None = None
        self._pipes = Pipes(self._read_output, self._read_errors)
        self._lines = Lines()
        self._started = asyncio.Event()
        self._gone = asyncio.Event()
        self._events: asyncio.Queue[AnyEvent | ProxyError] = asyncio.Queue()
        self._history: asyncio.Queue[ProxyError | None] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[Answered]] = {}
        self._call_came = asyncio.Event()
        self._tools_asked_for = asyncio.Event()
        self._listed: frozenset[str] = frozenset()
        self._stderr = bytearray()
        self._start_error = ""
        self._ids = 0
        self._unwritten: list[bytes] = []
        self._settings: Json = {}

    # -- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start the process, read it until it ends, reap it. Ends the process too when cancelled."""
        pipes = self._pipes
        try:
            self.pid = await pipes.start(self._command, self._env, self._cwd)
        except OSError as error:
            self._start_error = error.strerror or str(error)
            _log.error("the claude CLI can't be started: %s", error)
            self._lose(NotStarted(f"the claude CLI can't be started: {self._start_error}"))
            return
        _log.debug("child %d started", self.pid)
        try:
            self._started.set()
            self._flush()
            await pipes.closed.wait()
            await pipes.has_exited()
        finally:
            await asyncio.shield(self._reap())

    async def _reap(self) -> None:
        await self._pipes.end()
        self._pipes.release()
        self.returncode = self._pipes.returncode
        _log.debug("child %s ended with %s", self.pid, self.returncode)
        self._lose(Lost(f"the claude CLI process ended with {self.last_words}"))

    @property
    def last_words(self) -> str:
        """How it ended, and the last line it wrote to stderr; or why it never began."""
        if self._start_error:
            return self._start_error
        lines = self._stderr.decode(errors="replace").strip().splitlines()
        return f"code {self.returncode}" + (f": {lines[-1]}" if lines else "")

    @property
    def stderr(self) -> str:
        """The last of what it wrote to stderr."""
        return self._stderr.decode(errors="replace")

    def _lose(self, why: Lost) -> None:
        self.fail(why)
        self._started.set()
        self._gone.set()
        self._call_came.set()
        self._tools_asked_for.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(why)

    async def stop(self, *, idle: bool = False) -> None:
        """End the process. Returns when it is gone; ``run`` reaps it.

        An ``idle`` one ends by itself when its input does, which costs it least. Any other would go on with its turn:
        it gets SIGTERM, as does an idle one that is still there a second later, and after two more seconds SIGKILL.
        """
        self.spoiled = True
        await self._started.wait()
        if self.pid is not None and not self._gone.is_set():
            await self._pipes.end(idle=idle)
            await self._gone.wait()

    @property
    def gone(self) -> bool:
        """Whether the process has ended, or never started."""
        return self._gone.is_set()

    # -- out ----------------------------------------------------------------------------------------------------------

    def next_id(self) -> str:
        """Give a fresh id for a control request."""
        self._ids += 1
        return f"r{self._ids}"

    def write(self, *lines: bytes) -> None:
        """Write lines; before the process has started they wait for it. To a process that is gone they go nowhere.

        Nobody waits until they are read: they are in memory anyway, and a process that reads no more must not hold up
        the deadlines of the turn.
        """
        if self.pid is not None and not self._unwritten:
            # In one piece with what else is written now: the process wakes up at the first, and competes with us.
            asyncio.get_running_loop().call_soon(self._flush)
        self._unwritten.extend(lines)

    def _flush(self) -> None:
        self._pipes.write(b"".join(self._unwritten))
        self._unwritten.clear()

    def memory(self) -> int:
        """How many bytes of memory it holds now; 0 where that can't be said."""
        if self.pid is None or self.gone:
            return 0
        try:
            process = self._measured = self._measured or psutil.Process(self.pid)
            # Elsewhere than on Linux the launcher stays between the two.
            family = [process] if sys.platform == "linux" else [process, *process.children()]
            return sum(member.memory_info().rss for member in family)
        except (psutil.Error, OSError):  # the second where no more files can be opened
            return 0

    def prepare(self, system: str, listed: Sequence[Json]) -> None:
        """Tell a blank child its system prompt and the client's tools; once in its life."""
        if self._tools_asked_for.is_set() and list(listed) != list(self.tools):
            self.write(control.tools_changed(self.next_id()))
        self.tools = listed
        self.write(control.initialize(self.next_id(), [system], with_tools=bool(listed)))

    def apply(self, settings: Json) -> None:
        """Set what the next upstream requests carry; where that is set already it costs nothing."""
        if settings != self._settings:
            self._settings = settings
            self.write(control.apply_settings(self.next_id(), settings))

    async def ask(self, make: Callable[[str], bytes]) -> Answered:
        """Write the control request that ``make`` gives for an id, and return its answer. Raises ``Lost``."""
        request_id = self.next_id()
        if self.gone:
            raise Lost("the claude CLI process is gone")
        answer = self._answers[request_id] = asyncio.get_running_loop().create_future()
        self.write(make(request_id))
        try:
            result: Answered = await answer
        finally:
            del self._answers[request_id]
        return result

    async def tools_asked_for(self) -> None:
        """Wait until it has asked for the tools. Raises ``Lost``."""
        await self._tools_asked_for.wait()
        if self.gone:
            raise Lost("the claude CLI process is gone")

    async def history_taken(self) -> None:
        """Wait until the history message just written is in; raise the ``ProxyError`` where it was refused."""
        if error := await self._history.get():
            raise error

    # -- in -----------------------------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[AnyEvent]:
        """Give the reply's events as they come, to ``message_stop``. Raises the ``ProxyError`` that ended it."""
        while True:
            event = await self._events.get()
            if isinstance(event, ProxyError):
                self.spoiled = True
                raise event
            yield event
            if type(event) is MessageStop:
                return

    async def call(self, tool_use_id: str) -> ToolCalled:
        """Wait for the call of ``tool_use_id`` and take it. Raises ``Lost``."""
        while tool_use_id not in self.calls:
            if self.gone:
                raise Lost("the claude CLI process is gone")
            self._call_came.clear()
            await self._call_came.wait()
        return self.calls.pop(tool_use_id)

    def _read_output(self, data: bytes) -> None:
        if self.gone:
            return
        self.heard = True
        try:
            for line in self._lines.feed(data):
                for sign in self.turns.feed(line):
                    self.spoke = True
                    self._take(sign)
        except LineTooLong as error:
            self._lose(Lost(f"the claude CLI wrote {error}"))
            self._pipes.signal(signal.SIGKILL)
        except Exception:  # noqa: BLE001  # whatever it is, nobody may wait for this child for ever
            _log.exception("what child %s wrote can't be dealt with", self.pid)
            self._lose(Lost("what the claude CLI wrote can't be dealt with"))
            self._pipes.signal(signal.SIGKILL)

    def _read_errors(self, data: bytes) -> None:
        self._stderr += data
        del self._stderr[:-_STDERR_KEPT]
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("child %s stderr: %s", self.pid, data.decode(errors="replace").rstrip())

    def _take(self, sign: Signal) -> None:
        match sign:
            case ToolCalled():
                self.calls[sign.tool_use_id] = sign
                self._call_came.set()
            case McpAsked():
                result = tools.answer(sign.method, sign.params, self.tools)
                if sign.method == "tools/list":
                    self._tools_asked_for.set()
                self.write(control.mcp_result(sign.request_id, sign.rpc_id, result))
            case Refused():
                self.write(control.refuse(sign.request_id, f"{sign.subtype} isn't served here"))
            case ToolsListed():
                self._listed = sign.names
            case Answered():
                self._answered(sign)
            case HistoryTaken():
                self._history.put_nowait(sign.error)
            case TurnFailed():
                self.fail(sign.error)
            case LoopEnded():
                self.spoiled = self.spoiled or sign.failed
                self.on_loop_ended(sign)
            case Limits():
                self.on_limits(sign)
            case MessageStart() if self._listed != {_LISTED_AS.get(tool["name"], tool["name"]) for tool in self.tools}:
                self.fail(UpstreamError(f"the claude CLI doesn't offer the tools asked for, but {set(self._listed)}"))
            case _:
                self._events.put_nowait(sign)

    def fail(self, error: ProxyError) -> None:
        """End the turn under way with ``error``; the child can't be used again."""
        self.spoiled = True
        self.turns.give_up()
        self._events.put_nowait(error)
        self._history.put_nowait(error)

    def _answered(self, answer: Answered) -> None:
        waiting = self._answers.get(answer.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        elif answer.error is not None:
            # A setting that isn't taken would be a loss in silence.
            self.fail(UpstreamError(f"the claude CLI refused a request of ours: {answer.error}"))
