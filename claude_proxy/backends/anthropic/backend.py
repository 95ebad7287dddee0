"""API keys for the Messages API as a backend: our own requests rendered, a client's own handed on."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import msgspec

from claude_proxy import __version__
from claude_proxy.backends.anthropic import headers, relaying
from claude_proxy.backends.anthropic.entries import KIND, usable
from claude_proxy.backends.anthropic.knowledge import Knowledge
from claude_proxy.backends.anthropic.offers import Offers
from claude_proxy.backends.anthropic.reply import Reply
from claude_proxy.backends.anthropic.request import Sent, render
from claude_proxy.backends.base import Call, Health, Model, Original, Relayed, Turn
from claude_proxy.backends.http.attempts import Opened, Outgoing, Patience, Upstreams, opened, read_all, read_some
from claude_proxy.backends.http.keys import Credential, Keys
from claude_proxy.canon.events import AnyEvent
from claude_proxy.config.schema import Config
from claude_proxy.errors import BadRequest, UpstreamError

_USUAL = {"content-type": "application/json", "user-agent": f"claude-proxy/{__version__}"}
_MOST_REFUSALS = 10
"""How much of one request is left out, one after the other, before the upstream's 400 is the answer."""


@dataclass(slots=True)
class _Begun:
    """A reply whose first events are there."""

    reply: Reply
    events: list[AnyEvent]


@dataclass(slots=True)
class ClaudeApi:
    """Implements ``backends.base.Native`` for all of the config's ``claude-api-key`` entries."""

    config: Config
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    patience: Patience | None = None
    name: str = KIND
    kind: str = KIND
    speaks: str = "messages"
    _unusable: tuple[str, ...] = ()
    _upstreams: Upstreams = field(init=False)
    _offers: Offers = field(init=False)
    _known: Knowledge = field(default_factory=Knowledge)

    def __post_init__(self) -> None:
        config = self.config
        made, self._unusable = usable(config.claude_api_key, proxy_url=config.proxy_url, environ=self.environ)
        keys = Keys(made, strategy=config.routing.strategy, longest_cooldown=config.max_retry_interval)
        usual = Patience(retries=config.request_retry, retry_seconds=config.max_retry_interval)
        self._upstreams = Upstreams(keys, self.patience or usual)
        self._offers = Offers(self._upstreams, self._known)

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
        """Say which keys can be used. No upstream is asked for it."""
        owners = [credential.owner for credential in self._upstreams.keys.credentials]
        detail = "; ".join([", ".join(owners) or "no key can be used", *self._unusable, *self._offers.problems])
        return Health(ready=bool(owners), detail=detail)

    # -- requests of ours ---------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[Turn]:
        """Run one turn. It has begun upstream when the context is entered."""
        asked_at = time.monotonic()
        async with AsyncExitStack() as stack:
            answer, sent = await self._begun(call, stack)
            events = _events(answer.response, answer.first)
            try:
                yield Turn(
                    events=events,
                    losses=list(sent.losses),
                    timings={"first_byte": time.monotonic() - asked_at},
                    headers=headers.to_client(answer.response.headers),
                    answered_by=answer.credential.owner,
                )
            finally:
                await events.aclose()
                if answer.first.reply.is_whole:
                    await relaying.linger(answer.response)

    async def _begun(self, call: Call, stack: AsyncExitStack) -> tuple[Opened[_Begun], Sent]:
        """Ask, and ask again without what the model refuses by name."""
        model = call.request.model
        if self._known.able(model).max_output is None:
            await self._offers.refreshed()
        for left in range(_MOST_REFUSALS, -1, -1):
            sent = _rendered(call, self._known)
            request = partial(_outgoing, "/v1/messages", sent.body)
            try:
                opening = opened(self._upstreams, model, call.prefix, request, stream=True, begin=_first)
                return await stack.enter_async_context(opening), sent
            except BadRequest as error:
                if not left or not self._known.learn(model, error, sent.parameters, sent.max_tokens):
                    raise
        raise AssertionError

    async def count_tokens(self, call: Call) -> int:
        """Ask the upstream, which counts system prompt, tools and history."""
        for left in range(_MOST_REFUSALS, -1, -1):
            sent = _rendered(call, self._known, counting=True)
            try:
                return await self._counted(call, sent)
            except BadRequest as error:
                if not left or not self._known.learn(call.request.model, error, sent.parameters, sent.max_tokens):
                    raise
        raise AssertionError

    async def _counted(self, call: Call, sent: Sent) -> int:
        request = partial(_outgoing, "/v1/messages/count_tokens", sent.body)
        model, prefix = call.request.model, call.prefix
        async with opened(self._upstreams, model, prefix, request, stream=True, begin=read_all) as answer:
            try:
                return msgspec.json.decode(answer.first, type=_Count).input_tokens
            except msgspec.DecodeError as error:
                raise UpstreamError("the upstream's count of tokens can't be read") from error

    # -- a client's own -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def relay(self, original: Original) -> AsyncIterator[Relayed]:
        """Send a request on as it came, with another model name and a key of ours."""
        asked_at = time.monotonic()
        request = relaying.handed(original, _USUAL).request
        begin = partial(relaying.begin, stream=original.stream)
        opening = opened(self._upstreams, original.model, original.prefix, request, stream=original.stream, begin=begin)
        async with opening as answer:
            chunks = relaying.chunks(answer.response, answer.first)
            try:
                yield Relayed(
                    content_type=answer.response.headers.get("content-type", "application/json"),
                    chunks=chunks,
                    timings={"first_byte": time.monotonic() - asked_at},
                    headers=headers.to_client(answer.response.headers),
                    answered_by=answer.credential.owner,
                )
            finally:
                await chunks.aclose()


class _Count(msgspec.Struct):
    input_tokens: int


def _rendered(call: Call, known: Knowledge, **options: Any) -> Sent:
    sent = render(call.request, known.able(call.request.model), **options)
    if call.strict and sent.losses:
        raise BadRequest(f"strict: the model can't honour {', '.join(sent.losses)}", param=sent.losses[0])
    return sent


def _outgoing(path: str, body: bytes, credential: Credential) -> Outgoing:
    head = {**_USUAL, "anthropic-version": headers.VERSION, **credential.headers}
    return Outgoing(credential.base_url + path, head, body)


async def _first(response: aiohttp.ClientResponse) -> _Begun:
    """Read up to the first event; raise the ``ProxyError`` that stands in its place."""
    reply = Reply()
    while data := await read_some(response):
        events = reply.feed(data)
        if events:
            return _Begun(reply, events)
        if reply.error is not None:
            raise reply.error
    reply.end()
    raise reply.error or UpstreamError("the upstream's reply is empty")


async def _events(response: aiohttp.ClientResponse, begun: _Begun) -> AsyncGenerator[AnyEvent]:
    """Give a reply's events to its end; raise where it breaks off, or fails."""
    reply, events = begun.reply, begun.events
    while True:
        for event in events:
            yield event
        if reply.error is not None:
            raise reply.error
        if reply.is_whole:
            return
        data = await read_some(response)
        events = reply.feed(data)
        if not data:
            reply.end()
