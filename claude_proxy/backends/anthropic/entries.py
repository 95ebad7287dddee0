"""The config's ``claude-api-key`` entries as credentials, their secrets resolved."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from claude_proxy import credentials
from claude_proxy.backends.http.keys import Credential
from claude_proxy.backends.http.session import check_proxy
from claude_proxy.config.schema import ClaudeApiKey

KIND = "claude-api-key"
ANTHROPIC = "https://api.anthropic.com"

_log = logging.getLogger("claude_proxy.anthropic")

_SUBSCRIPTION = "sk-ant-oat"
_OWN_SIGN_IN = frozenset(("authorization", "x-api-key"))


def usable(
    configured: Sequence[ClaudeApiKey], *, proxy_url: str, environ: Mapping[str, str] = os.environ
) -> tuple[tuple[Credential, ...], tuple[str, ...]]:
    """Give the entries that can be used, and why the others can't: a line each, which is logged, too."""
    made: list[Credential] = []
    reasons: list[str] = []
    for place, entry in enumerate(configured, start=1):
        owner = KIND if len(configured) == 1 else f"{KIND}/{place}"
        try:
            made.append(_credential(entry, owner, entry.proxy_url or proxy_url, environ))
        except (credentials.Unresolved, ValueError) as error:
            reasons.append(f"{owner} is not used: {error}")
    for reason in reasons:
        _log.warning("%s", reason)
    return tuple(made), tuple(reasons)


def _credential(entry: ClaudeApiKey, owner: str, proxy_url: str, environ: Mapping[str, str]) -> Credential:
    """Make an entry's credential; raise ``ValueError`` where it is of no use."""
    secret = credentials.resolve(entry.api_key, environ)
    if secret.startswith(_SUBSCRIPTION):
        raise ValueError(
            "its `api-key` is a subscription's token, which only the claude CLI may use: take a key from "
            "console.anthropic.com, or use the subscription through `claude-cli`"
        )
    base_url = (entry.base_url or ANTHROPIC).rstrip("/").removesuffix("/v1")
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"its `base-url` must look like {ANTHROPIC}")
    if not secret.isascii() or not secret.isprintable():
        raise ValueError("its `api-key` holds characters that no key has")
    if problem := check_proxy(proxy_url):
        raise ValueError(problem)
    own = {name.lower(): str(credentials.resolve(value, environ)) for name, value in entry.headers.items()}
    return Credential(
        label=owner,
        owner=owner,
        base_url=base_url,
        secret=secret,
        headers={**({} if _OWN_SIGN_IN & own.keys() else _sign_in(base_url, secret)), **own},
        proxy_url=proxy_url,
        prefix=entry.prefix,
        models=entry.models,
        excluded_models=entry.excluded_models,
    )


def _sign_in(base_url: str, secret: str) -> dict[str, str]:
    """Anthropic takes an API key in a header of its own; of the others some want that one, some the usual one."""
    headers = {"x-api-key": str(secret)}
    return headers if base_url == ANTHROPIC else {**headers, "authorization": f"Bearer {secret}"}
