"""An upstream on 127.0.0.1 that answers with exactly the bytes that a test gives it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from claude_proxy.backends.http.attempts import Patience
from claude_proxy.backends.openai.backend import OpenAICompatible
from claude_proxy.config.schema import ApiKeyEntry, Config, ModelName, OpenAICompatibility

KEYS = ("sk-1", "sk-2", "sk-3")
"""As many as a request is tried with: on another one there is nothing to wait for."""

HASTE = Patience(retries=2, retry_seconds=5.0, connect_seconds=2.0, first_byte_seconds=5.0, idle_seconds=5.0)

ABORT = "abort"
"""A step that drops the connection."""

Step = bytes | asyncio.Event | str


@dataclass
class Answer:
    """One answer: its status, and its body step by step: bytes, something to wait for, or ``ABORT``."""

    steps: Sequence[Step] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})


def refusal(status: int, message: str, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    """Give an answer that is an error object."""
    body = json.dumps({"error": {"message": message, **fields}}).encode()
    return Answer([body], status, {"content-type": "application/json", **(headers or {})})


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes
    peer: Any

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


@dataclass
class Upstream:
    """Gives its ``answers`` in order, the last one for ever."""

    answers: list[Answer] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take a request down, and answer it."""
        assert request.transport is not None
        peer = request.transport.get_extra_info("peername")
        headers = CIMultiDict(request.headers)
        self.seen.append(Seen(request.method, request.raw_path, headers, await request.read(), peer))
        self.came.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        try:
            await response.prepare(request)
            for step in answer.steps:
                if isinstance(step, bytes):
                    await response.write(step)
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    request.transport.abort()
                    return response
            await response.write_eof()
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response


@asynccontextmanager
async def listening(*answers: Answer) -> AsyncIterator[Upstream]:
    """Run an upstream on a free port."""
    upstream = Upstream(list(answers))
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{anything:.*}", upstream.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1"
    try:
        yield upstream
    finally:
        await runner.cleanup()


@asynccontextmanager
async def backend(
    *entries: dict[str, Any], patience: Patience = HASTE, **config: Any
) -> AsyncIterator[OpenAICompatible]:
    """Run a backend with these entries, as they stand in the config."""
    made = tuple(_entry(**entry) for entry in entries)
    running = OpenAICompatible(Config(openai_compatibility=made, **config), patience=patience)
    await running.start()
    try:
        yield running
    finally:
        await running.close()


def _entry(*, keys: Sequence[str] = ("sk-1",), models: Sequence[str] = ("m",), **fields: Any) -> OpenAICompatibility:
    return OpenAICompatibility(
        api_key_entries=tuple(ApiKeyEntry(api_key=key) for key in keys),
        models=tuple(ModelName(name=name.partition("=")[0], alias=name.partition("=")[2]) for name in models),
        **{"name": "up", **fields},
    )
