"""The official ``claude`` CLI as a backend: each turn runs on a process of the pool, natively."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from claude_proxy import __version__
from claude_proxy.backends.base import Call, Health, Model, Turn
from claude_proxy.backends.claude_cli import argv, catalog, control, transcript
from claude_proxy.backends.claude_cli.account import Account, read_account
from claude_proxy.backends.claude_cli.attempts import Run, Shared
from claude_proxy.backends.claude_cli.binary import Binary, find_binary
from claude_proxy.backends.claude_cli.catalog import Catalog, Knowledge
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.failures import SIGN_IN, Lost
from claude_proxy.backends.claude_cli.features import Report
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.claude_cli.policy import Rules
from claude_proxy.backends.claude_cli.pool import Pool
from claude_proxy.canon.events import AnyEvent
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.errors import ProxyError, Unavailable, UpstreamTimeout

_log = logging.getLogger("claude_proxy.cli")

_CATALOG_SECONDS = 30.0
_ACCOUNT_SECONDS = 30.0


@dataclass(slots=True)
class ClaudeCli:
    """Implements ``backends.base.Backend``.

    ``environment`` is the server's own (only an allow-listed part reaches a child); ``extra_env`` is put over it.
    ``workdir`` is the children's working directory, private and empty. ``probe`` finds out what a version of the CLI
    does; without it every version is trusted.
    """

    config: ClaudeCliConfig
    extra_env: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    workdir: Path | None = None
    probe: Callable[[Binary], Awaitable[Report]] | None = None
    name: str = "claude-cli"
    _pool: Pool = field(init=False)
    _shared: Shared = field(init=False)
    _account: tuple[float, Account] | None = None
    _report: Report | None = None
    _report_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _catalog_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _account_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        rules = Rules(
            max_children=self.config.max_processes,
            warm_models=tuple(self.config.warm_models),
            warm=self.config.warm,
            idle_seconds=self.config.idle_seconds,
            call_seconds=self.config.tool_wait_seconds,
        )
        self._pool = Pool(rules, self._make_child, max_memory=self.config.max_memory_mb * 1_000_000)
        plan_login = argv.is_plan_login(self._account_environment())
        self._shared = Shared(
            self.config,
            self._pool,
            Knowledge(),
            plan_login,
            self._load_catalog,
            self._checked,
            signed_out=self._signed_out,
        )

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; children are started in the background."""
        if self.workdir is None:
            self.workdir = Path(platformdirs.user_cache_dir("claude-proxy", appauthor=False)) / "cwd"
        self.workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Asked off the loop once; afterwards the answer is known and looking again is cheap.
        with contextlib.suppress(ProxyError):
            await asyncio.to_thread(find_binary, self.config.path)
        await self._pool.start()

    async def close(self) -> None:
        """End every child."""
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
        self._shared.limits = limits

    def _signed_out(self) -> None:
        self._account = None
        self._pool.retire_warm()

    # -- what it offers -----------------------------------------------------------------------------------------------

    async def models(self) -> Sequence[Model]:
        """List what the CLI itself offers this account."""
        return (await self._load_catalog()).models

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
        binary = find_binary(self.config.path)
        async with self._report_lock:
            if self._report is None or self._report.version != binary.version or not self._report.lasting:
                self._report = await self.probe(binary)
                if self._report.off:
                    failed = ", ".join(sorted(self._report.off))
                    _log.warning("claude CLI %s fails these checks, switched off: %s", binary.version, failed)
        if self._report.refused:
            raise Unavailable(self._report.refused)
        return self._report

    async def health(self) -> Health:
        """Say whether the CLI is there, new enough and signed in. Asks the CLI at most every half minute."""
        try:
            binary = await asyncio.to_thread(find_binary, self.config.path)
            await self._checked()
        except ProxyError as error:
            return Health(ready=False, detail=error.message)
        if self._pool.closed:
            return Health(ready=False, detail=self._pool.closed, version=binary.version)
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

    # -- turns --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[Turn]:
        """Run one turn. Nothing is asked of a child before ``events`` is iterated."""
        messages, prefilled = transcript.ended_by_user(call.request.messages)
        turn = Turn(events=_no_events(), losses=["prefill"] if prefilled else [])
        events = Run(self._shared, call, turn, messages).events()
        turn.events = events
        try:
            yield turn
        finally:
            await events.aclose()


async def _no_events() -> AsyncIterator[AnyEvent]:
    """Stand in until the turn has begun."""
    nothing: tuple[AnyEvent, ...] = ()
    for event in nothing:
        yield event
