"""References to secrets: ``env:NAME`` and ``keyring:NAME`` instead of the secret itself.

No message of this module ever holds a secret, and a resolved one doesn't show in a ``repr``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial

from claude_proxy.system_keyring import KeyringFailed, NoKeyring, SystemKeyring

SUBSCRIPTION_TOKEN = "sk-ant-oat"  # noqa: S105  (how one begins)

_REFERENCE = re.compile(r"(env|keyring):([A-Za-z0-9_.-]+)")


class Secret(str):
    """A string whose ``repr`` is masked, so that no log of what holds it shows it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Unresolved(Exception):
    """A reference that leads nowhere. ``str()`` says which, why and what to do, in one line."""


def is_name(text: str) -> bool:
    """Say whether a text can stand behind ``env:`` and ``keyring:``."""
    return _REFERENCE.fullmatch(f"keyring:{text}") is not None


def flaw(key: str) -> str | None:
    """Say what keeps a text from being an API key; ``None`` where nothing does."""
    if not key:
        return "it is empty"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "it holds characters that no key has"
    if key.startswith(SUBSCRIPTION_TOKEN):
        return (
            "it is a subscription's token, which only the claude CLI may use: take a key from console.anthropic.com, "
            "or use the subscription with `claude-proxy login`"
        )
    return None


def resolve(value: str, environ: Mapping[str, str] = os.environ, keyring: SystemKeyring | None = None) -> Secret:
    """Give what a reference stands for; a value that is no reference stands for itself."""
    match = _REFERENCE.fullmatch(value)
    if match is None:
        return Secret(value)
    kind, name = match.groups()
    found = environ.get(name) if kind == "env" else _from_keyring(name, keyring or SystemKeyring())
    if not found:
        raise Unresolved(_missing(kind, name))
    return Secret(found)


def resolver(environ: Mapping[str, str] = os.environ, keyring: SystemKeyring | None = None) -> Callable[[str], Secret]:
    """Give ``resolve`` for many values: a keyring that hangs is waited for once, not for each of them."""
    return partial(resolve, environ=environ, keyring=keyring or SystemKeyring())


def _missing(kind: str, name: str) -> str:
    if kind == "env":
        return f"env:{name} leads nowhere: set the environment variable {name}"
    return f"keyring:{name} leads nowhere: store it with `claude-proxy login {name} --api-key`"


def _from_keyring(name: str, keyring: SystemKeyring) -> str | None:
    try:
        return keyring.read(name)
    except NoKeyring as error:
        raise Unresolved(f"keyring:{name} can't be read, {error}: use env:NAME instead") from error
    except KeyringFailed as error:
        raise Unresolved(f"keyring:{name} can't be read, {error}: unlock it, or use env:NAME instead") from error
