"""Find and read ``config.yaml``: a checked ``Config`` with its secrets resolved, or one line that says why not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from claude_proxy.config.document import Document, Place, check
from claude_proxy.config.keys import NOT_YET, keys
from claude_proxy.config.safety import enforce
from claude_proxy.config.schema import ApiKeyEntry, ClaudeApiKey, Config, OpenAICompatibility
from claude_proxy.credentials import Secret, Unresolved, resolver
from claude_proxy.errors import ConfigError

ENVIRONMENT_VARIABLE = "CLAUDE_PROXY_CONFIG"

Resolve = Callable[[str], Secret]
"""Gives what a reference stands for, or raises ``Unresolved``."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A usable configuration, one line for each thing to know about it, and its file (``None``: there is none).

    ``is_empty``: no key is written, as in a file that somebody is only about to write.
    """

    config: Config
    warnings: tuple[str, ...] = ()
    path: Path | None = None
    is_empty: bool = False


def find(explicit: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Say which file to read; ``None`` where nobody named one and the user's own doesn't exist."""
    for path, named_by in ((explicit, "--config"), (environ.get(ENVIRONMENT_VARIABLE), ENVIRONMENT_VARIABLE)):
        if path:
            named = Path(path).expanduser()
            if not named.is_file():
                raise ConfigError(f"{named}: no such file, though {named_by} names it")
            return named
    default = default_path()
    return default if default.is_file() else None


def default_path() -> Path:
    """Say where the user's own file is looked for."""
    import platformdirs  # noqa: PLC0415  (only needed where nobody names a file)

    return platformdirs.user_config_path("claude-proxy", appauthor=False) / "config.yaml"


def load(
    path: Path | None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    with_secrets: bool = True,
) -> Loaded:
    """Read a file (``None``: the defaults) and check all of it.

    ``overrides`` holds command-line options by attribute name; what is wrong with one is said of the option.
    ``with_secrets=False`` leaves references to secrets as they are. Else the keyring may be waited for: not for an
    event loop.
    """
    document = check(_text(path), str(path)) if path else Document("config.yaml")
    config = replace(msgspec.convert(document.data, Config), **dict(overrides or {}))

    def where(key: str) -> str:
        return "command line" if key.replace("-", "_") in (overrides or {}) else document.where(key)

    enforce(config, where)
    document.warnings += _without_effect(config, document)
    if with_secrets:
        config = _resolve(config, document, resolver(environ))
    return Loaded(config, tuple(document.warnings), path, is_empty=path is not None and not document.places)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = Place.after(error.object[: error.start].decode()).within(str(path))
        raise ConfigError(f"{where}: not UTF-8 text") from error


def _without_effect(config: Config, document: Document) -> Iterator[str]:
    """Warn of each key that is set to something else than its default and that no code reads yet."""
    for key in keys():
        if key.name in NOT_YET and attrgetter(key.name.replace("-", "_"))(config) != key.default:
            yield f"{document.where(key.name)}: {key.name} has no effect in this version"


def _resolve(config: Config, document: Document, resolve: Resolve) -> Config:
    """Put secrets in place of references: clients' keys must resolve, an upstream without its key is left out."""

    def needed(key: str, value: str) -> str:
        try:
            return resolve(value)
        except Unresolved as error:
            raise ConfigError(f"{document.where(key)}: {key}: {error}") from error

    env = {name: needed(f"claude-cli.env.{name}", value) for name, value in config.claude_cli.env.items()}
    return replace(
        config,
        api_keys=tuple(needed(f"api-keys[{i}]", value) for i, value in enumerate(config.api_keys)),
        claude_cli=replace(config.claude_cli, env=env),
        claude_api_key=tuple(_claude_keys(config.claude_api_key, document, resolve)),
        openai_compatibility=tuple(_upstreams(config.openai_compatibility, document, resolve)),
    )


def _claude_keys(entries: tuple[ClaudeApiKey, ...], document: Document, resolve: Resolve) -> Iterator[ClaudeApiKey]:
    for i, entry in enumerate(entries):
        key = f"claude-api-key[{i}]"
        try:
            yield replace(entry, api_key=resolve(entry.api_key))
        except Unresolved as error:
            document.warnings.append(f"{document.where(key)}: {key}: switched off: {error}")


def _upstreams(
    upstreams: tuple[OpenAICompatibility, ...], document: Document, resolve: Resolve
) -> Iterator[OpenAICompatibility]:
    for i, upstream in enumerate(upstreams):
        usable: list[ApiKeyEntry] = []
        for j, entry in enumerate(upstream.api_key_entries):
            key = f"openai-compatibility[{i}].api-key-entries[{j}]"
            try:
                usable.append(replace(entry, api_key=resolve(entry.api_key)))
            except Unresolved as error:
                document.warnings.append(f"{document.where(key)}: {key}: switched off: {error}")
        if usable or not upstream.api_key_entries:
            yield replace(upstream, api_key_entries=tuple(usable))
