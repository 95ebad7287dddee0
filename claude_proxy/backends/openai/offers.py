"""Which models the upstreams offer: asked of each now and then, and kept while one can't say."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass, field, replace

from claude_proxy.backends.base import Model
from claude_proxy.backends.http.attempts import Outgoing, Patience, Upstreams, opened, read_all
from claude_proxy.backends.http.keys import Credential, Keys
from claude_proxy.backends.openai import catalog
from claude_proxy.backends.openai.entries import Entry
from claude_proxy.config.schema import ModelName
from claude_proxy.errors import ProxyError, Unavailable

_log = logging.getLogger("claude_proxy.openai")

_FRESH_SECONDS = 300.0
_AGAIN_SECONDS = 15.0
_PATIENCE = Patience(retries=1, retry_seconds=2.0, connect_seconds=5.0, first_byte_seconds=10.0, idle_seconds=10.0)


@dataclass(slots=True)
class _Known:
    """What is known of one entry's models, until when, and why not more."""

    entry: Entry
    models: tuple[Model, ...]
    until: float
    error: ProxyError | None = None


@dataclass(slots=True)
class Offers:
    """What all entries offer. Each key is only asked for what its upstream has."""

    entries: tuple[Entry, ...]
    upstreams: Upstreams
    _known: list[_Known] = field(init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _renewing: asyncio.Task[None] | None = None
    _models: tuple[Model, ...] = ()

    def __post_init__(self) -> None:
        # What the config names is settled; the others are asked when somebody wants to know.
        lists = [(entry, catalog.configured(entry.config)) for entry in self.entries]
        self._known = [_Known(entry, models, math.inf if models else 0.0) for entry, models in lists]
        self._settle()

    async def models(self) -> tuple[Model, ...]:
        """Give all models; raise what an upstream failed with where none has any."""
        now = time.monotonic()
        if any(known.until <= now for known in self._known):
            if all(known.models for known in self._known):
                # What was listed is given at once, and looked at anew meanwhile.
                if self._renewing is None or self._renewing.done():
                    self._renewing = asyncio.create_task(self._renew())
            else:
                await self._renew()
        if self._models:
            return self._models
        errors = [known.error for known in self._known if known.error is not None]
        raise errors[0] if errors else Unavailable("no upstream of openai-compatibility offers a model")

    async def close(self) -> None:
        """End what is under way."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def _renew(self) -> None:
        async with self._lock:
            now = time.monotonic()
            await asyncio.gather(*(self._ask(known) for known in self._known if known.until <= now))
            self._settle()

    async def _ask(self, known: _Known) -> None:
        name = known.entry.config.name
        try:
            known.models = await self._listed(known.entry)
        except ProxyError as error:
            known.error, known.until = error, time.monotonic() + _AGAIN_SECONDS
            _log.warning("%s doesn't say which models it has: %s", name, error.message)
        else:
            known.error, known.until = None, time.monotonic() + _FRESH_SECONDS
            _log.debug("%s has %d models", name, len(known.models))

    async def _listed(self, entry: Entry) -> tuple[Model, ...]:
        keys = Keys([replace(one, models=()) for one in entry.credentials])
        # The connections are everybody's: closing them isn't this request's business.
        alone = Upstreams(keys, _PATIENCE, self.upstreams.sessions)
        prefix = entry.config.prefix
        async with opened(alone, "the list of models", prefix, _asking, stream=False, begin=read_all) as answer:
            return catalog.listed(answer.first, prefix)

    def _settle(self) -> None:
        self._models = catalog.merged(known.models for known in self._known)
        self.upstreams.keys.credentials = [
            replace(credential, models=tuple(ModelName(name=model.id) for model in known.models))
            for known in self._known
            for credential in known.entry.credentials
        ]


def _asking(credential: Credential) -> Outgoing:
    return Outgoing(f"{credential.base_url}/models", credential.headers, method="GET")
