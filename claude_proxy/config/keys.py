"""Every documented key of the file, read off the schema: what checking, the docs' test and error messages go by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct, inspect

from claude_proxy.config.schema import Config

NOT_YET: frozenset[str] = frozenset(
    {
        "claude-cli.mcp-servers",
    }
)
"""Keys that are checked but that no code reads yet; a section's name stands for all of it.

Setting one is a warning, so that nobody relies on it. Whoever writes the code takes the key out: a test compares this
table with what the code reads, and with the marks in ``docs/configuration.md`` and ``config.example.yaml``.
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its dotted ``name`` (``[]`` is a list's entry, ``<name>`` a mapping's), its default and its meaning."""

    name: str
    required: bool
    default: Any
    meaning: str


def keys(struct: type[Struct] = Config, prefix: str = "") -> Iterator[Key]:
    """Give every key of a section, each section before the keys inside it."""
    for field in struct_type(struct).fields:
        name = prefix + field.encode_name
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        yield Key(name, field.required, default, _meaning(field.type))
        if inner := _section(field.type):
            yield from keys(inner[1], f"{name}{inner[0]}.")


def struct_type(struct: type[Struct]) -> inspect.StructType:
    """Give what msgspec knows of a section."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return info


def bare(kind: inspect.Type) -> inspect.Type:
    """Give a field's type without its description."""
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _meaning(kind: inspect.Type) -> str:
    extra = kind.extra_json_schema if isinstance(kind, inspect.Metadata) else None
    return str((extra or {}).get("description", ""))


def _section(kind: inspect.Type) -> tuple[str, type[Struct]] | None:
    match bare(kind):
        case inspect.StructType(cls=cls):
            return "", cls
        case inspect.VarTupleType(item_type=inspect.StructType(cls=cls)):
            return "[]", cls
        case inspect.DictType(value_type=inspect.StructType(cls=cls)):
            return ".<name>", cls
        case _:
            return None
