"""API keys for the Messages API as a backend: our own requests rendered, a client's own handed on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import aiohttp
import msgspec

from claude_proxy.backends.anthropic import handing, headers, listing
from claude_proxy.backends.anthropic.entries import KIND, sources
from claude_proxy.backends.anthropic.knowledge import Knowledge
from claude_proxy.backends.anthropic.reply import Reply
from claude_proxy.backends.anthropic.request import Sent, render
from claude_proxy.backends.anthropic.watch import Watch
from claude_proxy.backends.base import Call, Model, Original, Used
from claude_proxy.backends.http.attempts import Outgoing, Upstreams, opened, read_all
from claude_proxy.backends.http.backend import OUR_HEADERS, Answer, KeyBackend, asked_for, refuse_losses
from claude_proxy.backends.http.entries import Source
from claude_proxy.backends.http.keys import Credential
from claude_proxy.backends.http.reading import Begun, begun
from claude_proxy.canon.blocks import UNREADABLE
from claude_proxy.config.schema import Config
from claude_proxy.errors import BadRequest, UpstreamError

_MOST_REFUSALS = 10
"""How much of one request is left out, one after the other, before the upstream's 400 is the answer."""

_MOST_PAGES = 50

T = TypeVar("T")


@dataclass(slots=True)
class ClaudeApi(KeyBackend):
    """Implements ``backends.base.Native`` for all of the config's ``claude-api-key`` entries."""

    name: str = KIND
    kind: str = KIND
    speaks: str = "messages"
    asks_named: bool = True  # what a model can do is only in the upstream's list
    _known: Knowledge = field(default_factory=Knowledge)

    async def count_tokens(self, call: Call) -> int:
        """Ask the upstream, which counts system prompt, tools and history."""

        async def ask(model: str) -> int:
            return await self._mended(asked_for(call, model), self._counted, counting=True)

        count, _ = await self._for_model(call.request.model, call.prefix, ask, strict=call.strict)
        return count

    async def _counted(self, call: Call, sent: Sent) -> int:
        request = partial(_outgoing, "/v1/messages/count_tokens", sent.body)
        model, prefix = call.request.model, call.prefix
        async with opened(self._upstreams, model, prefix, request, stream=True, begin=read_all) as answer:
            try:
                return msgspec.json.decode(answer.first, type=_Count).input_tokens
            except UNREADABLE as error:
                raise UpstreamError("the upstream's count of tokens can't be read") from error

    async def _mended(self, call: Call, run: Callable[[Call, Sent], Awaitable[T]], *, counting: bool = False) -> T:
        """Ask, and ask again without what the model refuses by name."""
        model = call.request.model
        for left in range(_MOST_REFUSALS, -1, -1):
            sent = render(call.request, self._known.able(model), counting=counting)
            refuse_losses(sent.losses if call.strict else (), "the model")
            try:
                return await run(call, sent)
            except BadRequest as error:
                if not left or not self._known.learn(model, error, sent.parameters, sent.max_tokens):
                    raise
        raise AssertionError

    # -- what this dialect decides ------------------------------------------------------------------------------------

    def _sources(self, config: Config) -> tuple[tuple[Source, ...], tuple[str, ...]]:
        return sources(config.claude_api_key, config.proxy_url)

    async def _listed(self, source: Source, alone: Upstreams) -> tuple[Model, ...]:
        found: list[listing.Listed] = []
        after = ""
        for _ in range(_MOST_PAGES):
            request = partial(_asking, listing.query(after))
            async with opened(alone, "the list of models", "", request, stream=True, begin=read_all) as answer:
                page = listing.parse(answer.first)
            found += page.models
            if page.next is None:
                break
            after = page.next
        (key, *_) = source.credentials
        self._known.note([one for one in found if key.serves(one.model.id)])
        return tuple(one.model for one in found)

    async def _begun(self, call: Call, stack: AsyncExitStack) -> Answer:
        model = call.request.model
        if self._known.able(model).max_output is None:
            await self._offers.refreshed()

        async def ask(call: Call, sent: Sent) -> Answer:
            request = partial(_outgoing, "/v1/messages", sent.body)
            opening = opened(self._upstreams, model, call.prefix, request, stream=True, begin=_first)
            return Answer(await stack.enter_async_context(opening), sent.losses)

        return await self._mended(call, ask)

    def _handed(self, original: Original) -> Callable[[Credential], Outgoing]:
        return handing.handed(original, OUR_HEADERS).request

    def _watch(self) -> Watch:
        return Watch()

    def _check(self, body: bytes) -> Used:
        return handing.check(body)

    def _told(self, headers_: Mapping[str, str]) -> dict[str, str]:
        return headers.to_client(headers_)


class _Count(msgspec.Struct):
    input_tokens: int


def _outgoing(path: str, body: bytes, credential: Credential) -> Outgoing:
    head = {**OUR_HEADERS, "anthropic-version": headers.VERSION, **credential.headers}
    return Outgoing(credential.base_url + path, head, body)


def _asking(query: str, credential: Credential) -> Outgoing:
    head = {"anthropic-version": headers.VERSION, **credential.headers}
    return Outgoing(f"{credential.base_url}/v1/models?{query}", head, method="GET")


async def _first(response: aiohttp.ClientResponse) -> Begun:
    return await begun(response, Reply())
