"""Help pages that look the same in every version of Typer: flags and arguments have no type, and examples end it."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class _Tidy:
    """Goes before Typer's own class, whose rich pages it mends: newer ones call a flag's type ``<bool>``."""

    epilog: str | None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page."""
        parent: Any = super()
        _calm()
        for parameter in parent.get_params(ctx):
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = _no_type
        # How line breaks in it come out differs between versions.
        written, self.epilog = self.epilog, None
        try:
            parent.format_help(ctx, formatter)
        finally:
            self.epilog = written
        title, *lines = (written or "").split("\n\n")
        typer.echo("\n".join((f" {title}", *(f"   {line}" for line in lines))))


class Command(_Tidy, TyperCommand):
    """A command with such a page."""


class Group(_Tidy, TyperGroup):
    """The command of commands with such a page."""


def _no_type(**_: Any) -> None:
    """Say nothing of an argument's type: ``<list[str]>`` means something to Python only."""


def _calm() -> None:
    """Do without Typer's yellow, which can't be read on white."""
    from typer import rich_utils

    for name in ("STYLE_TYPES", "STYLE_METAVAR", "STYLE_USAGE"):
        setattr(rich_utils, name, "dim")
