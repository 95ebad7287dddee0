"""Upstreams that speak Chat Completions as a backend: requests of ours translated, Chat Completions handed on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import msgspec

from claude_proxy.backends.base import Call, Model, Original, Used
from claude_proxy.backends.http.attempts import Outgoing, Upstreams, opened, read_all
from claude_proxy.backends.http.backend import OUR_HEADERS, Answer, KeyBackend, refuse_losses
from claude_proxy.backends.http.entries import Source
from claude_proxy.backends.http.keys import Credential
from claude_proxy.backends.http.reading import Begun, begun
from claude_proxy.backends.openai import catalog, handing, request
from claude_proxy.backends.openai.entries import sources
from claude_proxy.backends.openai.reply import ChatReply
from claude_proxy.backends.openai.request import Refusals, Sent
from claude_proxy.backends.openai.watching import Watch
from claude_proxy.config.schema import Config
from claude_proxy.errors import BadRequest, ProxyError

_KIND = "openai-compatibility"
_MOST_REFUSALS = 8
"""How many fields of one request are left out, one after the other, before the upstream's 400 is the answer."""

_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class _Asked:
    """The last attempt: whom, and with what body."""

    credential: Credential
    sent: Sent


@dataclass(slots=True)
class OpenAICompatible(KeyBackend):
    """Implements ``backends.base.Native`` for all of the config's ``openai-compatibility`` entries."""

    name: str = _KIND
    kind: str = _KIND
    speaks: str = "chat"
    _refusals: dict[tuple[str, str], Refusals] = field(default_factory=dict)

    async def count_tokens(self, call: Call) -> int:
        """Refuse: Chat Completions has no way to ask, and a guess is no count."""
        raise BadRequest(f"{call.request.model}: an OpenAI-compatible upstream can't count tokens", param="model")

    # -- turns, translated --------------------------------------------------------------------------------------------

    async def _begun(self, call: Call, stack: AsyncExitStack) -> Answer:
        asked: list[_Asked] = []

        def make(credential: Credential) -> Outgoing:
            sent = self._sent(call, credential)
            asked.append(_Asked(credential, sent))
            return _outgoing(credential, f"{credential.base_url}/chat/completions", msgspec.json.encode(sent.body))

        async def first(response: aiohttp.ClientResponse) -> Begun:
            wanted = call.request.reasoning.visible
            return await begun(response, ChatReply(call.request.model, _token(), with_thinking=wanted))

        for left in range(_MOST_REFUSALS, -1, -1):
            attempt = opened(self._upstreams, call.request.model, call.prefix, make, stream=True, begin=first)
            try:
                answer = await stack.enter_async_context(attempt)
                return Answer(answer, asked[-1].sent.losses)
            except ProxyError as error:
                if not (left and asked and self._learned(error, call, asked[-1])):
                    raise
        raise AssertionError("the last attempt either answers or raises")

    def _sent(self, call: Call, credential: Credential) -> Sent:
        sent = request.render(call.request, self._refusals.get(_row(credential, call), Refusals()))
        refuse_losses(sent.losses if call.strict else (), credential.owner)
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

    # -- what this dialect decides ------------------------------------------------------------------------------------

    def _sources(self, config: Config) -> tuple[tuple[Source, ...], tuple[str, ...]]:
        return sources(config.openai_compatibility, config.proxy_url)

    async def _listed(self, source: Source, alone: Upstreams) -> tuple[Model, ...]:
        async with opened(alone, f"{source.name}'s list", "", _asking, stream=False, begin=read_all) as answer:
            return catalog.listed(answer.first)

    def _handed(self, original: Original) -> Callable[[Credential], Outgoing]:
        body = handing.body(original)
        headers = handing.request_headers(original.headers)

        def make(credential: Credential) -> Outgoing:
            return _outgoing(credential, handing.url(credential.base_url, original), body, headers)

        return make

    def _watch(self) -> Watch:
        return Watch()

    def _check(self, body: bytes) -> Used:
        return handing.check(body)

    def _told(self, headers: Mapping[str, str]) -> dict[str, str]:
        return handing.told(headers)


def _outgoing(credential: Credential, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Outgoing:
    return Outgoing(url, {**OUR_HEADERS, **(headers or {}), **credential.headers}, body)


def _asking(credential: Credential) -> Outgoing:
    return Outgoing(f"{credential.base_url}/models", credential.headers, method="GET")


def _row(credential: Credential, call: Call) -> tuple[str, str]:
    """Give what refusals are remembered by: the upstream and the model, whichever of its keys was used."""
    return credential.base_url, call.request.model


def _token() -> str:
    return os.urandom(12).hex()
