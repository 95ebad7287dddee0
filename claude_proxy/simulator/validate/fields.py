"""The shape of one JSON object: what must be there, what may, and of what type. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from claude_proxy.errors import BadRequest

Kinds = Mapping[str, str]
"""Field name to kind, a key of ``_KINDS``; ``any`` is looked at elsewhere."""

_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "any": (lambda _: True, ""),
    "string": (lambda value: isinstance(value, str), "Input should be a valid string"),
    "integer": (
        lambda value: isinstance(value, int) and not isinstance(value, bool),
        "Input should be a valid integer",
    ),
    "number": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        "Input should be a valid number",
    ),
    "boolean": (lambda value: isinstance(value, bool), "Input should be a valid boolean"),
    "object": (lambda value: isinstance(value, dict), "Input should be a valid dictionary"),
    "list": (lambda value: isinstance(value, list), "Input should be a valid list"),
}


def refuse(path: str, why: str) -> NoReturn:
    """Raise the 400 that names ``path``."""
    raise BadRequest(f"{path}: {why}", param=path)


def kind(value: Any, path: str, name: str) -> None:
    """Refuse a value that isn't of this kind."""
    fits, complaint = _KINDS[name]
    if not fits(value):
        refuse(path, complaint)


def shape(raw: Any, path: str, required: Kinds, optional: Kinds) -> None:
    """Refuse an object that lacks a field, has one too many, or one of the wrong type; an optional one may be null."""
    kind(raw, path, "object")
    prefix = f"{path}." if path else ""
    for name, expected in required.items():
        if name not in raw:
            refuse(prefix + name, "Field required")
        kind(raw[name], prefix + name, expected)
    for name, value in raw.items():
        if name in required:
            continue
        if name not in optional:
            refuse(prefix + name, "Extra inputs are not permitted")
        if value is not None:
            kind(value, prefix + name, optional[name])


def one_of(value: Any, path: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that isn't one of these."""
    if value not in allowed:
        quoted = [f"'{name}'" for name in allowed]
        refuse(path, f"Input should be {' or '.join(filter(None, [', '.join(quoted[:-1]), quoted[-1]]))}")


def tag(raw: Any, path: str, allowed: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Give an object's ``type``, which must be one of these."""
    kind(raw, path, "object")
    if "type" not in raw:
        refuse(f"{path}.type", "Field required")
    found = raw["type"]
    if not isinstance(found, str) or found not in allowed:
        tags = ", ".join(f"'{name}'" for name in allowed)
        refuse(path, f"Input tag '{found}' found using 'type' does not match any of the expected tags: {tags}")
    return found
