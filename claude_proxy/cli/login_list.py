"""What ``login`` has stored and who is signed in, and how a key is taken out again. No secret is ever shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from claude_proxy.cli import console
from claude_proxy.cli.key_index import KeyIndex, index_path
from claude_proxy.cli.login_claude import cli_config
from claude_proxy.cli.login_usage import CLAUDE
from claude_proxy.cli.sign_in import SignIn, sign_ins
from claude_proxy.errors import NotFound, Unavailable
from claude_proxy.system_keyring import PERSON_SECONDS, KeyringFailed, SystemKeyring


@dataclass(frozen=True, slots=True)
class Kept:
    """A key that was stored; ``problem`` is why it can't be had now, ``in_keyring`` is ``None`` where nobody knows."""

    name: str
    added: datetime
    in_keyring: bool | None
    problem: str = ""


def show(path: Path | None, *, as_json: bool) -> None:
    """Print which keys are stored, and who is signed in."""
    kept = list(kept_keys(KeyIndex(index_path()).read(), SystemKeyring()))
    signed_in = asyncio.run(sign_ins(cli_config(path)))
    if as_json:
        console.data([*map(_key_json, kept), *map(_sign_in_json, signed_in)])
    else:
        console.out().print(rendered(kept, signed_in))


def take_out(name: str) -> None:
    """Take a key out of the keyring, and its name out of the list."""
    index = KeyIndex(index_path())
    known = index.read()
    try:
        was_there = SystemKeyring(PERSON_SECONDS).remove(name)
    except KeyringFailed as error:
        raise Unavailable(f"{name} can't be taken out: {error}") from error
    if not was_there and name not in known:
        if name == CLAUDE:
            raise NotFound("the sign-in is the CLI's own: `claude auth logout` ends it")
        raise NotFound(f"there is no key {name!r}; known: {', '.join(known) or 'none'}")
    index.remove(name)
    gone = "is out of the keyring" if was_there else "was in the keyring no more, and is off the list"
    console.out().print(f"{name} {gone}.", markup=False, soft_wrap=True)


def kept_keys(names: Mapping[str, datetime], keyring: SystemKeyring) -> Iterable[Kept]:
    """Look for each name in the keyring."""
    for name, added in names.items():
        try:
            found = keyring.read(name) is not None
        except KeyringFailed as error:
            yield Kept(name, added, None, str(error))
        else:
            again = "" if found else f"no longer there: run `claude-proxy login {name} --api-key`"
            yield Kept(name, added, found, again)


def rendered(kept: Sequence[Kept], signed_in: Sequence[SignIn]) -> RenderableType:
    """Show both as tables."""
    keys = Table.grid(padding=(0, 2))
    for key in kept:
        state = Text(key.problem, "yellow") if key.problem else Text("in the keyring", "green")
        keys.add_row(Text(f"  keyring:{key.name}", "bold"), Text(f"{key.added.astimezone():%Y-%m-%d}", "dim"), state)
    if not kept:
        keys.add_row(Text("  none: `claude-proxy login NAME --api-key` stores one", "dim"))
    accounts = Table.grid(padding=(0, 2))
    for one in signed_in:
        who = Text(one.account, "green") if one.account else Text(one.detail, "yellow")
        accounts.add_row(Text(f"  {one.profile or CLAUDE}", "bold"), who)
    if not signed_in:
        accounts.add_row(Text("  none: `claude-cli.enabled` is false", "dim"))
    return Group(Text("API keys", "bold cyan"), keys, Text("\nSign-ins", "bold cyan"), accounts)


def _key_json(key: Kept) -> dict[str, object]:
    return {
        "kind": "api-key",
        "name": key.name,
        "reference": f"keyring:{key.name}",
        "added": key.added,
        "in_keyring": key.in_keyring,
        "problem": key.problem or None,
    }


def _sign_in_json(one: SignIn) -> dict[str, object]:
    return {
        "kind": "sign-in",
        "name": one.profile or CLAUDE,
        "profile": one.profile or None,
        "signed_in": one.account is not None,
        "account": one.account,
        "detail": one.detail,
    }
