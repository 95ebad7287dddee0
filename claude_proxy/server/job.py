"""A request that is to be answered: what was asked, and what is made of it for whoever takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import msgspec
from aiohttp import web

from claude_proxy.backends.base import Call, Original
from claude_proxy.canon.events import AnyEvent
from claude_proxy.canon.request import Request
from claude_proxy.dialects.base import Dialect, Parsed, ReplyStream, Stamp
from claude_proxy.errors import BadRequest, ProxyError
from claude_proxy.routing import Resolved
from claude_proxy.server.exchange import Exchange, Server
from claude_proxy.server.headers import sent_on


class Keeper(Protocol):
    """Keeps what of a job's reply must outlive it. It knows no job: the two would keep each other."""

    def whole(self, parsed: Parsed, events: Sequence[AnyEvent]) -> bytes:
        """Give the reply that isn't streamed, and keep it."""

    def streamed(self, parsed: Parsed, reply: ReplyStream) -> None:
        """Keep a streamed reply, unless it broke off."""


@dataclass(slots=True, eq=False)
class Job:
    """One request. ``candidates`` are those who have its model, the best first."""

    server: Server
    exchange: Exchange
    request: web.Request
    dialect: Dialect
    parse: Callable[[bytes], Parsed]
    body: bytes
    stream: bool
    candidates: tuple[Resolved, ...]
    stamp: Stamp
    reply: ReplyStream | None = None
    """The streamed reply under way, where one is made here."""
    keeper: Keeper | None = None
    _parsed: Parsed | None = None

    def parsed(self) -> Parsed:
        """Translate the body, once; raise ``BadRequest`` where it can't be, or in strict mode not without a loss."""
        if self._parsed is None:
            try:
                self._parsed = self.parse(self.body)
            except RecursionError:
                raise BadRequest("the body is nested too deeply") from None
        losses = self._parsed.losses
        self.exchange.names, self.exchange.losses = self.dialect.names, losses
        if self.server.config.strict and losses:
            fields = ", ".join(losses)
            raise BadRequest(f"these fields can't be honoured, and the server is strict: {fields}", param=losses[0])
        return self._parsed

    def call(self, found: Resolved) -> Call:
        """Give the request in our types."""
        request = msgspec.structs.replace(self.parsed().request, model=found.model_id)
        return Call(request, client=self.exchange.client, strict=self.server.config.strict, prefix=found.prefix)

    def original(self, found: Resolved) -> Original:
        """Give the request as it came."""
        return Original(
            dialect=self.dialect.name,
            path=self.request.path,
            query=self.request.rel_url.raw_query_string,
            headers=sent_on(self.request.headers.items()),
            body=self.body,
            model=found.model_id,
            stream=self.stream,
            prefix=found.prefix,
            strict=self.server.config.strict,
        )

    def whole_reply(self, events: Sequence[AnyEvent]) -> bytes:
        """Give the reply that isn't streamed."""
        if self.keeper is not None:
            return self.keeper.whole(self.parsed(), events)
        return self.dialect.collect(self.parsed(), events, self.stamp)

    def stream_reply(self) -> ReplyStream:
        """Begin a streamed reply."""
        return self.dialect.stream(self.parsed(), self.stamp)

    def keep_reply(self) -> None:
        """See to it that a streamed reply outlives its request, where the client wants that."""
        if self.keeper is not None and self.reply is not None:
            self.keeper.streamed(self.parsed(), self.reply)

    def failed(self, error: ProxyError) -> bytes:
        """Give the frames that end a stream that has failed."""
        # Of a reply that comes from elsewhere nothing is known here: only the failure itself can be told.
        unknown = Parsed(Request(model=self.candidates[0].model_id, messages=()), stream=True)
        return (self.reply or self.dialect.stream(unknown, self.stamp)).fail(error)

    @contextmanager
    def in_its_words(self) -> Iterator[None]:
        """Let an error name the field at fault as the client calls it."""
        try:
            yield
        except ProxyError as error:
            if error.param is not None:
                error.param = self.dialect.names.get(error.param, error.param)
            raise
