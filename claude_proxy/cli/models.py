"""``claude-proxy models``: what can be asked for, by the running server's word, else by the CLI's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    from collections.abc import Sequence

    from claude_proxy.cli.server_client import NoServer, Place
    from claude_proxy.config.schema import Config


def models(
    ctx: typer.Context,
    *,
    as_json: JsonOption = False,
    host: HostOption = None,
    port: PortOption = None,
    config: ConfigOption = None,
    debug: DebugOption = False,
    version: VersionOption = False,
) -> None:
    """List the models that can be asked for. Without a running server, the claude CLI is asked."""
    from claude_proxy.cli import console
    from claude_proxy.cli.models_view import entry, view
    from claude_proxy.cli.server_client import place
    from claude_proxy.config.load import find, load

    del version
    config_read = load(find(settings(ctx, config, debug=debug).config)).config
    found, source = _list(place(config_read, host=host, port=port), config_read)
    entries = [entry(model) for model in found]
    if as_json:
        console.data(entries)
    else:
        console.out().print(view(entries, source, width=console.out().width), soft_wrap=True)


def _list(where: Place, config: Config) -> tuple[Sequence[dict[str, Any]], str]:
    """Give the models as the server lists them, and whose word that is."""
    import asyncio

    from claude_proxy.cli.server_client import NoServer, ask

    try:
        return ask(where, "/v1/models")["data"], f"listed by the server at {where.url}"
    except NoServer as nobody:
        listed = asyncio.run(_ask_cli(config, nobody))
        return listed, f"listed by the claude CLI itself: no server at {where.url}"


async def _ask_cli(config: Config, nobody: NoServer) -> Sequence[dict[str, Any]]:
    """Ask a process of the CLI for each sign-in, and list the models as the server would."""
    import asyncio

    from msgspec.structs import replace

    from claude_proxy.backends.claude_cli.backend import ClaudeCli
    from claude_proxy.cli.sign_in import sign_ins
    from claude_proxy.errors import NotSignedIn, Unavailable
    from claude_proxy.server.catalog import openai_entries

    found = await sign_ins(config.claude_cli)
    if not found:
        raise nobody
    signed_in = [one.profile for one in found if one.account is not None]
    if not signed_in:
        without_cli = found[0].version is None
        raise Unavailable(found[0].detail) if without_cli else NotSignedIn(found[0].detail)
    backends = [ClaudeCli(replace(config.claude_cli, warm=0), profile=name) for name in signed_in]
    try:
        await asyncio.gather(*(backend.start() for backend in backends))
        lists = await asyncio.gather(*(backend.models() for backend in backends))
    finally:
        await asyncio.gather(*(backend.close() for backend in backends))
    names = (backend.name for backend in backends)
    return openai_entries(dict(zip(names, lists, strict=True)), config.model_aliases)
