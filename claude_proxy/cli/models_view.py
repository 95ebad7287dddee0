"""The list of models: a line for each name, short enough for 80 columns, and the same as data. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from claude_proxy.cli import figures

Json = dict[str, Any]

_KEYS = ("id", "alias_of", "display_name", "backend", "context_window", "max_output_tokens", "effort_levels")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""All levels there are, in their order."""

_INDENT = "  "

Cells = tuple[str, ...]

_HEADS: Cells = ("id", "backend", "context", "max output", "effort")


def entry(model: Mapping[str, Any]) -> Json:
    """Give what we tell of a model that ``/v1/models`` lists."""
    return {name: model.get(name) for name in _KEYS} | {"effort_levels": list(model.get("effort_levels") or ())}


def view(entries: Sequence[Json], source: str, *, width: int) -> RenderableType:
    """Show a line for each name, an alias under its model. ``source`` says whose word it is.

    Print it unfolded: where names are long, a line is wider than ``width``.
    """
    table = [_HEADS, *(_cells(model) for model in entries if not model["alias_of"])]
    widths = _widths(table, entries)
    if sum(widths) + 2 * len(widths) - 2 > width:
        table = [(*cells[:-1], in_short(cells[-1])) for cells in table]
    lines = [Text(_line(table[0], widths), "dim")]
    for cells in table[1:]:
        lines += [Text(_line(cells, widths)), *_aliases(entries, cells[0], widths[0])]
    return Group(*lines, Text(), Text(source, "dim"))


def in_short(efforts: str) -> str:
    """Give effort levels as from where to where, where none between is missing."""
    levels = tuple(efforts.split())
    first = _EFFORTS.index(levels[0]) if levels and levels[0] in _EFFORTS else 0
    whole = len(levels) > 2 and levels == _EFFORTS[first : first + len(levels)]  # noqa: PLR2004  (two are short enough)
    return f"{levels[0]} to {levels[-1]}" if whole else efforts


def _cells(model: Json) -> Cells:
    sizes = (figures.count(model[name]) for name in ("context_window", "max_output_tokens"))
    return (str(model["id"]), str(model["backend"] or ""), *sizes, " ".join(model["effort_levels"]))


def _widths(table: Sequence[Cells], entries: Sequence[Json]) -> list[int]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    indented = (len(model["id"]) + len(_INDENT) for model in entries if model["alias_of"])
    return [max(widths[0], *indented, 0), *widths[1:]]


def _line(cells: Cells, widths: Sequence[int]) -> str:
    name, backend, context, output, effort = cells
    sizes = f"{context:>{widths[2]}}  {output:>{widths[3]}}"
    return f"{name:<{widths[0]}}  {backend:<{widths[1]}}  {sizes}  {effort}".rstrip()


def _aliases(entries: Sequence[Json], target: str, width: int) -> Iterator[Text]:
    for model in entries:
        if model["alias_of"] == target:
            name = f"{_INDENT}{model['id']}"
            yield Text.assemble(f"{name:<{width}}", (f"  alias of {target}", "dim"))
