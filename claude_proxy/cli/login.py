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

    from claude_proxy.backends.claude_cli.account import read_account
    from claude_proxy.backends.claude_cli.argv import account_environment
    from claude_proxy.backends.claude_cli.binary import find_binary
    from claude_proxy.cli import console
    from claude_proxy.config.load import find, load
    from claude_proxy.errors import NotSignedIn

    del version
    chosen = settings(ctx, config, debug=debug)
    cli = load(find(chosen.config)).config.claude_cli
    binary = find_binary(cli.path)
    command = [binary.path, "auth", "login", *(["--console"] if use_console else [])]
    subprocess.run(command, check=False)  # noqa: S603  (the user's own CLI, in the user's own environment)
    # Asked as the server will ask: an API key in this shell is not a sign-in for its processes.
    account = asyncio.run(read_account(binary.path, account_environment(os.environ, cli.env, base_url=cli.base_url)))
    if not account.signed_in:
        raise NotSignedIn("still not signed in; run `claude-proxy login` again when you are ready")
    console.out().print(f"Signed in: {account.label} (claude CLI {binary.version})", markup=False)
