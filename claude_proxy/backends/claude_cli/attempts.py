"""One turn's way through the pool: on one child, or on another where the first is lost or a parameter refused."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import msgspec

from claude_proxy.backends.base import Call, Turn
from claude_proxy.backends.claude_cli import conversation, parameters, tools, transcript
from claude_proxy.backends.claude_cli.catalog import Catalog, Knowledge
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.conversation import Task
from claude_proxy.backends.claude_cli.failures import Lost, refused_parameters
from claude_proxy.backends.claude_cli.features import Report, restricted
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.claude_cli.pool import Lease, Pool
from claude_proxy.backends.claude_cli.prediction import Preparation
from claude_proxy.backends.claude_cli.signals import LoopEnded
from claude_proxy.backends.claude_cli.transcript import Fingerprint
from claude_proxy.canon.blocks import ToolUse
from claude_proxy.canon.collect import Collector, Reply
from claude_proxy.canon.events import STOP_REASONS, AnyEvent, BlockStart, MessageStart, MessageStop, Ping
from claude_proxy.canon.request import Message
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.errors import BadRequest, NotSignedIn, ProxyError, RateLimited, UnknownModel, UpstreamTimeout

_log = logging.getLogger("claude_proxy.cli")

_MAX_REFUSALS = 3
_KEEPABLE = frozenset({"end_turn", "tool_use"})
"""Replies after which the CLI waits for us. After others it may go on by itself, so their child is ended."""

_REACTION_SECONDS = 20.0
"""How long a child may say nothing at all to what it is told: it hangs, and hasn't asked the model yet."""

_OPENING = frozenset({MessageStart, BlockStart, Ping})
"""What comes before the first content. Starting a spare now would keep a client waiting for that."""


@dataclass(slots=True)
class Shared:
    """What all turns share. ``plan_login``: requests go through the subscription."""

    config: ClaudeCliConfig
    pool: Pool
    known: Knowledge
    plan_login: bool
    load_catalog: Callable[[], Awaitable[Catalog]]
    checked: Callable[[], Awaitable[Report | None]]
    """Gives what the CLI version in use was seen to do; raises ``Unavailable`` where it can't be used."""
    signed_out: Callable[[], None]
    """Called when the upstream says that nobody is signed in."""
    refusal: Callable[[str], RateLimited | None] = lambda _: None
    """Gives why the plan doesn't pay for a model now."""
    limits: Limits | None = None
    limit_headers: Mapping[str, str] = field(default_factory=dict)
    """How every answer tells of ``limits``."""


@dataclass(slots=True)
class Run:
    """One turn. ``messages`` ends with the user's."""

    shared: Shared
    call: Call
    turn: Turn
    messages: tuple[Message, ...]
    _began: bool = False
    """An event has gone to the client: nothing may be tried again."""
    _lost_children: int = 0
    _refusals: int = 0
    _off: frozenset[str] = frozenset()

    async def events(self) -> AsyncGenerator[AnyEvent, None]:
        """Give the turn's events. Another try is made only before the first of them."""
        started = time.monotonic()
        given = tuple(self.turn.losses)
        while True:
            task = await self._prepare(given)
            attempt = self._attempt(task, started)
            try:
                async for event in attempt:
                    self._began = True
                    yield event
            except ProxyError as error:
                self._note(task, error)
                if self._began or not self._can_try_again(task, error):
                    raise
            else:
                return
            finally:
                await attempt.aclose()

    def _note(self, task: Task, error: ProxyError) -> None:
        if isinstance(error, NotSignedIn):
            self.shared.signed_out()
        if isinstance(error, UnknownModel):
            self.shared.pool.forget(self._pool_model(task.request.model))
        if isinstance(error, RateLimited) and error.reset_at is not None and error.retry_after is None:
            error.retry_after = max(1.0, math.ceil(error.reset_at - time.time()))

    def _can_try_again(self, task: Task, error: ProxyError) -> bool:
        """Say whether another try may do better, and remember what the error teaches."""
        model = task.request.model
        refused = refused_parameters(error, task.plan.sent)
        if refused and self._refusals < _MAX_REFUSALS:
            self._refusals += 1
            self.shared.known.learn_refusal(model, refused)
            _log.info("%s doesn't take %s: left out from now on", model, ", ".join(sorted(refused)))
            return True
        if isinstance(error, UnknownModel) and not self.call.strict:
            return self.shared.known.learn_missing(model, time.monotonic())
        if isinstance(error, Lost) and self._lost_children < 1:
            self._lost_children += 1
            return True
        return False

    async def _prepare(self, given: tuple[str, ...]) -> Task:
        """Decide what is sent and what is lost beside what was ``given``, whatever an earlier try lost.

        Raises ``BadRequest`` for a loss where the request is strict.
        """
        report = await self.shared.checked()
        self._off = report.off if report else frozenset()
        catalog, known = await self.shared.load_catalog(), self.shared.known
        name = self.call.request.model
        exact = catalog.exact(name) if self.call.strict else known.resolve(name, time.monotonic())
        request = msgspec.structs.replace(self.call.request, model=exact)
        request, unproven = restricted(request, self._off, report.version if report else "")
        plan = parameters.plan(request, known.able(exact), plan_login=self.shared.plan_login)
        listed, tool_losses = tools.listing(request.tools)
        stand_in = () if exact == catalog.exact(name) else ("model",)
        block_losses = (*transcript.image_losses(self.messages[-1:]), *transcript.block_losses(self.messages))
        losses = (*given, *stand_in, *unproven, *plan.losses, *tool_losses, *block_losses)
        self.turn.losses[:] = dict.fromkeys(losses)
        if self.call.strict and losses:
            raise BadRequest(f"strict: the claude CLI can't honour {', '.join(self.turn.losses)}", param=losses[0])
        self.turn.headers.update(self.shared.limit_headers)
        return Task(request, self.messages, plan, listed)

    def _pool_model(self, exact: str) -> str:
        """Give the one name that the pool knows an exact model by: a warm model's configured one, else its shortest."""
        catalog = self.shared.known.catalog
        warm = (name for name in self.shared.config.warm_models if catalog.exact(name) == exact)
        return next(warm, catalog.shortest(exact))

    async def _attempt(self, task: Task, started: float) -> AsyncGenerator[AnyEvent, None]:
        """Run the turn on one child, which is kept for the conversation's next turn or else ended."""
        pool, timings = self.shared.pool, self.turn.timings
        results = transcript.continuation(task.messages)
        model, system = task.request.model, task.system
        opening = transcript.fingerprint(model, system, task.tools, client=self.call.client)
        held = opening.then(task.messages[:-1])
        told = Preparation(opening.key, system, task.tools, task.plan.settings)
        # Without keys, what a client asks with tells it from others.
        client = self.call.client or told.key
        lease = await pool.claim(self._pool_model(model), None if results is None else held.key, told, client=client)
        claimed = time.monotonic()
        timings.setdefault("queue", claimed - started)
        if refused := self.shared.refusal(model):
            # The plan was used up while this request waited.
            pool.return_unused(lease)
            raise refused
        lease.child.on_loop_ended = partial(_loop_ended, self.shared, lease.id)
        kept = False
        try:
            with self._deadlines(lease) as answered:
                if not lease.continued:
                    await conversation.begin(lease.child, task, prepared=lease.prepared)
                elif results:
                    await conversation.answer(lease.child, task, results)
                else:
                    conversation.follow(lease.child, task)
                timings.setdefault("claim", time.monotonic() - claimed)
                collector = Collector()
                async for event in lease.child.events():
                    if not self._began:
                        answered()
                        timings.setdefault("first_byte", time.monotonic() - claimed)
                    collector.feed(event)
                    if type(event) is MessageStop:
                        # Before the client has the last byte: it may come back at once.
                        kept = self._keep(lease, held.then(task.messages[-1:]), collector.reply())
                    yield event
                    if type(event) not in _OPENING:
                        pool.turn_answered()
        finally:
            if not kept:
                pool.retire(lease.id)

    @contextmanager
    def _deadlines(self, lease: Lease) -> Iterator[Callable[[], None]]:
        """Fail the turn when its first event or its end is late. Call what it gives at the first event."""
        loop, child = asyncio.get_running_loop(), lease.child
        child.heard = False
        first, whole = self.shared.config.first_byte_seconds, self.shared.config.turn_seconds
        timers = [
            loop.call_later(first, child.fail, UpstreamTimeout(f"the model gave no sign of life within {first:g} s")),
            loop.call_later(whole, self._give_up, lease, whole),
            loop.call_later(_REACTION_SECONDS, _expect_reaction, child),
        ]
        try:
            yield timers[0].cancel
        finally:
            for timer in timers:
                timer.cancel()

    def _give_up(self, lease: Lease, seconds: float) -> None:
        """End a turn that is too long, and its child with it: a client that reads slowly may hear of it much later."""
        lease.child.fail(UpstreamTimeout(f"the reply took longer than {seconds:g} s"))
        self.shared.pool.retire(lease.id)

    def _keep(self, lease: Lease, asked: Fingerprint, reply: Reply) -> bool:
        """Keep the child for the conversation's next turn where the CLI waits for one; say whether it is kept."""
        if reply.stop_reason not in STOP_REASONS:
            _log.warning("%s ended a reply with %r, which is unknown here", reply.model, reply.stop_reason)
        if reply.stop_reason not in _KEEPABLE or lease.child.spoiled:
            return False
        holds_calls = any(isinstance(block, ToolUse) for block in reply.content)
        unproven = ("held-results" if holds_calls else "next-turn") in self._off
        if unproven or holds_calls != (reply.stop_reason == "tool_use"):
            return False
        told = asked.then([Message(role="assistant", content=reply.content)])
        self.shared.pool.keep(lease.id, told.key, holds_calls=holds_calls)
        return True


def _loop_ended(shared: Shared, number: int, ended: LoopEnded) -> None:
    """Learn from the end of a child's work. It keeps this until its next turn, so nothing of the request is in it."""
    known = shared.known
    known.catalog = known.catalog.with_sizes(ended.max_output_tokens, ended.context_window)
    if ended.failed:
        shared.pool.retire(number)


def _expect_reaction(child: Child) -> None:
    if not child.heard:
        child.fail(Lost("the claude CLI process doesn't react"))
