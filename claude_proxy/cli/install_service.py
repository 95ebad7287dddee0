"""``claude-proxy install-service``: the server starts with the user's session, and again when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from claude_proxy.cli.options import ConfigOption, DebugOption, VersionOption, settings

if TYPE_CHECKING:
    from claude_proxy.service.supervisor import Supervisor


class Platform(StrEnum):
    """What starts services."""

    SYSTEMD = "systemd"
    LAUNCHD = "launchd"


def install_service(
    ctx: typer.Context,
    *,
    platform: Annotated[Platform | None, typer.Option(help="What starts services; else this machine's own.")] = None,
    show: Annotated[bool, typer.Option("--print", help="Show what would be written, and change nothing.")] = False,
    remove: Annotated[bool, typer.Option("--uninstall", help="Stop the service and remove it.")] = False,
    no_start: Annotated[bool, typer.Option("--no-start", help="Write it, and leave it to your next sign-in.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    config: ConfigOption = None,
    debug: DebugOption = False,
    version: VersionOption = False,
) -> None:
    """Run the server as a service of yours: a systemd user unit (Linux) or a LaunchAgent (macOS)."""
    import os
    from pathlib import Path

    from claude_proxy.service.install import install, uninstall
    from claude_proxy.service.prepare import prepare

    del version
    chosen = settings(ctx, config, debug=debug)
    if remove and (show or no_start):
        raise typer.BadParameter("--uninstall goes with neither --print nor --no-start.")
    kind = platform or _own_platform()
    supervisor = _supervisor(kind)
    if remove:
        removed = uninstall(supervisor)
        line = f"Stopped, and removed {supervisor.path}" if removed else f"Nothing to remove: no {supervisor.path}"
        _tell(kind, supervisor, [line], as_json=as_json, removed=removed)
        return
    prepared = prepare(kind.value, chosen.config, os.environ, Path.cwd(), Path.home())
    if show:
        text = supervisor.render(prepared.service)
        _tell(kind, supervisor, [text.rstrip("\n")], prepared.notes, as_json=as_json, text=text)
        return
    done = install(supervisor, prepared.service, prepared.address, start=not no_start)
    where = f" at {prepared.url}" if prepared.url else ""
    lines = [
        f"{'Wrote' if done.changed else 'Nothing new for'} {supervisor.path}",
        f"The service runs{where}." if done.running else "The service starts when you next sign in.",
        f"Its log: {supervisor.logs}",
    ]
    notes = (*prepared.notes, *supervisor.hints())
    _tell(kind, supervisor, lines, notes, as_json=as_json, changed=done.changed, running=done.running)


def _own_platform() -> Platform:
    import sys

    return Platform.LAUNCHD if sys.platform == "darwin" else Platform.SYSTEMD


def _supervisor(kind: Platform) -> Supervisor:
    import os
    from pathlib import Path

    from claude_proxy.service.prepare import log_file
    from claude_proxy.service.supervisor import Launchd, Systemd

    home = Path.home()
    if kind is Platform.LAUNCHD:
        return Launchd(home, log_file(home))
    return Systemd(Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config"))


def _tell(
    kind: Platform,
    supervisor: Supervisor,
    lines: Sequence[str],
    notes: Sequence[str] = (),
    *,
    as_json: bool,
    **facts: object,
) -> None:
    """Tell a person or a machine what there is now. Notes are no results: ``--print`` can be piped."""
    from rich.text import Text

    from claude_proxy.cli import console

    if as_json:
        console.line({"platform": kind.value, "path": str(supervisor.path), **facts, "notes": notes})
        return
    typer.echo("\n".join(lines))
    for note in notes:
        console.err().print(Text.assemble(("note: ", "yellow"), note), soft_wrap=True)
