"""``claude-proxy login``: sign in with the official CLI's own command, in this terminal.

The sign-in is between the CLI and Anthropic; nothing of it is read, kept or sent by us.
"""

from __future__ import annotations

from typing import Annotated

import typer

from claude_proxy.cli.options import ConfigOption, DebugOption, VersionOption, settings


def login(
    ctx: typer.Context,
    *,
    profile: Annotated[
        str, typer.Option("--profile", metavar="NAME", help="Another sign-in of yours, one of `claude-cli.profiles`.")
    ] = "",
    use_console: Annotated[
        bool, typer.Option("--console", help="Sign in to the Anthropic Console (billed by use) instead of a plan.")
    ] = False,
    config: ConfigOption = None,
    debug: DebugOption = False,
    version: VersionOption = False,
) -> None:
    """Sign in to Claude with the official CLI, in this terminal, and show who is signed in."""
    import asyncio
    import os
    import subprocess

    from claude_proxy.backends.claude_cli.account import config_dir, read_account
    from claude_proxy.backends.claude_cli.argv import account_environment
    from claude_proxy.backends.claude_cli.binary import find_binary
    from claude_proxy.cli import console
    from claude_proxy.config.load import find, load
    from claude_proxy.errors import ConfigError, NotSignedIn

    del version
    chosen = settings(ctx, config, debug=debug)
    cli = load(find(chosen.config)).config.claude_cli
    if profile and profile not in cli.profiles:
        known = ", ".join(cli.profiles) or "none"
        raise ConfigError(f"there is no profile {profile!r} in `claude-cli.profiles`; known: {known}")
    folder = config_dir(cli, profile)
    own = {**os.environ, "CLAUDE_CONFIG_DIR": folder} if folder else None
    binary = find_binary(cli.path)
    command = [binary.path, "auth", "login", *(["--console"] if use_console else [])]
    subprocess.run(command, env=own, check=False)  # noqa: S603  (the user's own CLI, in the user's own environment)
    # Asked as the server will ask: an API key in this shell is not a sign-in for its processes.
    env = account_environment(os.environ, cli.env, base_url=cli.base_url, config_dir=folder)
    account = asyncio.run(read_account(binary.path, env))
    if not account.signed_in:
        again = f"claude-proxy login --profile {profile}" if profile else "claude-proxy login"
        raise NotSignedIn(f"still not signed in; run `{again}` again when you are ready")
    console.out().print(f"Signed in: {account.label} (claude CLI {binary.version})", markup=False)
