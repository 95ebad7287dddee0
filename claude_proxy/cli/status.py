"""``claude-proxy status``: what the running server says of itself; without one, what is known all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from claude_proxy.cli.options import (
    ConfigOption,
    DebugOption,
    HostOption,
    JsonOption,
    PortOption,
    VersionOption,
    settings,
)

if TYPE_CHECKING:
    from claude_proxy.cli.server_client import Place
    from claude_proxy.config.load import Loaded


def status(
    ctx: typer.Context,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and show it anew every 2 seconds until Ctrl-C.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Find out what the installed claude CLI does, on loopback, with nobody's sign-in."
        ),
    ] = False,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    config: ConfigOption = None,
    debug: DebugOption = False,
    version: VersionOption = False,
) -> None:
    """Show the server, who is signed in, how much of the plan is used, and the usage of today and this month."""
    from claude_proxy.config.load import find, load

    del version
    if watch and (as_json or check):
        raise typer.BadParameter("it goes with neither --json nor --check.", param_hint="--watch")
    loaded = load(find(settings(ctx, config, debug=debug).config))
    if check:
        from claude_proxy.cli import status_check

        raise typer.Exit(status_check.run(loaded.config.claude_cli.path, as_json=as_json))

    from claude_proxy.cli.server_client import place

    where = place(loaded.config, host=host, port=port)
    if watch:
        _watch(where)
    else:
        _show_once(where, loaded, as_json=as_json)


def _show_once(where: Place, loaded: Loaded, *, as_json: bool) -> None:
    import time

    from claude_proxy.cli import console
    from claude_proxy.cli.observation import observe, understood
    from claude_proxy.cli.server_client import NoServer
    from claude_proxy.cli.status_view import view

    now = time.time()
    found, failure = observe(where, now=now)
    if isinstance(failure, NoServer):
        found |= _signed_in(loaded)
    if as_json:
        console.data(found)
        raise typer.Exit(0 if failure is None else 1)
    if failure is None:
        console.out().print(view(understood(found), now=now))
        return
    if isinstance(failure, NoServer):
        console.out().print(view(understood(found), now=now))
        console.out().print()
    raise failure


def _signed_in(loaded: Loaded) -> dict[str, Any]:
    """Ask the CLI what a server would have said."""
    import asyncio

    import msgspec

    from claude_proxy.cli.sign_in import sign_ins
    from claude_proxy.cli.status_document import Backend

    backends = [
        Backend(
            name=f"claude-cli/{one.profile}" if one.profile else "claude-cli",
            kind="claude-cli",
            profile=one.profile,
            detail=one.detail,
            account=one.account,
            version=one.version,
        )
        for one in asyncio.run(sign_ins(loaded.config.claude_cli))
    ]
    return {"config": str(loaded.path) if loaded.path else None, "backends": msgspec.to_builtins(backends)}


def _watch(where: Place) -> None:
    import contextlib
    import time

    from claude_proxy.cli import console
    from claude_proxy.cli.status_watch import watch

    if not console.out().is_terminal:
        raise typer.BadParameter("it needs a terminal; --json is for scripts.", param_hint="--watch")
    with contextlib.suppress(KeyboardInterrupt):
        watch(where, console.out(), clock=time.time, wait=time.sleep)
