"""What no configuration may ask for, however well it is written: checks that look at several keys at once."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from claude_proxy.config.schema import Config
from claude_proxy.errors import ConfigError

_UPSTREAM_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+/?")
_PROFILE = re.compile(r"[A-Za-z0-9_.-]+")
_HTTP = ("http", "https")
_PROXY = ("http", "https", "socks5", "socks5h")
_NO_PROXY = ("direct", "none")
"""What CLIProxyAPI's users write for: no proxy, whatever the environment says."""

Problem = tuple[str, str]
"""A key's dotted name, and what is wrong with it."""


def enforce(config: Config, where: Callable[[str], str]) -> None:
    """Raise ``ConfigError`` for the first thing that must not be; ``where`` says where a key was written."""
    for check in (_reachable, _gateway, _tls, _urls, _names):
        for key, message in check(config):
            raise ConfigError(f"{where(key)}: {key}: {message}")


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach what listens at ``host``; empty means all interfaces."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _reachable(config: Config) -> Iterator[Problem]:
    for i, key in enumerate(config.api_keys):
        if not key.strip():
            yield f"api-keys[{i}]", "is empty, so anybody could guess it"
    if not is_loopback(config.host) and not config.api_keys:
        fresh = "cp-" + secrets.token_urlsafe(24)
        what = f'"{config.host}"' if config.host else "empty (all interfaces)"
        message = f"{what} lets other machines in, so clients need a key; add this fresh one to the file:"
        yield "host", f'{message} api-keys: ["{fresh}"]'


def _gateway(config: Config) -> Iterator[Problem]:
    cli = config.claude_cli
    if "ANTHROPIC_BASE_URL" in cli.env:
        yield "claude-cli.env.ANTHROPIC_BASE_URL", "set `claude-cli.base-url` instead"
    if not cli.base_url:
        return
    url = _parts(cli.base_url)
    if url is None or url[0] not in _HTTP:
        yield "claude-cli.base-url", "expected a URL like https://gateway.example"
    elif not is_loopback(url[1]) and not any(cli.env.get(name) for name in _UPSTREAM_KEYS):
        message = f"{url[1]} would be sent your Claude sign-in; put that gateway's own key in `claude-cli.env` as"
        yield "claude-cli.base-url", f"{message} {' or '.join(_UPSTREAM_KEYS)}"


def _tls(config: Config) -> Iterator[Problem]:
    if bool(config.tls.cert) != bool(config.tls.key):
        missing = "key" if config.tls.cert else "cert"
        yield "tls", f"`{missing}` is missing: HTTPS needs both `cert` and `key`"


def _urls(config: Config) -> Iterator[Problem]:
    found: list[tuple[str, str, tuple[str, ...]]] = [("proxy-url", config.proxy_url, _PROXY)]
    for i, entry in enumerate(config.claude_api_key):
        found += [(f"claude-api-key[{i}].base-url", entry.base_url, _HTTP)]
        found += [(f"claude-api-key[{i}].proxy-url", entry.proxy_url, _PROXY)]
    for i, upstream in enumerate(config.openai_compatibility):
        found += [(f"openai-compatibility[{i}].base-url", upstream.base_url, _HTTP)]
    for key, value, schemes in found:
        url = _parts(value) if value else None
        is_none = schemes is _PROXY and value.lower() in _NO_PROXY
        if value and not is_none and (url is None or url[0] not in schemes):
            yield key, f"expected a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    for i, origin in enumerate(config.cors_origins):
        if origin == "*":
            yield f"cors-origins[{i}]", "name each origin: `*` would let any web page spend your plan"
        elif not _ORIGIN.fullmatch(origin):
            yield f"cors-origins[{i}]", "expected an origin like https://app.example, without a path"


def _names(config: Config) -> Iterator[Problem]:
    if len(set(config.routing.prefer)) < len(config.routing.prefer):
        yield "routing.prefer", "names a backend twice"
    for name in config.claude_cli.profiles:
        if not _PROFILE.fullmatch(name):
            yield f"claude-cli.profiles.{name}", "a profile's name may hold letters, digits, `_`, `.` and `-`"


def _parts(url: str) -> tuple[str, str] | None:
    """Split a URL into its scheme and host; ``None`` where it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname) if parts.hostname else None
