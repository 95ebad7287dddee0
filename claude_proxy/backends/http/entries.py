"""The config's entries as keys that can be used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from claude_proxy.backends.http.keys import Credential
from claude_proxy.backends.http.session import check_proxy
from claude_proxy.credentials import Secret

_log = logging.getLogger("claude_proxy.http")


@dataclass(frozen=True, slots=True)
class Source:
    """The keys of one entry: what one of them can be asked for, the others can, too."""

    name: str
    credentials: tuple[Credential, ...]


Make = Callable[[], Source]


def usable(entries: Iterable[tuple[str, Make]]) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Give the entries that can be used, and why the others can't: a line each, which is logged, too.

    Each is its name and what makes it, or raises ``ValueError``.
    """
    made: list[Source] = []
    reasons: list[str] = []
    for name, make in entries:
        try:
            made.append(make())
        except ValueError as error:
            reasons.append(f"{name} is not used: {error}")
    for reason in reasons:
        _log.warning("%s", reason)
    return tuple(made), tuple(reasons)


def credential(
    label: str, *, base_url: str, secret: str, headers: Mapping[str, str], proxy_url: str, **rest: Any
) -> Credential:
    """Make a key; raise ``ValueError`` where nothing can be asked with it. ``rest`` are its other fields."""
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("its `base-url` must look like https://host/path")
    if not secret.isascii() or not secret.isprintable():
        raise ValueError("its `api-key` holds characters that no key has")
    if problem := check_proxy(proxy_url):
        raise ValueError(problem)
    return Credential(
        label=label, base_url=base_url, secret=Secret(secret), headers=headers, proxy_url=proxy_url, **rest
    )
