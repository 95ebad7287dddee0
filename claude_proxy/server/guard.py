"""Who may come in: Host names, browser origins, client keys. Decides on headers alone.

A browser must not become the way in: a page elsewhere can reach a loopback port by DNS rebinding (so ``Host`` must be
one of ours) or by a plain cross-site request (so ``Origin`` must be one that the user allowed).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence

from multidict import CIMultiDict, CIMultiDictProxy

from claude_proxy.config.schema import Config
from claude_proxy.errors import Forbidden, Unauthorized

Headers = CIMultiDict[str] | CIMultiDictProxy[str]

_OUR_HOSTS = frozenset({"localhost", "host.docker.internal"})
_SHOWN = 200


def check_host(headers: Headers, config: Config) -> None:
    """Raise ``Forbidden`` for a ``Host`` that isn't ours. With keys, a rebound page has none: no check is needed."""
    if config.api_keys:
        return
    ours = {_host_name(name) for name in (config.host, *config.allowed_hosts)} | _OUR_HOSTS
    for value in headers.getall("Host", []):
        name = _host_name(value)
        if name not in ours and not _is_ip_literal(name):
            raise Forbidden(
                f"the Host {value[:_SHOWN]!a} is not one of this server's. If it should be, add this line to the "
                f'config: allowed-hosts: ["{name[:_SHOWN]}"]',
                code="host_not_allowed",
            )


def _host_name(value: str) -> str:
    value = value.strip().lower()
    if value.startswith("["):
        return value[1:].partition("]")[0]
    # More than one colon is an IPv6 address as the config may have it, without brackets and port.
    return value if value.count(":") > 1 else value.partition(":")[0].rstrip(".")


def _is_ip_literal(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def allowed_origin(headers: Headers, config: Config) -> str | None:
    """Give the foreign origin that may read the answer, ``None`` where none is involved.

    Raises ``Forbidden`` for a browser request from an origin that isn't in ``cors-origins``.
    """
    origin = headers.get("Origin")
    if origin is None:
        if headers.get("Sec-Fetch-Site", "").lower() == "cross-site":
            raise Forbidden("a page of another site sent this request, and its origin isn't known")
        return None
    allowed = {entry.rstrip("/").lower() for entry in config.cors_origins}
    if origin.lower() in allowed or "*" in allowed:
        return origin
    if _same_origin(origin, headers.get("Host", "")):
        return None
    raise Forbidden(
        f"the browser origin {origin[:_SHOWN]!a} may not use this server. If it should, add this line to the config: "
        f'cors-origins: ["{origin[:_SHOWN]}"]',
        code="origin_not_allowed",
    )


def _same_origin(origin: str, host: str) -> bool:
    scheme, _, rest = origin.lower().partition("://")
    return scheme in {"http", "https"} and bool(rest) and rest == host.strip().lower()


def is_preflight(method: str, headers: Headers) -> bool:
    """Tell whether a browser only asks what it may send."""
    return method == "OPTIONS" and "Origin" in headers and "Access-Control-Request-Method" in headers


def preflight_headers(headers: Headers) -> dict[str, str]:
    """Answer a preflight of an allowed origin: whatever it wants to send, it may."""
    answer = {"Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS", "Access-Control-Max-Age": "600"}
    wanted = headers.get("Access-Control-Request-Headers", "")
    if wanted and wanted.isascii() and wanted.isprintable():
        answer["Access-Control-Allow-Headers"] = wanted
    if headers.get("Access-Control-Request-Private-Network", "").lower() == "true":
        answer["Access-Control-Allow-Private-Network"] = "true"
    return answer


def cors_headers(origin: str, exposed: Mapping[str, str]) -> dict[str, str]:
    """Let ``origin`` read the answer, and the ``exposed`` headers with it."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(name.lower() for name in exposed),
        "Vary": "Origin",
    }


def client_of(headers: Headers, keys: Sequence[str]) -> str:
    """Give the digest of the client's key (empty where no keys are set); raise ``Unauthorized`` for a wrong one."""
    if not keys:
        return ""
    presented = [_digest(value) for value in (_bearer(headers), headers.get("x-api-key")) if value]
    known = [_digest(key) for key in keys]
    # Every pair is compared, in constant time each: how long it takes says nothing about which key was nearly right.
    matches = [ours for theirs in presented for ours in known if hmac.compare_digest(theirs, ours)]
    if matches:
        return matches[0]
    if presented:
        raise Unauthorized("this API key is not one of the server's api-keys")
    raise Unauthorized(
        "an API key is needed: send one of the server's api-keys as `Authorization: Bearer` or x-api-key"
    )


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
