"""The config's ``claude-api-key`` entries as keys that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from claude_proxy.backends.http.entries import Source, credential, usable
from claude_proxy.config.schema import ClaudeApiKey
from claude_proxy.credentials import SUBSCRIPTION_TOKEN

KIND = "claude-api-key"
ANTHROPIC = "https://api.anthropic.com"

_OWN_SIGN_IN = frozenset(("authorization", "x-api-key"))


def sources(configured: Sequence[ClaudeApiKey], proxy_url: str) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Give the entries that can be used, and why the others can't: a line each, which is logged, too."""
    names = [KIND] if len(configured) == 1 else [f"{KIND}/{place}" for place, _ in enumerate(configured, start=1)]
    return usable(
        (name, partial(_source, entry, name, proxy_url)) for name, entry in zip(names, configured, strict=True)
    )


def _source(entry: ClaudeApiKey, name: str, proxy_url: str) -> Source:
    if entry.api_key.startswith(SUBSCRIPTION_TOKEN):
        raise ValueError(
            "its `api-key` is a subscription's token, which only the claude CLI may use: take a key from "
            "console.anthropic.com, or use the subscription through `claude-cli`"
        )
    base_url = (entry.base_url or ANTHROPIC).rstrip("/").removesuffix("/v1")
    own = {name.lower(): value for name, value in entry.headers.items()}
    key = credential(
        name,
        owner=name,
        base_url=base_url,
        secret=entry.api_key,
        headers={**({} if _OWN_SIGN_IN & own.keys() else _sign_in(base_url, entry.api_key)), **own},
        proxy_url=entry.proxy_url or proxy_url,
        prefix=entry.prefix,
        models=entry.models,
        excluded_models=entry.excluded_models,
    )
    return Source(name, (key,))


def _sign_in(base_url: str, secret: str) -> dict[str, str]:
    """Anthropic takes an API key in a header of its own; of the others some want that one, some the usual one."""
    headers = {"x-api-key": str(secret)}
    return headers if base_url == ANTHROPIC else {**headers, "authorization": f"Bearer {secret}"}
