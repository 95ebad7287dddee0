"""The ``claude-proxy`` command: its subcommands, and how a failure becomes one line and an exit code.

Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration, 3 not signed in. Commands import what they need when they
run, so that ``--help`` stays quick.
"""

from __future__ import annotations

import errno
import io
import os
import sys

import typer

from claude_proxy.cli import console
from claude_proxy.cli.help_page import Command, Group
from claude_proxy.cli.install_service import install_service
from claude_proxy.cli.login import login
from claude_proxy.cli.models import models
from claude_proxy.cli.options import ConfigOption, DebugOption, Settings, VersionOption
from claude_proxy.cli.serve import serve
from claude_proxy.cli.status import status
from claude_proxy.errors import ConfigError, NotSignedIn, ProxyError


def _ending(*examples: str) -> str:
    """Give what a help page ends with."""
    return "\n\n".join(("Examples:", *examples))


app = typer.Typer(
    name="claude-proxy",
    cls=Group,
    invoke_without_command=True,
    pretty_exceptions_show_locals=False,  # the values in a traceback are keys and conversations, too
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_ending("claude-proxy serve --demo", "claude-proxy login", "claude-proxy serve"),
)
for command, examples in (
    (
        serve,
        (
            "claude-proxy serve",
            "claude-proxy serve --demo --port 0",
            "claude-proxy --config ./config.yaml serve --log-format json",
        ),
    ),
    (login, ("claude-proxy login", "claude-proxy login console --api-key", "claude-proxy login --list")),
    (
        status,
        (
            "claude-proxy status",
            "claude-proxy status --watch",
            "claude-proxy status --check",
            "claude-proxy status --json | jq .usage.today.total",
        ),
    ),
    (models, ("claude-proxy models", "claude-proxy models --json | jq -r '.[].id'")),
    (install_service, ("claude-proxy install-service", "claude-proxy install-service --print")),
):
    app.command(cls=Command, epilog=_ending(*examples))(command)


@app.callback()
def main(
    ctx: typer.Context, *, config: ConfigOption = None, debug: DebugOption = False, version: VersionOption = False
) -> None:
    """Use your own Claude, through the official CLI, from every tool that speaks the OpenAI or the Anthropic API."""
    del version  # its callback has printed it already
    ctx.obj = Settings(config, debug)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def run() -> None:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a terminal has no sign for is no reason to fail.
        sys.stdout.reconfigure(errors="replace")
    try:
        code = app(prog_name="claude-proxy", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has seen enough. What is left in the buffer must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as failure:
        if "--debug" in sys.argv:
            raise
        code, message = explain(failure)
        console.error(message)
    except KeyboardInterrupt:
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def explain(failure: Exception) -> tuple[int, str]:
    """Give the exit code and the line for a failure."""
    match failure:
        case ConfigError():
            return 2, str(failure)
        case NotSignedIn():
            return 3, failure.message
        case ProxyError():
            return 1, failure.message
        case typer.Abort():
            return 1, "stopped"
        case OSError():
            advice = "; stop what uses it, or choose another: --port" if failure.errno == errno.EADDRINUSE else ""
            return 1, f"{failure.strerror or failure}{f': {failure.filename}' if failure.filename else ''}{advice}"
    # Usage errors: Typer carries its own copy of Click in some versions, so they are told by their shape.
    if hasattr(failure, "format_message"):
        where = getattr(getattr(failure, "ctx", None), "command_path", "claude-proxy")
        what = failure.format_message()
        return 2, f"{what}{'' if what.endswith(('.', '?')) else '.'} See `{where} --help`."
    return 1, f"{type(failure).__name__}: {failure}. This is a bug; --debug shows where."
