"""The official CLI's own sign-in, in this terminal. Nothing of it is read, kept or sent by us."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from claude_proxy.backends.claude_cli.account import config_dir, read_account
from claude_proxy.backends.claude_cli.argv import account_environment
from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.cli import console
from claude_proxy.config.load import find, load
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.credentials import Unresolved, resolver
from claude_proxy.errors import ConfigError, NotSignedIn, ProxyError

_OPENS_NOTHING = "true"
"""The CLI runs what ``BROWSER`` names, with the address. This takes it, and opens nothing."""


def sign_in(path: Path | None, profile: str | None, *, use_console: bool, no_browser: bool) -> None:
    """Let the CLI sign in, and say who is signed in then; raise ``NotSignedIn`` where that is nobody."""
    config = cli_config(path)
    if profile is not None and profile not in config.profiles:
        known = ", ".join(config.profiles) or "none"
        raise ConfigError(f"there is no profile {profile!r} in `claude-cli.profiles`; known: {known}")
    folder = config_dir(config, profile or "")
    binary = find_binary(config.path)
    own = {**os.environ, **({"CLAUDE_CONFIG_DIR": folder} if folder else {})}
    if no_browser:
        own["BROWSER"] = _OPENS_NOTHING
        console.note("no browser is opened; open the address below on any device, and paste the code that it shows")
    finished = _in_this_terminal([binary.path, "auth", "login", *(["--console"] if use_console else [])], own)
    # Asked as the server will ask: an API key in this shell is not a sign-in for its processes.
    env = account_environment(os.environ, config.env, base_url=config.base_url, config_dir=folder)
    account = asyncio.run(read_account(binary.path, env))
    if not account.signed_in:
        again = f"claude-proxy login --profile {profile}" if profile else "claude-proxy login"
        raise NotSignedIn(f"still not signed in; run `{again}` again when you are ready")
    if not finished:
        raise ProxyError(f"this sign-in didn't come to its end; signed in is, as before: {account.label}")
    console.out().print(f"Signed in: {account.label} (claude CLI {binary.version})", markup=False)


def cli_config(path: Path | None) -> ClaudeCliConfig:
    """Give the part of the configuration that decides who is signed in. Other secrets than its own may be missing."""
    config = load(find(path), with_secrets=False).config.claude_cli
    resolve = resolver()
    try:
        return replace(config, env={name: resolve(value) for name, value in config.env.items()})
    except Unresolved as error:
        raise ConfigError(f"claude-cli.env: {error}") from error


def _in_this_terminal(command: list[str], env: Mapping[str, str]) -> bool:
    """Run a command, and say whether it came to a good end. Ctrl-C is for it: it puts the terminal right and goes."""
    interrupts: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    try:
        done = subprocess.run(command, env=env, check=False)  # noqa: S603  (the user's own CLI)
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        console.err().print()  # its prompt's line has no end
    # The CLI's exit code is 0 after Ctrl-C, too.
    return done.returncode == 0 and not interrupts
