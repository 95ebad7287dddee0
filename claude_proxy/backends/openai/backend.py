"""Upstreams that speak Chat Completions as a backend: requests of ours translated, Chat Completions handed on."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import msgspec

from claude_proxy import __version__
from claude_proxy.backends.base import Call, Health, Model, Original, Relayed, Turn
from claude_proxy.backends.http.attempts import Opened, Outgoing, Patience, Upstreams, opened, read_some
from claude_proxy.backends.http.keys import Credential, Keys
from claude_proxy.backends.openai import relaying, request
from claude_proxy.backends.openai.entries import Entry, usable
from claude_proxy.backends.openai.offers import Offers
from claude_proxy.backends.openai.reply import ChatReply
from claude_proxy.backends.openai.request import Refusals, Sent
from claude_proxy.canon.events import AnyEvent
from claude_proxy.config.schema import Config
from claude_proxy.errors import BadRequest, ProxyError

_KIND = "openai-compatibility"
_SENT_HEADERS = {"content-type": "application/json", "user-agent": f"claude-proxy/{__version__}"}
_MOST_REFUSALS = 8
"""How many fields of one request are left out, one after the other, before the upstream's 400 is the answer."""

_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class _Begun:
    """A reply whose first events are there; ``error`` is what came right behind them."""

    reply: ChatReply
    events: list[AnyEvent]
    error: ProxyError | None


@dataclass(slots=True)
class _Asked:
    """The last attempt: whom, and with what body."""

    credential: Credential
    sent: Sent


@dataclass(slots=True)
class OpenAICompatible:
    """Implements ``backends.base.Native`` for all of the config's ``openai-compatibility`` entries."""

    config: Config = field(repr=False)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    patience: Patience | None = None
    name: str = _KIND
    kind: str = _KIND
    speaks: str = "chat"
    _entries: tuple[Entry, ...] = ()
    _unusable: tuple[str, ...] = ()
    _upstreams: Upstreams = field(init=False)
    _offers: Offers = field(init=False)
    _refusals: dict[tuple[str, str], Refusals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        config = self.config
        self._entries, self._unusable = usable(
            config.openai_compatibility, proxy_url=config.proxy_url, environ=self.environ
        )
        keys = Keys(
            [credential for entry in self._entries for credential in entry.credentials],
            strategy=config.routing.strategy,
            longest_cooldown=config.max_retry_interval,
        )
        usual = Patience(retries=config.request_retry, retry_seconds=config.max_retry_interval)
        self._upstreams = Upstreams(keys, self.patience or usual)
        self._offers = Offers(self._entries, self._upstreams)

    async def start(self) -> None:
        """Nothing runs in the background: connections are made when they are needed."""

    async def close(self) -> None:
        """Close every connection."""
        await self._offers.close()
        await self._upstreams.close()

    async def models(self) -> Sequence[Model]:
        """List what the config names, or what the upstreams themselves list."""
        return await self._offers.models()

    async def health(self) -> Health:
        """Say which upstreams can be asked. None of them is asked for it."""
        names = ", ".join(dict.fromkeys(entry.config.name for entry in self._entries))
        detail = "; ".join([names or "no upstream can be used", *self._unusable])
        return Health(ready=bool(self._entries), detail=detail)

    async def count_tokens(self, call: Call) -> int:
        """Refuse: Chat Completions has no way to ask, and a guess is no count."""
        raise BadRequest(f"{call.request.model}: an OpenAI-compatible upstream can't count tokens", param="model")

    # -- turns, translated ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[Turn]:
        """Run one turn."""
        asked_at = time.monotonic()
        async with AsyncExitStack() as stack:
            answer, asked = await self._begun(call, stack)
            events = _events(answer.response, answer.first)
            try:
                yield Turn(
                    events=events,
                    losses=list(asked.sent.losses),
                    timings={"first_byte": time.monotonic() - asked_at},
                    headers=relaying.told(answer.response.headers),
                    answered_by=answer.credential.owner,
                )
            finally:
                await events.aclose()
                if answer.first.reply.is_over:
                    await relaying.linger(answer.response)

    async def _begun(self, call: Call, stack: AsyncExitStack) -> tuple[Opened[_Begun], _Asked]:
        """Ask, and ask again without what the upstream refuses by name."""
        asked: list[_Asked] = []

        def make(credential: Credential) -> Outgoing:
            sent = self._sent(call, credential)
            asked.append(_Asked(credential, sent))
            return _outgoing(credential, f"{credential.base_url}/chat/completions", msgspec.json.encode(sent.body))

        async def begin(response: aiohttp.ClientResponse) -> _Begun:
            wanted = call.request.reasoning.visible
            return await _first(response, ChatReply(call.request.model, _token(), with_thinking=wanted))

        for left in range(_MOST_REFUSALS, -1, -1):
            attempt = opened(self._upstreams, call.request.model, call.prefix, make, stream=True, begin=begin)
            try:
                return await stack.enter_async_context(attempt), asked[-1]
            except ProxyError as error:
                if not (left and asked and self._learned(error, call, asked[-1])):
                    raise
        raise AssertionError("the last attempt either answers or raises")

    def _sent(self, call: Call, credential: Credential) -> Sent:
        sent = request.render(call.request, self._refusals.get(_row(credential, call), Refusals()))
        if call.strict and sent.losses:
            fields = ", ".join(sent.losses)
            raise BadRequest(f"strict: {credential.owner} can't honour {fields}", param=sent.losses[0])
        return sent

    def _learned(self, error: ProxyError, call: Call, asked: _Asked) -> bool:
        """Remember what an upstream refuses; say whether that was new."""
        row = _row(asked.credential, call)
        known = self._refusals.get(row, Refusals())
        learned = known.learned(error, asked.sent)
        if learned == known:
            return False
        if len(self._refusals) >= _MOST_REMEMBERED:
            self._refusals.clear()
        self._refusals[row] = learned
        return True

    # -- requests as they came -----------------------------------------------------------------------------------------

    @asynccontextmanager
    async def relay(self, original: Original) -> AsyncIterator[Relayed]:
        """Send a Chat Completions request on, and give the answer's bytes back as they are."""
        asked_at = time.monotonic()
        body = relaying.body(original)
        headers = relaying.request_headers(original.headers)

        def make(credential: Credential) -> Outgoing:
            return _outgoing(credential, relaying.url(credential.base_url, original), body, headers)

        begin = partial(relaying.begin, stream=original.stream)
        attempt = opened(self._upstreams, original.model, original.prefix, make, stream=original.stream, begin=begin)
        async with attempt as answer:
            chunks = relaying.chunks(answer.response, answer.first)
            try:
                yield Relayed(
                    content_type=answer.response.headers.get("content-type", "application/json"),
                    chunks=chunks,
                    timings={"first_byte": time.monotonic() - asked_at},
                    headers=relaying.told(answer.response.headers),
                    answered_by=answer.credential.owner,
                )
            finally:
                await chunks.aclose()


def _outgoing(credential: Credential, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Outgoing:
    return Outgoing(url, {**_SENT_HEADERS, **(headers or {}), **credential.headers}, body)


def _row(credential: Credential, call: Call) -> tuple[str, str]:
    """Give what refusals are remembered by: the upstream and the model, whichever of its keys was used."""
    return credential.base_url, call.request.model


def _token() -> str:
    return os.urandom(12).hex()


async def _first(response: aiohttp.ClientResponse, reply: ChatReply) -> _Begun:
    """Read until the first event is there; raise where there is none."""
    while True:
        data = await read_some(response)
        events, error = _taken(reply.feed(data) if data else reply.end())
        if events:
            return _Begun(reply, events, error)
        if error is not None:
            raise error


def _taken(events: Iterator[AnyEvent]) -> tuple[list[AnyEvent], ProxyError | None]:
    """Give events, and the failure that ended them."""
    taken: list[AnyEvent] = []
    try:
        for event in events:
            taken.append(event)  # noqa: PERF402 - `list` would lose them where one raises
    except ProxyError as error:
        return taken, error
    return taken, None


async def _events(response: aiohttp.ClientResponse, begun: _Begun) -> AsyncGenerator[AnyEvent]:
    for event in begun.events:
        yield event
    if begun.error is not None:
        raise begun.error
    reply = begun.reply
    while not reply.is_over:
        for event in await _more(response, reply):
            yield event


async def _more(response: aiohttp.ClientResponse, reply: ChatReply) -> Iterator[AnyEvent]:
    try:
        data = await read_some(response)
    except ProxyError:
        if not reply.is_finished:
            raise
        data = b""  # the reply is whole: how the connection ends says nothing
    return reply.feed(data) if data else reply.end()
