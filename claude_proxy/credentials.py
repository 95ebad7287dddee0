"""References to secrets: ``env:NAME`` and ``keyring:NAME`` instead of the secret itself.

No message of this module ever holds a secret, and a resolved one doesn't show in a ``repr``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

SERVICE = "claude-proxy"
"""The name our entries have in the operating system's keyring."""

_REFERENCE = re.compile(r"(env|keyring):([A-Za-z0-9_.-]+)")


class Secret(str):
    """A string whose ``repr`` is masked, so that no log of what holds it shows it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Unresolved(Exception):
    """A reference that leads nowhere. ``str()`` says which, why and what to do, in one line."""


def resolve(value: str, environ: Mapping[str, str] = os.environ) -> Secret:
    """Give what a reference stands for; a value that is no reference stands for itself."""
    match = _REFERENCE.fullmatch(value)
    if match is None:
        return Secret(value)
    kind, name = match.groups()
    found = environ.get(name) if kind == "env" else _from_keyring(name)
    if not found:
        raise Unresolved(_missing(kind, name))
    return Secret(found)


def _missing(kind: str, name: str) -> str:
    if kind == "env":
        return f"env:{name} leads nowhere: set the environment variable {name}"
    return f"keyring:{name} leads nowhere: store it with `keyring set {SERVICE} {name}`"


def _from_keyring(name: str) -> str | None:
    import keyring  # noqa: PLC0415  (slow to import, and most configurations don't need it)
    from keyring.errors import KeyringError  # noqa: PLC0415  (as above)

    try:
        return keyring.get_password(SERVICE, name)
    except (KeyringError, OSError) as error:
        reason = type(error).__name__
        raise Unresolved(
            f"keyring:{name} can't be read, the keyring says {reason}: unlock it, or use env:NAME instead"
        ) from error
