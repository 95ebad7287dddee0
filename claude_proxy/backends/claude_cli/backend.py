"""The official ``claude`` CLI as a backend: each turn runs on a process of the pool, natively."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs

from claude_proxy import __version__
from claude_proxy.backends.base import Call, Health, Model, Snapshot, Turn, nothing
from claude_proxy.backends.claude_cli import argv, catalog, control, count, limits, snapshot, transcript
from claude_proxy.backends.claude_cli.account import Account, config_dir, read_account
from claude_proxy.backends.claude_cli.attempts import Run, Shared
from claude_proxy.backends.claude_cli.binary import Binary, find_binary, known_binary
from claude_proxy.backends.claude_cli.catalog import Catalog, Knowledge
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.counting import COUNTING
from claude_proxy.backends.claude_cli.crew import Crew
from claude_proxy.backends.claude_cli.failures import Lost, sign_in
from claude_proxy.backends.claude_cli.features import Report
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.claude_cli.policy import Rules
from claude_proxy.backends.claude_cli.pool import Pool
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.errors import ProxyError, RateLimited, Unavailable, UpstreamTimeout
from claude_proxy.files import private_folder

_log = logging.getLogger("claude_proxy.cli")

_CATALOG_SECONDS = 30.0
_ACCOUNT_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 1.0


@dataclass(slots=True)
class ClaudeCli:
    """Implements ``backends.base.Inspectable``.

    ``environment`` is the server's own (only an allow-listed part reaches a child); ``extra_env`` is put over it.
    ``workdir`` is the children's working directory, private and empty. ``probe`` finds out what a version of the CLI
    does; without it every version is trusted.

    ``profile`` is one of the configuration's: another sign-in, with processes of its own. Its models carry the profile
    as prefix, and none of its processes is started before somebody asks.
    """

    config: ClaudeCliConfig = field(repr=False)
    extra_env: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    workdir: Path | None = None
    probe: Callable[[Binary], Awaitable[Report]] | None = None
    profile: str = ""
    name: str = field(init=False)
    kind: str = field(init=False, default="claude-cli")
    _pool: Pool = field(init=False, repr=False)
    _shared: Shared = field(init=False, repr=False)
    _config_dir: str | None = field(init=False, default=None)
    _reported_at: float = field(init=False, default=0.0)
    """When the plan's limits were last reported, in Unix seconds."""
    _reported: float = field(init=False, default=0.0)
    """The same by a clock that nobody sets."""
    _account: tuple[float, Account] | None = field(init=False, default=None)
    _report: Report | None = field(init=False, default=None)
    _report_due: float = field(init=False, default=0.0)
    """Until when the report is believed without a look at the binary."""
    _report_lock: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _catalog_lock: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _account_lock: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.name = f"{self.kind}/{self.profile}" if self.profile else self.kind
        self._config_dir = config_dir(self.config, self.profile)
        self._pool = Pool(self._rules(), Crew(self._make_child, self.config.max_memory_mb * 1_000_000))
        plan_login = argv.is_plan_login(self._account_environment())
        self._shared = Shared(
            self.config,
            self._pool,
            Knowledge(),
            plan_login,
            self._load_catalog,
            self._checked,
            signed_out=self._signed_out,
            refusal=self._refusal,
        )

    def _rules(self) -> Rules:
        return Rules(
            max_children=self.config.max_processes,
            # Of the default sign-in only: a process takes 150 MB, and a profile may not be asked for a single time.
            warm_models=() if self.profile else tuple(self.config.warm_models),
            warm=self.config.warm,
            idle_seconds=self.config.idle_seconds,
            call_seconds=self.config.tool_wait_seconds,
        )

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; children are started in the background."""
        if self.workdir is None:
            self.workdir = Path(platformdirs.user_cache_dir("claude-proxy", appauthor=False)) / "cwd"
        private_folder(self.workdir)
        # Asked off the loop once; afterwards the answer is known and looking again is cheap.
        with contextlib.suppress(ProxyError):
            await asyncio.to_thread(find_binary, self.config.path)
        await self._pool.start()

    def adapt(self, config: ClaudeCliConfig) -> None:
        """Go by another configuration, which asks for the same processes: children and conversations stay."""
        self.config = self._shared.config = config
        self._pool.adapt(self._rules(), config.max_memory_mb * 1_000_000)

    def wind_down(self) -> None:
        """Keep no child any longer than its turn: another backend gets the requests that come."""
        self._pool.adapt(replace(self._rules(), warm=0, idle_seconds=0, call_seconds=0), self._pool.crew.max_memory)

    async def close(self) -> None:
        """End every child."""
        await self._pool.close()

    def _account_environment(self) -> dict[str, str]:
        return argv.account_environment(
            self.environment,
            {**self.config.env, **self.extra_env},
            base_url=self.config.base_url,
            config_dir=self._config_dir,
        )

    def _make_child(self, model: str) -> Child:
        binary = find_binary(self.config.path)
        counts = model.endswith(COUNTING)
        env = argv.child_environment(
            self._account_environment(),
            version=__version__,
            tool_wait_seconds=self.config.tool_wait_seconds,
            tells_failures=counts,
        )
        command = argv.arguments(
            binary.path,
            model.removesuffix(COUNTING),
            lists_tools_early=binary.asks_for_tools_again,
            tells_failures=counts,
        )
        child = Child(command, env, str(self.workdir))
        child.turns.sign_in = sign_in(self.profile)
        child.on_limits = self._note_limits
        return child

    def _note_limits(self, reported: Limits) -> None:
        self._shared.limits = reported
        self._shared.limit_headers = limits.limit_headers(reported)
        self._reported_at, self._reported = time.time(), time.monotonic()

    def _signed_out(self) -> None:
        self._account = None
        self._pool.retire_idle()

    # -- what it offers -----------------------------------------------------------------------------------------------

    async def models(self) -> Sequence[Model]:
        """List what the CLI itself offers this account."""
        offered = (await self._load_catalog()).models
        return [replace(model, prefix=self.profile) for model in offered] if self.profile else offered

    async def _load_catalog(self) -> Catalog:
        known = self._shared.known
        async with self._catalog_lock:
            if not known.catalog.models:
                try:
                    known.catalog = await self._ask_catalog()
                except Lost:  # the child died before it could say: another one can
                    known.catalog = await self._ask_catalog()
            return known.catalog

    async def _ask_catalog(self) -> Catalog:
        lease = await self._pool.claim(self.config.warm_models[0] if self.config.warm_models else "sonnet")
        try:
            async with asyncio.timeout(min(_CATALOG_SECONDS, self.config.first_byte_seconds)):
                answer = await lease.child.ask(control.list_models)
                if answer.error is not None:
                    # An older version tells it only once it is initialised, and then it isn't blank any more.
                    lease.child.spoiled = True
                    answer = await lease.child.ask(lambda number: control.initialize(number, (), with_tools=False))
        except TimeoutError as error:
            lease.child.spoiled = True
            raise UpstreamTimeout("the claude CLI doesn't say which models it offers") from error
        finally:
            self._pool.give_back(lease.id)
        found = catalog.parse(answer.response.get("models") or ())
        if not found.models:
            raise Unavailable("the claude CLI offers no models")
        return found

    async def _checked(self) -> Report | None:
        """Find out what the installed version does, once for each; raise ``Unavailable`` for one that can't be used."""
        if self.probe is None:
            return None
        now = time.monotonic()
        if self._report is not None and now < self._report_due:
            return self._report
        # In a thread only where a binary must be asked for its version, which takes it a moment.
        binary = known_binary(self.config.path)
        if binary is None:
            binary = await asyncio.to_thread(find_binary, self.config.path)
        async with self._report_lock:
            if self._report is None or self._report.version != binary.version or not self._report.lasting:
                self._report = await self.probe(binary)
                if self._report.off:
                    failed = ", ".join(sorted(self._report.off))
                    _log.warning("claude CLI %s fails these checks, switched off: %s", binary.version, failed)
        if self._report.refused:
            raise Unavailable(self._report.refused)
        if self._report.lasting:
            self._report_due = now + _LOOK_AGAIN_SECONDS
        return self._report

    async def health(self) -> Health:
        """Say whether the CLI is there, new enough and signed in. Asks the CLI at most every half minute."""
        try:
            binary = await asyncio.to_thread(find_binary, self.config.path)
            await self._checked()
        except ProxyError as error:
            return Health(ready=False, detail=error.message)
        if trouble := self._pool.trouble:
            return Health(ready=False, detail=trouble, version=binary.version)
        account = await self._get_account(binary.path)
        if not account.signed_in:
            why = account.problem or f"not signed in: {sign_in(self.profile)}"
            return Health(ready=False, detail=why, version=binary.version)
        # A window of one family of models leaves the others.
        refused = self._refusal("")
        detail = refused.message if refused else f"claude CLI {binary.version}"
        return Health(ready=not refused, detail=detail, account=account.label, version=binary.version)

    async def _get_account(self, path: str) -> Account:
        async with self._account_lock:
            now = time.monotonic()
            if self._account is None or self._account[1].problem or now - self._account[0] > _ACCOUNT_SECONDS:
                self._account = (now, await read_account(path, self._account_environment()))
            return self._account[1]

    async def snapshot(self) -> Snapshot:
        """Say how the plan and the processes are. Nothing is asked of the CLI."""
        plan = snapshot.plan(self._shared.limits, self._reported_at)
        return Snapshot(self.profile, plan, await snapshot.processes(self._pool))

    # -- turns --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[Turn]:
        """Run one turn. Nothing is asked of a child before ``events`` is iterated."""
        messages, prefilled = transcript.ended_by_user(call.request.messages)
        turn = Turn(losses=["prefill"] if prefilled else [])
        if refused := self._refusal(call.request.model):
            turn.headers.update(self._shared.limit_headers)
            turn.events = nothing(refused)
            yield turn
            return
        events = Run(self._shared, call, turn, messages).events()
        turn.events = events
        try:
            yield turn
        finally:
            await events.aclose()

    def _refusal(self, model: str) -> RateLimited | None:
        """Give the answer to a request that the plan doesn't pay for any more."""
        if not (self.config.plan_only and self._shared.plan_login):
            return None
        # A clock that is set back must not keep a plan refused whose window has long been reset.
        now = max(time.time(), self._reported_at + time.monotonic() - self._reported)
        return limits.refusal(self._shared.limits, model, reported_at=self._reported_at, now=now)

    async def count_tokens(self, call: Call) -> int:
        """Have the upstream count a request: the system prompt, the tools and the messages, each by itself.

        The sum is what the client sent, and not what the CLI or the API adds to it. ``counting`` says how it is made.
        """
        return await count.count_tokens(self._shared, call, sign_in=sign_in(self.profile))
