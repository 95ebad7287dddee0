"""``claude-proxy login``: the CLI's own sign-in, and API keys in the system's keyring."""

from __future__ import annotations

from typing import Annotated

import typer

from claude_proxy.cli.options import ConfigOption, DebugOption, JsonOption, VersionOption, settings


def login(
    ctx: typer.Context,
    # More than one is taken, so that a key that stands behind its name isn't repeated in an error.
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="claude|NAME", help="`claude`, the default, signs in; an API key is stored as NAME."),
    ] = None,
    *,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="Another sign-in of yours, one of `claude-cli.profiles`."),
    ] = None,
    use_console: Annotated[
        bool, typer.Option("--console", help="Sign in to the Anthropic Console (billed by use) instead of a plan.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Open no browser: print the address, for any device.")
    ] = False,
    api_key: Annotated[
        bool, typer.Option("--api-key", help="Ask for an API key, check it, and keep it in the system's keyring.")
    ] = False,
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read the key from standard input instead.")] = False,
    no_check: Annotated[bool, typer.Option("--no-check", help="Keep the key without asking its upstream.")] = False,
    show_list: Annotated[
        bool, typer.Option("--list", help="Show which keys are stored, and who is signed in.")
    ] = False,
    as_json: JsonOption = False,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="NAME", help="Take a key out of the keyring.")
    ] = None,
    config: ConfigOption = None,
    debug: DebugOption = False,
    version: VersionOption = False,
) -> None:
    """Sign in to Claude with the official CLI, or store an API key in the system's keyring.

    The sign-in is between the CLI and Anthropic; nothing of it is read, kept or sent by claude-proxy.
    """
    from claude_proxy.cli.login_usage import Way, WrongUsage, way

    del version
    options = {
        "--profile": profile,
        "--console": use_console,
        "--no-browser": no_browser,
        "--api-key": api_key,
        "--key-stdin": key_stdin,
        "--no-check": no_check,
        "--list": show_list,
        "--json": as_json,
        "--remove": remove,
    }
    given = {option for option, value in options.items() if value not in (None, False)}
    path = settings(ctx, config, debug=debug).config
    try:
        match way(names or (), given):
            case Way.SIGN_IN:
                from claude_proxy.cli.login_claude import sign_in

                sign_in(path, profile, use_console=use_console, no_browser=no_browser)
            case Way.KEEP_KEY:
                from claude_proxy.cli.login_key import keep_key

                keep_key(path, "".join(names or ()), from_stdin=key_stdin, with_check=not no_check)
            case Way.LIST:
                from claude_proxy.cli.login_list import show

                show(path, as_json=as_json)
            case Way.REMOVE:
                from claude_proxy.cli.login_list import take_out

                take_out(remove or "")
    except WrongUsage as error:
        ctx.fail(str(error))
