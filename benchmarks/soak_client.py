"""A client of a soak: makes requests, times them, and holds each answer to be the one that it must be."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
from client import HEADERS
from setting import MODEL, Json, Setting

_PATIENCE_SECONDS = 60
_GOES_AFTER_SECONDS = 0.05


class Unexpected(Exception):
    """An answer that isn't the one that it must be."""


@dataclass
class Tally:
    """What all clients have done so far: requests, and how long those took that came to their end."""

    requests: int = 0
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass
class Client:
    """One client, with a conversation of its own in each API."""

    ready: Setting
    tally: Tally
    chat: list[Json] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)
    response: str | None = None
    """The last one that is kept."""

    async def do(self, kind: str, make: Callable[["Client"], Awaitable[None]]) -> None:
        """Make the requests of one kind. What goes wrong is counted, and the conversations begin anew."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await make(self)
        except (Unexpected, aiohttp.ClientError, TimeoutError, LookupError, ValueError) as error:
            self.tally.errors[f"{kind}: {type(error).__name__}: {error}"[:200]] += 1
            self.chat, self.messages, self.response = [], [], None

    async def send(self, path: str, body: Json | bytes | None = None, *, method: str = "", status: int = 200) -> str:
        """Make a request; give its whole answer, streamed or not."""
        self.tally.requests += 1
        started = time.perf_counter()
        async with self.ready.http.request(
            method or ("GET" if body is None else "POST"),
            self.ready.server.removesuffix("/v1") + path,
            data=body if isinstance(body, bytes | None) else json.dumps({"model": MODEL, **body}).encode(),
            headers={**HEADERS, "Content-Type": "application/json"},
        ) as response:
            answer = await response.text()
        self.tally.seconds.append(time.perf_counter() - started)
        self.tally.statuses[response.status] += 1
        if response.status != status:
            raise Unexpected(f"{response.status} in the place of {status}: {answer}")
        return answer

    async def leave(self, body: Json, *, amid: bool) -> None:
        """Make a streamed request, and go: ``amid`` the answer, else soon, and most often before there is any."""
        self.tally.requests += 1
        url, asked = f"{self.ready.server}/chat/completions", {"model": MODEL, "stream": True, **body}
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(None if amid else _GOES_AFTER_SECONDS),
                self.ready.http.post(url, json=asked) as response,
            ):
                await response.content.readany()
                response.close()
