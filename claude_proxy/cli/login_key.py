"""Stores an API key in the system's keyring: asks for it without echo, checks it with its upstream, says how to use it.

A key that its upstream refuses is not kept. One that can't be checked now is, with the reason: it may be right.
"""

from __future__ import annotations

import asyncio
import getpass
import re
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from claude_proxy.backends.http.check import Verdict
from claude_proxy.cli import console
from claude_proxy.cli.key_check import asked, is_anthropic, upstream_of, uses
from claude_proxy.cli.key_index import KeyIndex, index_path
from claude_proxy.cli.login_usage import WrongUsage
from claude_proxy.config.load import default_path, find, load
from claude_proxy.config.schema import Config
from claude_proxy.credentials import Secret, flaw
from claude_proxy.errors import ProxyError, Unauthorized, Unavailable
from claude_proxy.system_keyring import PERSON_SECONDS, KeyringFailed, NoKeyring, SystemKeyring

_ANTHROPIC_ENTRY = """\
claude-api-key:
  - api-key: {reference}
"""
_OTHER_ENTRY = """\
openai-compatibility:
  - name: {name}
    base-url: https://…/v1
    api-key-entries:
      - api-key: {reference}
"""
_MOST_INPUT = 64 << 10


def keep_key(path: Path | None, name: str, *, from_stdin: bool, with_check: bool) -> None:
    """Ask for a key, and keep it under a name."""
    keyring, index = SystemKeyring(PERSON_SECONDS), KeyIndex(index_path())
    # All that could be in the way is looked at before anybody has to find the key.
    where = find(path)
    config = load(where, with_secrets=False).config
    index.read()
    try:
        keyring.check()
        key = _given(name, from_stdin=from_stdin)
        verdict = _checked(config, name, key) if with_check else None
        keyring.keep(name, key)
    except KeyringFailed as error:
        raise Unavailable(_without_keyring(name, error)) from error
    index.add(name, datetime.now(UTC).replace(microsecond=0))
    _tell(config, where or default_path(), name, key, verdict)


def _given(name: str, *, from_stdin: bool) -> Secret:
    """Give the key that the user gives."""
    if not sys.stdin.isatty():
        if not from_stdin:
            raise WrongUsage("There is no terminal to ask for the key: pipe it in, with --key-stdin.")
        # What is no UTF-8 is no key either, and is told so below.
        key = Secret(sys.stdin.buffer.read(_MOST_INPUT).decode(errors="replace").strip())
    else:
        try:
            key = Secret(getpass.getpass(f"API key for {name} (not shown): ").strip())
        except (EOFError, KeyboardInterrupt) as error:
            console.err().print()  # the prompt's line has no end yet
            raise ProxyError("no key was given; nothing was kept") from error
    if problem := flaw(key):
        raise WrongUsage(f"This is no API key: {problem}. Nothing was kept.")
    return key


def _checked(config: Config, name: str, key: Secret) -> Verdict | None:
    """Ask the key's upstream, where it has one; raise ``Unauthorized`` where it is refused."""
    places = list(uses(config, f"keyring:{name}"))
    upstream = upstream_of(places, key)
    if upstream is None:
        unknown = Verdict(None, "whose it is can't be seen from it, and no entry of config.yaml refers to it yet")
        return None if places else unknown
    verdict = asyncio.run(asked(upstream, key, config.proxy_url))
    if verdict.taken is False:
        raise Unauthorized(f"{verdict.said}. Nothing was kept; with --no-check it would be, without asking")
    return verdict


def _tell(config: Config, path: Path, name: str, key: str, verdict: Verdict | None) -> None:
    """Say where the key is, and what to write into which file."""
    reference = f"keyring:{name}"
    if verdict and verdict.taken is None:
        console.note(f"the key couldn't be checked: {verdict.said}")
    print_line = partial(console.out().print, markup=False, soft_wrap=True)
    print_line(f"{verdict.said}. " if verdict and verdict.taken else "", end="")
    print_line(f"Kept in the system's keyring as {reference}.")
    file = _at_home(path)
    if places := [use.where for use in uses(config, reference)]:
        print_line(f"{file} uses it: {', '.join(places)}.")
        return
    entry = _ANTHROPIC_ENTRY if is_anthropic(key) else _OTHER_ENTRY
    print_line(f"Put this into {file}:\n")
    print_line(entry.format(name=name, reference=reference), style="green", end="")


def _at_home(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _without_keyring(name: str, error: KeyringFailed) -> str:
    variable = re.sub(r"^(?=\d)|\W", "_", name).upper()
    variable += "" if variable.endswith("_KEY") else "_API_KEY"
    unlock = "" if isinstance(error, NoKeyring) else "Unlock it and try again, or put "
    return (
        f"{error}, so nothing was kept. {unlock or 'Put '}the key into an environment variable"
        f" (`export {variable}=…`), and env:{variable} into config.yaml in the place of keyring:{name}"
    )
