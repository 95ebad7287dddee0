"""What another version of the configuration changes in a server that runs. Pure.

Every key is in one of two tables: it takes a restart, or it takes effect at once, perhaps with another backend in place
of the one that was made of it. A test holds the tables complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import fields, replace

from claude_proxy.config.schema import BackendKind, Config

Kinds = frozenset[BackendKind]

_NONE: Kinds = frozenset()
_CLI: Kinds = frozenset({"claude-cli"})
_CLAUDE_KEYS: Kinds = frozenset({"claude-api-key"})
_OTHER_KEYS: Kinds = frozenset({"openai-compatibility"})

RESTART = frozenset({"host", "port", "tls.cert", "tls.key"})
"""Keys of the listening socket, which is opened once."""

LIVE: Mapping[str, Kinds] = {
    "api-keys": _NONE,  # but that the last one goes takes a restart
    "allowed-hosts": _NONE,
    "cors-origins": _NONE,
    "debug": _NONE,
    "log-format": _NONE,
    "logging-to-file": _NONE,
    "logs-max-total-size-mb": _NONE,
    "request-log": _NONE,
    "proxy-url": _CLAUDE_KEYS | _OTHER_KEYS,
    "request-retry": _NONE,
    "max-retry-interval": _NONE,
    "body-limit-mb": _NONE,
    "max-concurrent-requests": _NONE,
    "shutdown-seconds": _NONE,
    "strict": _NONE,
    "default-model": _NONE,
    "model-aliases": _NONE,
    "routing.prefer": _NONE,
    "routing.strategy": _NONE,
    "routing.fall-back-to-api-key": _NONE,
    "claude-cli.enabled": _NONE,
    "claude-cli.path": _CLI,
    "claude-cli.base-url": _CLI,
    "claude-cli.env": _CLI,
    "claude-cli.profiles": _NONE,  # each is a backend of its own, which stands on its own entry
    "claude-cli.warm-models": _NONE,
    "claude-cli.warm": _NONE,
    "claude-cli.max-processes": _NONE,
    "claude-cli.max-memory-mb": _NONE,
    "claude-cli.idle-seconds": _NONE,
    "claude-cli.first-byte-seconds": _NONE,
    "claude-cli.turn-seconds": _NONE,
    "claude-cli.tool-wait-seconds": _CLI,  # a process is told it when it starts
    "claude-cli.plan-only": _NONE,
    "claude-cli.mcp-servers": _NONE,
    "claude-api-key": _CLAUDE_KEYS,
    "openai-compatibility": _OTHER_KEYS,
    "streaming.keepalive-seconds": _NONE,
    "responses-days": _NONE,
    "usage-statistics-enabled": _NONE,
}
"""Every other key, with the kinds of backends that are made anew when it changes."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be done. ``changed`` and ``restart`` are names of keys, and never hold a value.

    ``config`` is what the server goes by from now on: the new one, but for what takes a ``restart``. ``kept`` are the
    names of the backends that fit it as they are.
    """

    config: Config
    changed: tuple[str, ...]
    restart: tuple[str, ...]
    kept: frozenset[str]


def compare(old: Config, new: Config) -> Changes:
    """Say what a server that runs on ``old`` does about ``new``."""
    different = tuple(_different(old, new))
    restart = tuple(name for name in different if name in RESTART)
    config = replace(new, host=old.host, port=old.port, tls=old.tls)
    if old.api_keys and not new.api_keys:
        # Half of a file is often a valid one: what is closed never opens by itself.
        restart = (*restart, "api-keys")
        config = replace(config, api_keys=old.api_keys)
    before, after = foundations(old), foundations(config)
    kept = frozenset(name for name, standing in after.items() if before.get(name) == standing)
    return Changes(config, tuple(name for name in different if name not in restart), restart, kept)


def foundations(config: Config) -> dict[str, Any]:
    """Give the name of each backend, and all that it is made of: with anything else, it would be another one."""
    made: dict[str, Any] = {}
    if config.claude_cli.enabled:
        process = _standing(config, "claude-cli")
        made["claude-cli"] = process
        for name, profile in config.claude_cli.profiles.items():
            made[f"claude-cli/{name}"] = (process, profile)
    if config.claude_api_key:
        made["claude-api-key"] = _standing(config, "claude-api-key")
    if config.openai_compatibility:
        made["openai-compatibility"] = _standing(config, "openai-compatibility")
    return made


def _standing(config: Config, kind: BackendKind) -> tuple[Any, ...]:
    values = dict(_values(config))
    return tuple(values[name] for name, kinds in LIVE.items() if kind in kinds)


def _different(old: Config, new: Config) -> Iterator[str]:
    return (name for (name, one), (_, other) in zip(_values(old), _values(new), strict=True) if one != other)


def _values(section: Struct, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give every key outside of lists and mappings with its value, in the order of the schema."""
    for field in fields(section):
        name, value = prefix + field.encode_name, getattr(section, field.name)
        if isinstance(value, Struct):
            yield from _values(value, f"{name}.")
        else:
            yield name, value
