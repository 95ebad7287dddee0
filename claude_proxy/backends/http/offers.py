"""What the keys offer: the config's lists and the upstreams' own, asked for again every few minutes.

A list that is old is used while a new one is on its way, and kept where the upstream can't say. Between two changes
nothing is computed: ``models`` gives the same tuple again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from claude_proxy.backends.base import Model
from claude_proxy.backends.http.attempts import Patience, Upstreams
from claude_proxy.backends.http.catalog import merged, offered
from claude_proxy.backends.http.entries import Source
from claude_proxy.backends.http.keys import Keys
from claude_proxy.errors import ProxyError, Unavailable, UpstreamTimeout

_log = logging.getLogger("claude_proxy.http")

_KEPT_SECONDS = 300.0
_AGAIN_SECONDS = 20.0
_WAIT_SECONDS = 20.0
_PATIENCE = Patience(retries=1, retry_seconds=2.0, connect_seconds=5.0, first_byte_seconds=10.0, idle_seconds=10.0)

Ask = Callable[[Source, Upstreams], Awaitable[tuple[Model, ...]]]
"""Asks an upstream what it has. Its keys are in the ``Upstreams``, too, and nobody else's."""


@dataclass(slots=True)
class _Known:
    """What is known of a source's models. ``due`` is when to ask again."""

    source: Source
    due: float
    listed: tuple[Model, ...] = ()
    error: ProxyError | None = None

    @property
    def is_named(self) -> bool:
        """Whether the config says which models it has."""
        return bool(self.source.credentials[0].models)


@dataclass(slots=True)
class Offers:
    """The lists of all sources. ``asks_named``: also ask where the config names the models, for more about them."""

    kind: str
    upstreams: Upstreams
    sources: tuple[Source, ...]
    ask: Ask
    asks_named: bool = False
    kept_seconds: float = _KEPT_SECONDS
    again_seconds: float = _AGAIN_SECONDS
    _known: list[_Known] = field(init=False)
    _models: tuple[Model, ...] = ()
    _due: float = 0.0
    _asking: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._known = [_Known(source, 0.0) for source in self.sources]
        for known in self._known:
            known.due = math.inf if known.is_named and not self.asks_named else 0.0
        self._settle()

    @property
    def current(self) -> tuple[Model, ...]:
        """What is offered, as far as it is known now."""
        return self._models

    @property
    def problems(self) -> list[str]:
        """Which upstreams don't say what they have, and have never said it: a line each."""
        silent = (known for known in self._known if known.error is not None and not known.listed)
        return [f"{known.source.name}: {known.error.message}" for known in silent if known.error and not known.is_named]

    async def models(self) -> tuple[Model, ...]:
        """List what can be asked for; raise ``ProxyError`` where no upstream says."""
        await self.refreshed()
        if self._models:
            return self._models
        if not self.sources:
            raise Unavailable(f"no `{self.kind}` entry can be used")
        errors = [known.error for known in self._known if known.error is not None]
        raise errors[0] if errors else Unavailable(f"no upstream of `{self.kind}` offers a model")

    async def refreshed(self) -> None:
        """See to it that each upstream was asked; wait only for one that has never been, or where nothing is known."""
        if time.monotonic() < self._due:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        if not self._models or any(not known.due and not known.is_named for known in self._known):
            await asyncio.shield(self._asking)

    async def close(self) -> None:
        """End what is under way."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask_all(self) -> None:
        now = time.monotonic()
        await asyncio.gather(*(self._ask(known) for known in self._known if known.due <= now))
        self._settle()

    async def _ask(self, known: _Known) -> None:
        source = known.source
        # Asked with its own keys, for what all of them may be asked; the connections are everybody's.
        keys = [replace(one, models=(), excluded_models=(), prefix="") for one in source.credentials]
        alone = Upstreams(Keys(keys), _PATIENCE, self.upstreams.sessions)
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                known.listed, known.error = await self.ask(source, alone), None
        except TimeoutError:
            known.error = UpstreamTimeout(f"{source.name} doesn't say which models it has")
        except ProxyError as error:
            known.error = error
        if known.error is not None:
            level = logging.DEBUG if known.is_named else logging.WARNING
            _log.log(level, "%s doesn't say which models it has: %s", source.name, known.error.message)
        known.due = time.monotonic() + (self.kept_seconds if known.error is None else self.again_seconds)

    def _settle(self) -> None:
        self._models = merged(offered(known.source.credentials[0], known.listed) for known in self._known)
        self._due = min((known.due for known in self._known), default=math.inf)
        self.upstreams.keys.listed = {
            credential.label: frozenset(model.id for model in known.listed)
            for known in self._known
            for credential in known.source.credentials
        }
