"""Where commands write: results to stdout, the rest to stderr; colours on a terminal, and not with ``NO_COLOR``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """Say what failed."""
    _say(("error: ", "bold red"), message)


def note(message: str) -> None:
    """Say what is good to know beside the result."""
    _say(("note: ", "bold"), message)


def _say(mark: tuple[str, str], message: str) -> None:
    """Write one line to stderr, however long it is; a terminal that is narrower gets it folded between words."""
    from rich.text import Text

    err().print(Text.assemble(mark, " ".join(message.split())), soft_wrap=not err().is_terminal)


def line(data: Mapping[str, object]) -> None:
    """Write one JSON line to stdout."""
    import msgspec

    print(msgspec.json.encode(data).decode(), flush=True)  # noqa: T201  (what it is for)


def data(found: Mapping[str, object] | Sequence[object]) -> None:
    """Write what a command found to stdout, as JSON that people can read, too."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode(), flush=True)  # noqa: T201  (as above)
