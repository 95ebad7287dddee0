"""The official ``claude`` CLI as a backend: each turn runs on a process of the pool, natively."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import platformdirs

from claude_proxy import __version__
from claude_proxy.backends.base import Call, Health, Model, Turn
from claude_proxy.backends.claude_cli import argv, catalog, control, conversation, parameters, tools, transcript
from claude_proxy.backends.claude_cli.account import Account, read_account
from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.backends.claude_cli.catalog import Catalog
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.conversation import Task
from claude_proxy.backends.claude_cli.failures import SIGN_IN, Lost, refused_parameters
from claude_proxy.backends.claude_cli.limits import Limits, limit_headers
from claude_proxy.backends.claude_cli.policy import Rules
from claude_proxy.backends.claude_cli.pool import Lease, Pool
from claude_proxy.backends.claude_cli.turns import LoopEnded
from claude_proxy.canon.blocks import ToolUse
from claude_proxy.canon.collect import Collector, Reply
from claude_proxy.canon.events import AnyEvent, MessageStop
from claude_proxy.canon.request import Message
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.errors import BadRequest, NotSignedIn, ProxyError, RateLimited, Unavailable, UpstreamTimeout

_log = logging.getLogger("claude_proxy.cli")

_CATALOG_SECONDS = 30.0
_ACCOUNT_SECONDS = 30.0
_MAX_REFUSALS = 3
_KEEPABLE = frozenset({"end_turn", "tool_use"})
"""Replies after which the CLI waits for us. After others it may go on by itself, so their child is ended."""


@dataclass(slots=True)
class _Run:
    """One turn's way through one or two children."""

    call: Call
    turn: Turn
    messages: tuple[Message, ...]
    began: bool = False
    """An event has gone to the client: nothing may be tried again."""
    lost_children: int = 0
    refusals: int = 0


@dataclass(slots=True)
class ClaudeCli:
    """Implements ``backends.base.Backend``.

    ``environment`` is the server's own (only an allow-listed part reaches a child); ``extra_env`` is put over it.
    ``workdir`` is the children's working directory, private and empty.
    """

    config: ClaudeCliConfig
    extra_env: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    workdir: Path | None = None
    name: str = "claude-cli"
    limits: Limits | None = None
    _pool: Pool | None = None
    _catalog: Catalog | None = None
    _refused: dict[str, frozenset[str]] = field(default_factory=dict)
    _account: tuple[float, Account] | None = None
    _catalog_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _account_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; children are started in the background."""
        self.workdir = self.workdir or Path(platformdirs.user_cache_dir("claude-proxy", appauthor=False)) / "cwd"
        self.workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Asked off the loop once; afterwards the answer is known and looking again is cheap.
        with contextlib.suppress(ProxyError):
            await asyncio.to_thread(find_binary, self.config.path)
        rules = Rules(
            max_children=self.config.max_processes,
            warm_models=tuple(self.config.warm_models),
            warm=self.config.warm,
            idle_seconds=self.config.idle_seconds,
            call_seconds=self.config.tool_wait_seconds,
        )
        self._pool = Pool(rules, self._make_child)
        await self._pool.start()

    async def close(self) -> None:
        """End every child."""
        if self._pool is not None:
            await self._pool.close()

    def _account_environment(self) -> dict[str, str]:
        return argv.account_environment(
            self.environment, {**self.config.env, **self.extra_env}, base_url=self.config.base_url
        )

    def _make_child(self, model: str) -> Child:
        binary = find_binary(self.config.path)
        env = argv.child_environment(
            self._account_environment(), version=__version__, tool_wait_seconds=self.config.tool_wait_seconds
        )
        child = Child(argv.arguments(binary.path, model), env, str(self.workdir))
        child.on_limits = self._note_limits
        return child

    def _note_limits(self, limits: Limits) -> None:
        self.limits = limits

    # -- what it offers -----------------------------------------------------------------------------------------------

    async def models(self) -> Sequence[Model]:
        """List what the CLI itself offers this account."""
        return (await self._get_catalog()).models

    async def _get_catalog(self) -> Catalog:
        async with self._catalog_lock:
            if self._catalog is None:
                try:
                    self._catalog = await self._ask_catalog()
                except Lost:  # the child died before it could say: another one can
                    self._catalog = await self._ask_catalog()
            return self._catalog

    async def _ask_catalog(self) -> Catalog:
        pool = self._running()
        lease = await pool.claim(self.config.warm_models[0] if self.config.warm_models else "sonnet")
        try:
            async with asyncio.timeout(_CATALOG_SECONDS):
                answer = await lease.child.ask(control.list_models)
                if answer.error is not None:
                    # An older version tells it only once it is initialised, and then it isn't blank any more.
                    lease.child.spoiled = True
                    answer = await lease.child.ask(lambda number: control.initialize(number, (), with_tools=False))
        except TimeoutError as error:
            lease.child.spoiled = True
            raise UpstreamTimeout("the claude CLI doesn't say which models it offers") from error
        finally:
            pool.give_back(lease.id)
        found = catalog.parse(answer.response.get("models") or ())
        if not found.models:
            raise Unavailable("the claude CLI offers no models")
        return found

    async def health(self) -> Health:
        """Say whether the CLI is there, new enough and signed in. Asks the CLI at most every half minute."""
        try:
            binary = await asyncio.to_thread(find_binary, self.config.path)
        except ProxyError as error:
            return Health(ready=False, detail=error.message)
        account = await self._get_account(binary.path)
        if not account.signed_in:
            return Health(ready=False, detail=f"not signed in: {SIGN_IN}", version=binary.version)
        return Health(ready=True, detail=f"claude CLI {binary.version}", account=account.label, version=binary.version)

    async def _get_account(self, path: str) -> Account:
        async with self._account_lock:
            now = time.monotonic()
            if self._account is None or now - self._account[0] > _ACCOUNT_SECONDS:
                self._account = (now, await read_account(path, self._account_environment()))
            return self._account[1]

    def _running(self) -> Pool:
        if self._pool is None:
            raise Unavailable("the server is still starting")
        return self._pool

    # -- turns --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[Turn]:
        """Run one turn. Nothing is asked of a child before ``events`` is iterated."""
        messages, prefilled = transcript.ended_by_user(call.request.messages)
        turn = Turn(events=_no_events(), losses=["prefill"] if prefilled else [])
        events = self._events(_Run(call, turn, messages))
        turn.events = events
        try:
            yield turn
        finally:
            await events.aclose()

    async def _events(self, run: _Run) -> AsyncGenerator[AnyEvent, None]:
        """Give the turn's events; on another child where one is lost, or a parameter refused, before the first."""
        started = time.monotonic()
        while True:
            task = await self._prepare(run)
            attempt = self._attempt(run, task, started)
            try:
                async for event in attempt:
                    run.began = True
                    yield event
            except ProxyError as error:
                self._note_failure(error)
                if not self._try_again(run, task, error):
                    raise
            else:
                return
            finally:
                await attempt.aclose()

    def _try_again(self, run: _Run, task: Task, error: ProxyError) -> bool:
        """Decide whether the turn is tried again after ``error``: never once the client has something of it."""
        if run.began:
            return False
        refused = refused_parameters(error, task.plan.sent)
        if refused and run.refusals < _MAX_REFUSALS:
            run.refusals += 1
            model = run.call.request.model
            self._refused[model] = self._refused.get(model, frozenset()) | refused
            _log.info("%s doesn't take %s: left out from now on", model, ", ".join(sorted(refused)))
            return True
        if isinstance(error, Lost) and run.lost_children < 1:
            run.lost_children += 1
            return True
        return False

    def _note_failure(self, error: ProxyError) -> None:
        if isinstance(error, NotSignedIn):
            self._account = None
            self._running().retire_warm()
        if isinstance(error, RateLimited) and error.reset_at is not None and error.retry_after is None:
            error.retry_after = max(1.0, math.ceil(error.reset_at - time.time()))

    async def _prepare(self, run: _Run) -> Task:
        """Decide what is sent and what is lost; raise ``BadRequest`` for a loss where the request is strict."""
        known = await self._get_catalog()
        request = msgspec.structs.replace(run.call.request, model=known.exact(run.call.request.model))
        able = known.able(request.model).without(self._refused.get(request.model, frozenset()))
        plan = parameters.plan(request, able, plan_login=argv.is_plan_login(self._account_environment()))
        listed, tool_losses = tools.listing(request.tools)
        losses = (*run.turn.losses, *plan.losses, *tool_losses, *transcript.image_losses(run.messages[-1:]))
        run.turn.losses[:] = dict.fromkeys(losses)
        if run.call.strict and run.turn.losses:
            names = ", ".join(run.turn.losses)
            raise BadRequest(f"strict: the claude CLI can't honour {names}", param=run.turn.losses[0])
        run.turn.headers.update(limit_headers(self.limits))
        return Task(request, run.messages, plan, listed)

    def _pool_model(self, model: str) -> str:
        """Give the one name that the pool knows an exact model by: a warm model's configured one, else its shortest."""
        known = self._catalog or Catalog()
        warm = (name for name in self.config.warm_models if known.exact(name) == model)
        return next(warm, known.shortest(model))

    async def _attempt(self, run: _Run, task: Task, started: float) -> AsyncGenerator[AnyEvent, None]:
        """Run the turn on one child, which is kept for the conversation's next turn or else ended."""
        pool = self._running()
        results = transcript.continuation(task.messages)
        key = None if results is None else self._fingerprint(run, task, task.messages[:-1])
        lease = await pool.claim(self._pool_model(task.request.model), key)
        claimed = time.monotonic()
        run.turn.timings.setdefault("queue", claimed - started)
        lease.child.on_loop_ended = partial(self._loop_ended, lease.id)
        kept = False
        try:
            with self._deadlines(lease.child) as answered:
                if not lease.continued:
                    await conversation.begin(lease.child, task)
                elif results:
                    await conversation.answer(lease.child, task, results)
                else:
                    await conversation.follow(lease.child, task)
                run.turn.timings.setdefault("claim", time.monotonic() - claimed)
                collector = Collector()
                async for event in lease.child.events():
                    if not run.began:
                        answered()
                        run.turn.timings.setdefault("first_byte", time.monotonic() - claimed)
                    collector.feed(event)
                    if type(event) is MessageStop:
                        # Before the client has the last byte: it may come back at once.
                        kept = self._keep(run, task, lease, collector.reply())
                    yield event
        finally:
            if not kept:
                pool.retire(lease.id)

    @contextmanager
    def _deadlines(self, child: Child) -> Iterator[Callable[[], None]]:
        """Fail the turn when its first event or its end is late. Call what it gives at the first event."""
        loop = asyncio.get_running_loop()
        first, whole = self.config.first_byte_seconds, self.config.turn_seconds
        timers = [
            loop.call_later(first, child.fail, UpstreamTimeout(f"the model gave no sign of life within {first:g} s")),
            loop.call_later(whole, child.fail, UpstreamTimeout(f"the reply took longer than {whole:g} s")),
        ]
        try:
            yield timers[0].cancel
        finally:
            for timer in timers:
                timer.cancel()

    def _keep(self, run: _Run, task: Task, lease: Lease, reply: Reply) -> bool:
        """Keep the child for the conversation's next turn where the CLI waits for one; say whether it is kept."""
        if reply.stop_reason not in _KEEPABLE or lease.child.spoiled:
            return False
        holds_calls = any(isinstance(block, ToolUse) for block in reply.content)
        if holds_calls != (reply.stop_reason == "tool_use"):
            return False
        told = (*task.messages, Message(role="assistant", content=reply.content))
        self._running().keep(lease.id, self._fingerprint(run, task, told), holds_calls=holds_calls)
        return True

    def _fingerprint(self, run: _Run, task: Task, messages: Sequence[Message]) -> str:
        return transcript.fingerprint(task.request, messages, task.plan.system_notes, client=run.call.client)

    def _loop_ended(self, number: int, ended: LoopEnded) -> None:
        if self._catalog is not None and ended.max_output_tokens:
            self._catalog = self._catalog.with_sizes(ended.max_output_tokens, ended.context_window)
        if ended.failed:
            self._running().retire(number)


async def _no_events() -> AsyncIterator[AnyEvent]:
    """Stand in until the turn has begun."""
    nothing: tuple[AnyEvent, ...] = ()
    for event in nothing:
        yield event
