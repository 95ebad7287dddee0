"""Connections to upstreams: kept open and used again, through the proxy that each upstream is to be reached by.

Nothing is added to a request: no cookies, no ``netrc`` sign-in; redirects aren't followed, so that a key never reaches
a host that nobody configured. Upstreams are asked not to compress, so that their bytes can be handed on as they come.
"""

from __future__ import annotations

import ipaddress
import urllib.request
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

DIRECT = frozenset(("direct", "none"))
"""Values of ``proxy-url`` that mean: no proxy, not even the environment's."""

_SOCKS = ("socks5", "socks5h", "socks4", "socks4a")
_SCHEMES = ("http", "https", *_SOCKS)
_KEEP_SECONDS = 60.0
_DNS_SECONDS = 60
_READ_BYTES = 256 << 10
_HEADERS = {"accept-encoding": "identity"}


def check_proxy(url: str) -> str | None:
    """Say what is wrong with a ``proxy-url``; ``None`` where nothing is."""
    if not url or url.lower() in DIRECT:
        return None
    try:
        parts = urlsplit(url)
        fits = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    # The URL may hold a password, so it isn't repeated.
    return None if fits else f"its `proxy-url` must look like {', '.join(f'{one}://host:port' for one in _SCHEMES[:3])}"


def proxy_for(url: str, configured: str) -> str | None:
    """Give the proxy for a request: the configured one, else what the environment says, but never that for loopback."""
    if configured:
        return None if configured.lower() in DIRECT else configured
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine: a proxy out there couldn't reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


class SocksProxyFailed(aiohttp.ClientConnectionError):
    """A SOCKS proxy can't be reached, or wouldn't go on."""


@dataclass(slots=True)
class Sessions:
    """One aiohttp session for all upstreams, and one for each SOCKS proxy. Made when first used, ended by ``close``."""

    _sessions: dict[str, aiohttp.ClientSession] = field(default_factory=dict)
    _proxies: dict[tuple[str, str], str | None] = field(default_factory=dict)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        proxy_url: str = "",
        deadlines: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """Send a request and give the answer as soon as its headers are there, whatever its status.

        Raises what aiohttp raises. Closing the answer is the caller's business.
        """
        proxy = self._proxy(url, proxy_url)
        socks = proxy if proxy is not None and urlsplit(proxy).scheme in _SOCKS else ""
        session = self._sessions.get(socks) or self._open(socks)
        answer = session.request(
            method,
            URL(url, encoded=True),  # a client's query goes on as it came
            data=body,
            headers={**_HEADERS, **headers},
            proxy=None if socks else proxy,
            timeout=deadlines,
            allow_redirects=False,
        )
        return await (_through_socks(answer) if socks else answer)

    def _proxy(self, url: str, configured: str) -> str | None:
        parts = urlsplit(url)
        origin = (f"{parts.scheme}://{parts.netloc}", configured)
        if origin not in self._proxies:
            self._proxies[origin] = proxy_for(url, configured)
        return self._proxies[origin]

    def _open(self, socks: str) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=_connector(socks),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=_READ_BYTES,
            max_line_size=64 << 10,
            max_field_size=64 << 10,
        )
        self._sessions[socks] = session
        return session

    async def close(self) -> None:
        """Close every connection. What is asked for afterwards opens new ones."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()


def _connector(socks: str) -> aiohttp.BaseConnector:
    # No limit: how many requests there may be at once is the server's decision.
    if not socks:
        return aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_SECONDS, ttl_dns_cache=_DNS_SECONDS)
    from aiohttp_socks import ProxyConnector  # noqa: PLC0415  (most configurations don't need it)

    scheme, _, rest = socks.partition("://")
    plain = scheme.removesuffix("h").removesuffix("a")
    # Names are looked up by the proxy: it is there for who can't, or mustn't, do it here.
    connector: aiohttp.BaseConnector = ProxyConnector.from_url(
        f"{plain}://{rest}", rdns=True, limit=0, keepalive_timeout=_KEEP_SECONDS
    )
    return connector


async def _through_socks(answer: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
    """Wait for an answer; what its connector raises is none of aiohttp's errors, so that nobody would expect it."""
    from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError  # noqa: PLC0415  (as above)

    try:
        return await answer
    except (ProxyConnectionError, ProxyError, ProxyTimeoutError) as error:
        raise SocksProxyFailed(type(error).__name__) from error
