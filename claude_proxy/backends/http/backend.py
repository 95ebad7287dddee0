"""What a backend on API keys is, whatever its upstreams speak: keys by turns, what they offer, turns and hand-ons."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from claude_proxy import __version__
from claude_proxy.backends.base import Call, Health, Model, Original, Relayed, Turn, Used
from claude_proxy.backends.http import families, reading, relaying
from claude_proxy.backends.http.attempts import Opened, Outgoing, Patience, Upstreams, opened
from claude_proxy.backends.http.entries import Source
from claude_proxy.backends.http.keys import Credential, Keys
from claude_proxy.backends.http.offers import Offers
from claude_proxy.backends.http.reading import Begun
from claude_proxy.backends.http.relaying import Beginning, Watch
from claude_proxy.config.schema import Config
from claude_proxy.errors import BadRequest, NotFound

_log = logging.getLogger("claude_proxy.http")

T = TypeVar("T")

OUR_HEADERS = {"content-type": "application/json", "user-agent": f"claude-proxy/{__version__}"}


class Answer(NamedTuple):
    """A turn's answer that has begun, and what of the request is lost in it."""

    opened: Opened[Begun]
    losses: Sequence[str]


@dataclass(slots=True)
class KeyBackend(ABC):
    """Implements ``backends.base.Native`` but for what an upstream's dialect decides.

    ``config`` is as ``config.load`` gives it: secrets are in it, and what couldn't be resolved isn't.
    """

    config: Config = field(repr=False)
    patience: Patience | None = None
    name: str = ""
    kind: str = ""
    speaks: str = ""
    asks_named: bool = False
    _unusable: tuple[str, ...] = ()
    _upstreams: Upstreams = field(init=False)
    _offers: Offers = field(init=False)
    _missing: families.Missing = field(default_factory=families.Missing)

    def __post_init__(self) -> None:
        config = self.config
        sources, self._unusable = self._sources(config)
        keys = Keys(
            [credential for source in sources for credential in source.credentials],
            strategy=config.routing.strategy,
            longest_cooldown=config.max_retry_interval,
        )
        self._upstreams = Upstreams(keys, self.patience or _usual_patience(config))
        self._offers = Offers(self.kind, self._upstreams, sources, self._listed, asks_named=self.asks_named)

    def adapt(self, config: Config) -> None:
        """Go by another configuration, which has the same keys: connections, cooldowns and all that is known stay."""
        self.config = config
        keys = self._upstreams.keys
        keys.strategy, keys.longest_cooldown = config.routing.strategy, config.max_retry_interval
        self._upstreams.patience = self.patience or _usual_patience(config)

    async def start(self) -> None:  # noqa: B027  (it is the whole of it)
        """Nothing runs in the background: connections are made when they are needed."""

    async def close(self) -> None:
        """Close every connection."""
        await self._offers.close()
        await self._upstreams.close()

    async def models(self) -> Sequence[Model]:
        """List what the config names, or what the upstreams themselves list."""
        return await self._offers.models()

    async def health(self) -> Health:
        """Say whose keys can be used. No upstream is asked for it."""
        names = ", ".join(dict.fromkeys(source.name for source in self._offers.sources))
        detail = "; ".join([names or "no key can be used", *self._unusable, *self._offers.problems])
        return Health(ready=bool(names), detail=detail)

    # -- turns --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[Turn]:
        """Run one turn. It has begun upstream when the context is entered."""
        asked_at = time.monotonic()
        async with AsyncExitStack() as stack:

            async def ask(model: str) -> Answer:
                return await self._begun(asked_for(call, model), stack)

            model, prefix = call.request.model, call.prefix
            (answer, losses), lost = await self._for_model(model, prefix, ask, strict=call.strict)
            events = reading.events(answer.response, answer.first)
            try:
                yield Turn(
                    events=events,
                    losses=[*lost, *losses],
                    timings={"first_byte": time.monotonic() - asked_at},
                    headers=self._told(answer.response.headers),
                    answered_by=answer.credential.owner,
                )
            finally:
                await events.aclose()
                if answer.first.reader.is_over:
                    await relaying.linger(answer.response)

    # -- a client's own -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def relay(self, original: Original) -> AsyncIterator[Relayed]:
        """Send a request on as it came, with another model name and a key of ours; give the answer's bytes back."""
        asked_at = time.monotonic()
        async with AsyncExitStack() as stack:

            async def ask(model: str) -> Opened[Beginning]:
                return await stack.enter_async_context(self._handing(original, model))

            model, prefix = original.model, original.prefix
            answer, lost = await self._for_model(model, prefix, ask, strict=original.strict)
            relayed = Relayed(
                content_type=answer.response.headers.get("content-type", "application/json"),
                timings={"first_byte": time.monotonic() - asked_at},
                headers=self._told(answer.response.headers),
                answered_by=answer.credential.owner,
                losses=lost,
            )
            relayed.chunks = chunks = relaying.chunks(answer.response, answer.first, relayed)
            try:
                yield relayed
            finally:
                await chunks.aclose()

    def _handing(self, original: Original, model: str) -> AbstractAsyncContextManager[Opened[Beginning]]:
        stream = original.stream
        begin = partial(relaying.begin, stream=stream, make=self._watch, check=self._check)
        make = self._handed(replace(original, model=model))
        return opened(self._upstreams, model, original.prefix, make, stream=stream, begin=begin)

    # -- old names ----------------------------------------------------------------------------------------------------

    async def _for_model(
        self, name: str, prefix: str, ask: Callable[[str], Awaitable[T]], *, strict: bool
    ) -> tuple[T, list[str]]:
        """Ask for a model; where the upstream hasn't it any more, for the one that stands in for it.

        Gives the answer, and ``model`` as lost where it is another one's. A name is tried again after a day.
        """
        now, known = time.monotonic(), self._missing
        if strict or not known.holds(prefix, name, now):
            try:
                return await ask(name), []
            except NotFound as error:
                if strict or not families.is_of_model(error, name) or not self._stand_in(name, prefix):
                    raise
                known.learn(prefix, name, now)
                _log.info("%s has no %s any more: %s instead", self.name, name, self._stand_in(name, prefix))
        stand_in = self._stand_in(name, prefix)
        return (await ask(stand_in), ["model"]) if stand_in else (await ask(name), [])

    def _stand_in(self, name: str, prefix: str) -> str | None:
        return families.current(name, self._offers.current, prefix)

    # -- what a dialect decides ---------------------------------------------------------------------------------------

    @abstractmethod
    def _sources(self, config: Config) -> tuple[tuple[Source, ...], tuple[str, ...]]:
        """Give the config's entries, and why some can't be used."""

    @abstractmethod
    async def _listed(self, source: Source, alone: Upstreams) -> tuple[Model, ...]:
        """Ask an upstream what it has."""

    @abstractmethod
    async def _begun(self, call: Call, stack: AsyncExitStack) -> Answer:
        """Ask, and ask again without what the upstream refuses by name."""

    @abstractmethod
    def _handed(self, original: Original) -> Callable[[Credential], Outgoing]:
        """Make a client's request ready for whichever key gets it; raise ``NotFound`` for what isn't handed on."""

    @abstractmethod
    def _watch(self) -> Watch:
        """Give the watch over a stream."""

    @abstractmethod
    def _check(self, body: bytes) -> Used:
        """Raise where a whole answer is a failure, or none at all; give what it took."""

    @abstractmethod
    def _told(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Give what the client may want of an answer's headers."""


def asked_for(call: Call, model: str) -> Call:
    """Give a call with another model."""
    if model == call.request.model:
        return call
    return replace(call, request=msgspec.structs.replace(call.request, model=model))


def refuse_losses(losses: Sequence[str], who: str) -> None:
    """Raise for a strict request of which something would be lost."""
    if losses:
        raise BadRequest(f"strict: {who} can't honour {', '.join(losses)}", param=losses[0])


def _usual_patience(config: Config) -> Patience:
    return Patience(retries=config.request_retry, retry_seconds=config.max_retry_interval)
