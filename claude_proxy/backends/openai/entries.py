"""The config's ``openai-compatibility`` entries as keys that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from claude_proxy.backends.http.entries import Source, credential, usable
from claude_proxy.backends.http.keys import Credential
from claude_proxy.config.schema import OpenAICompatibility


def sources(configured: Sequence[OpenAICompatibility], proxy_url: str) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Give the entries that can be used, and why the others can't: a line each, which is logged, too."""
    return usable(
        (entry.name, partial(_source, entry, f"{entry.name}[{place}]", proxy_url))
        for place, entry in enumerate(configured)
    )


def _source(entry: OpenAICompatibility, label: str, proxy_url: str) -> Source:
    # No keys at all is an upstream that asks for none.
    secrets = [key.api_key for key in entry.api_key_entries] or [""]
    keys = (
        _credential(entry, f"{label}#{number}", secret, proxy_url) for number, secret in enumerate(secrets, start=1)
    )
    return Source(entry.name, tuple(keys))


def _credential(entry: OpenAICompatibility, label: str, secret: str, proxy_url: str) -> Credential:
    headers = {name.lower(): value for name, value in entry.headers.items()}
    if secret:
        headers.setdefault("authorization", f"Bearer {secret}")
    return credential(
        label,
        owner=entry.name,
        base_url=entry.base_url.rstrip("/"),
        secret=secret,
        headers=headers,
        proxy_url=proxy_url,
        prefix=entry.prefix,
        models=entry.models,
    )
