"""One request to an upstream, tried again on another key where that may help, until an answer has begun.

Tried again is what failed by the key (401, 402, 403: on another one), by the moment (408, 429, 5xx) or by the
connection; never a request that is itself at fault. Where no other key is free, the one that is free soonest is
asked again after its wait. A retry begins within ``retry_seconds`` of the first attempt's beginning, or not at all,
and the client gets the upstream's own reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import aiohttp

from claude_proxy.backends.http.failures import from_answer
from claude_proxy.backends.http.keys import Credential, Keys, wants_another_key, worth_another_try
from claude_proxy.backends.http.session import Sessions
from claude_proxy.errors import ProxyError, RateLimited, UnknownModel, UpstreamError, UpstreamTimeout

_log = logging.getLogger("claude_proxy.http")

_ERROR_BYTES = 64 << 10
_REFUSED = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long. ``idle_seconds`` is also what a reply may take that comes in one piece."""

    retries: int = 3
    retry_seconds: float = 30.0
    connect_seconds: float = 10.0
    first_byte_seconds: float = 120.0
    idle_seconds: float = 600.0


@dataclass(slots=True)
class Upstreams:
    """What a backend's requests share. ``close`` ends the connections."""

    keys: Keys
    patience: Patience = field(default_factory=Patience)
    sessions: Sessions = field(default_factory=Sessions)

    async def close(self) -> None:
        """Close every connection."""
        await self.sessions.close()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it is sent, its credential included."""

    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    method: str = "POST"


class Opened(NamedTuple, Generic[T]):
    """An answer that has begun well. ``first`` is what ``begin`` gave."""

    credential: Credential
    response: aiohttp.ClientResponse
    first: T


async def no_begin(_: aiohttp.ClientResponse) -> None:
    """Take the status as enough."""


@asynccontextmanager
async def opened(
    upstreams: Upstreams,
    model: str,
    prefix: str,
    make: Callable[[Credential], Outgoing],
    *,
    stream: bool,
    begin: Callable[[aiohttp.ClientResponse], Awaitable[T]],
) -> AsyncIterator[Opened[T]]:
    """Send what ``make`` makes for a credential; give the first answer with a good status.

    ``begin`` reads as much of it as is needed to know that it has begun well (``no_begin``: nothing), and raises the
    ``ProxyError`` where it hasn't, which is then treated like that status. ``stream`` says that bytes are expected
    soon, not only when the whole reply is there. Raises ``ProxyError`` where no key helps. An answer that wasn't read
    to its end when the context is left has its connection closed.
    """
    answer = await _Request(upstreams, model, prefix, make, stream, begin).opened()
    try:
        yield answer
    finally:
        # Does nothing where the end has been read: the connection has gone back already.
        answer.response.close()


async def read_some(response: aiohttp.ClientResponse) -> bytes:
    """Give the next bytes of an answer as they came, ``b""`` at its end; raise ``ProxyError`` where it broke off."""
    try:
        return await response.content.readany()
    except TimeoutError as error:
        raise UpstreamTimeout("the upstream went silent in the middle of its reply") from error
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamError(f"the upstream's reply broke off ({type(error).__name__})") from error


async def read_all(response: aiohttp.ClientResponse) -> bytes:
    """Give all bytes of an answer; raise ``ProxyError`` where it broke off."""
    parts = []
    while part := await read_some(response):
        parts.append(part)
    return b"".join(parts)


class _FailedError(Exception):
    """One attempt has failed; ``status`` is ``None`` where there was no answer, ``dropped`` a connection that died."""

    def __init__(self, error: ProxyError, status: int | None, *, dropped: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.status = status
        self.dropped = dropped


@dataclass(slots=True)
class _Request(Generic[T]):
    upstreams: Upstreams
    model: str
    prefix: str
    make: Callable[[Credential], Outgoing]
    stream: bool
    begin: Callable[[aiohttp.ClientResponse], Awaitable[T]]
    asked: set[str] = field(default_factory=set)
    barred: set[str] = field(default_factory=set)
    reused: bool = True
    """The connection may have been an old one that the upstream had given up: once, that is nobody's failure."""

    async def opened(self) -> Opened[T]:
        keys, patience = self.upstreams.keys, self.upstreams.patience
        until = time.monotonic() + patience.retry_seconds
        error: ProxyError | None = None
        for left in range(patience.retries, -1, -1):
            choice = keys.choose(self.model, self.prefix, time.monotonic(), asked=self.asked, barred=self.barred)
            if choice is None:
                break
            if error is not None and time.monotonic() + choice.wait > until:
                _tell_wait(error, choice.wait)
                break
            await asyncio.sleep(choice.wait)
            try:
                answer = await self._attempt(choice.credential)
            except _FailedError as failed:
                error = self._noted(choice.credential, failed, error)
                if not left or not worth_another_try(failed.status):
                    raise error from failed
            else:
                keys.succeeded(choice.credential, self.model)
                return answer
        raise error or UnknownModel(f"no API key that is configured here serves {self.model}", param="model")

    def _noted(self, credential: Credential, failed: _FailedError, before: ProxyError | None) -> ProxyError:
        """Take a failure down; give the error to tell of: that a key is refused is the least of several."""
        error, now = failed.error, time.monotonic()
        if not worth_another_try(failed.status):
            return error
        _log.warning("%s for %s: %s (%s)", credential.label, self.model, error.message, failed.status or "no answer")
        if failed.dropped and self.reused:
            self.reused = False
            return error
        self.upstreams.keys.failed(credential, self.model, failed.status, error.retry_after, now)
        self.asked.add(credential.label)
        if wants_another_key(failed.status):
            self.barred.add(credential.label)
            return before or error
        return error

    async def _attempt(self, credential: Credential) -> Opened[T]:
        patience = self.upstreams.patience
        seconds = patience.first_byte_seconds if self.stream else patience.idle_seconds
        try:
            async with asyncio.timeout(patience.connect_seconds + seconds):
                return await self._asked(credential)
        except TimeoutError as error:
            raise _FailedError(UpstreamTimeout(f"{credential.owner} didn't answer in time"), 504) from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError, OSError) as error:
            dropped = not isinstance(error, aiohttp.ClientConnectorError)
            raise _FailedError(_unreachable(credential, error), None, dropped=dropped) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise _FailedError(_unreachable(credential, error), None) from error

    async def _asked(self, credential: Credential) -> Opened[T]:
        request, patience = self.make(credential), self.upstreams.patience
        response = await self.upstreams.sessions.request(
            request.method,
            request.url,
            headers=request.headers,
            body=request.body,
            proxy_url=credential.proxy_url,
            deadlines=aiohttp.ClientTimeout(connect=patience.connect_seconds, sock_read=patience.idle_seconds),
        )
        try:
            await _check(response, credential)
            return Opened(credential, response, await self.begin(response))
        except ProxyError as error:
            response.close()
            raise _FailedError(error, error.status) from error
        except BaseException:
            response.close()
            raise


async def _check(response: aiohttp.ClientResponse, credential: Credential) -> None:
    """Raise where the status isn't a good one. It is what counts from there on, not the one that we answer with."""
    if response.status < _REFUSED:
        return
    body = b""
    with contextlib.suppress(ProxyError):  # the status counts, even where its reason breaks off
        while len(body) < _ERROR_BYTES and (part := await read_some(response)):
            body += part
    headers = {name.lower(): value for name, value in response.headers.items()}
    error = from_answer(
        response.status, headers, body, now=time.time(), secret=credential.secret, owner=credential.owner
    )
    raise _FailedError(error, response.status)


def _unreachable(credential: Credential, error: Exception) -> UpstreamError:
    # Its text may hold the proxy's URL, and that a password; the kind of error says enough.
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return UpstreamError(f"{credential.owner} can't be reached: {reason}")


def _tell_wait(error: ProxyError, wait: float) -> None:
    if isinstance(error, RateLimited) and error.retry_after is None:
        error.retry_after = wait
