"""The config's ``openai-compatibility`` entries as credentials, their secrets resolved."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from claude_proxy import credentials
from claude_proxy.backends.http.keys import Credential
from claude_proxy.config.schema import OpenAICompatibility

_log = logging.getLogger("claude_proxy.openai")


@dataclass(frozen=True, slots=True)
class Entry:
    """One upstream that can be asked: one credential for each key, or one without."""

    config: OpenAICompatibility
    credentials: tuple[Credential, ...]


def usable(
    configured: Sequence[OpenAICompatibility], *, proxy_url: str, environ: Mapping[str, str] = os.environ
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Give the entries that can be used, and why the others (or some of their keys) can't: a line each."""
    entries, reasons = [], []
    for place, config in enumerate(configured):
        found, lost = _secrets(config, environ)
        reasons += lost
        made = tuple(_credential(config, f"{config.name}[{place}]", number, key, proxy_url) for number, key in found)
        if made:
            entries.append(Entry(config, made))
    for reason in reasons:
        _log.warning("%s", reason)
    return tuple(entries), tuple(reasons)


def _secrets(config: OpenAICompatibility, environ: Mapping[str, str]) -> tuple[list[tuple[int, str]], list[str]]:
    """Resolve an entry's keys; no keys at all is an upstream that asks for none."""
    if not config.api_key_entries:
        return [(0, "")], []
    found: list[tuple[int, str]] = []
    lost: list[str] = []
    for number, key in enumerate(config.api_key_entries, start=1):
        try:
            found.append((number, credentials.resolve(key.api_key, environ)))
        except credentials.Unresolved as error:
            lost.append(f"{config.name}: key {number} is not used: {error}")
    return found, lost


def _credential(config: OpenAICompatibility, owner: str, number: int, secret: str, proxy_url: str) -> Credential:
    headers = {name.lower(): value for name, value in config.headers.items()}
    if secret:
        headers.setdefault("authorization", f"Bearer {secret}")
    return Credential(
        label=f"{owner}#{number}",
        owner=config.name,
        base_url=config.base_url.rstrip("/"),
        secret=secret,
        headers=headers,
        proxy_url=proxy_url,
        prefix=config.prefix,
        models=config.models,
    )
