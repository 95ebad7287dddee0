"""One request that tells whether an upstream takes an API key."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import msgspec

from claude_proxy.backends.http.failures import from_answer
from claude_proxy.backends.http.keys import Credential
from claude_proxy.backends.http.session import Sessions
from claude_proxy.canon.blocks import UNREADABLE

SECONDS = 15.0

_REFUSALS = frozenset((400, 401))
"""A well-known upstream answers 400 to a bad key. What else could be at fault in a request without a body?"""

_GOOD = range(200, 300)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a key is taken, ``None`` where that can't be told; ``said`` is a clause for people that says so."""

    taken: bool | None
    said: str


async def check(credential: Credential, path: str, *, seconds: float = SECONDS) -> Verdict:
    """Ask for a list of models with a key, in one request and through the key's own proxy.

    Only 400 and 401 are a refusal: a key may be good and not allowed to list models (403), or out of credit.
    """
    host = urlsplit(credential.base_url).hostname or credential.base_url
    try:
        async with asyncio.timeout(seconds):
            status, headers, body = await _asked(credential, path)
    except TimeoutError:
        return Verdict(None, f"{host} didn't answer within {seconds:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Verdict(None, f"{host} can't be reached: {_kind(error)}")
    if status not in _GOOD:
        refusal = from_answer(status, headers, body, now=time.time(), secret=credential.secret)
        reason = refusal.message.rstrip(".")
        if status in _REFUSALS:
            return Verdict(taken=False, said=f"{host} refuses the key: {reason}")
        return Verdict(None, f"{host} answers {status}: {reason}")
    if not _is_list(body):
        return Verdict(None, f"what {host} answers is no list of models: is its `base-url` right?")
    return Verdict(taken=True, said=f"{host} takes the key")


async def _asked(credential: Credential, path: str) -> tuple[int, dict[str, str], bytes]:
    sessions = Sessions()
    try:
        response = await sessions.request(
            "GET",
            credential.base_url + path,
            headers=credential.headers,
            proxy_url=credential.proxy_url,
            deadlines=aiohttp.ClientTimeout(),
        )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return response.status, headers, await response.read()
    finally:
        await sessions.close()


def _kind(error: Exception) -> str:
    # Its text may hold the proxy's URL, and that a password.
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__


def _is_list(body: bytes) -> bool:
    try:
        answer = msgspec.json.decode(body)
    except UNREADABLE:
        return False
    return isinstance(answer.get("data") if isinstance(answer, dict) else answer, list)
