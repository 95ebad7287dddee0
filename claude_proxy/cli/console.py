"""Where commands write: results to stdout, the rest to stderr; colours on a terminal, and not with ``NO_COLOR``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def out() -> Console:
    """Give the console for results."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def err() -> Console:
    """Give the console for errors and notices."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def error(message: str) -> None:
    """Say what failed, in one line however long it is."""
    from rich.text import Text

    err().print(Text.assemble(("error: ", "bold red"), " ".join(message.split())), soft_wrap=True)


def line(data: Mapping[str, object]) -> None:
    """Write one JSON line to stdout."""
    import msgspec

    print(msgspec.json.encode(data).decode(), flush=True)  # noqa: T201  (what it is for)
