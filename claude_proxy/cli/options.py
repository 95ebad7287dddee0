"""The options that every command has, before and after its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from claude_proxy import __version__


def _print_version(wanted: bool) -> None:  # noqa: FBT001  (the signature that Typer calls)
    if wanted:
        typer.echo(f"claude-proxy {__version__}")
        raise typer.Exit


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="The configuration file; else $CLAUDE_PROXY_CONFIG, else config.yaml in your user config directory.",
    ),
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Log more, and show a traceback when something fails.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
HostOption = Annotated[
    str | None, typer.Option("--host", metavar="ADDRESS", help="Where the server listens, if not at the file's `host`.")
]
PortOption = Annotated[
    int | None,
    typer.Option("--port", metavar="NUMBER", min=1, max=65535, help="Its TCP port, if not the file's `port`."),
]
VersionOption = Annotated[
    bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
]


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``--config`` and ``--debug`` said."""

    config: Path | None = None
    debug: bool = False


def settings(ctx: typer.Context, config: Path | None, *, debug: bool) -> Settings:
    """Join what stood before the command's name with what stood after it, which wins."""
    before = ctx.obj if isinstance(ctx.obj, Settings) else Settings()
    return Settings(config or before.config, debug or before.debug)
