"""A request's JSON to shapes, and how what doesn't fit is told: always by its field. Pure.

Only one level is typed at a time, so that each dialect can tell a wrong field in its own words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.errors import BadRequest

Shape = TypeVar("Shape", bound=msgspec.Struct)
Understood = TypeVar("Understood")

_WRONG_TYPE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?", re.DOTALL)
_NOTHING: tuple[Any, ...] = (None, "", [], {})


class Misfit(ValueError):
    """A value of a wrong type: ``where`` it stands below the value that was read, and ``what`` msgspec says of it."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(what)
        self.where = where
        self.what = what


def fit(raw: Any, shape: type[Shape]) -> Shape:
    """Read ``raw`` as ``shape``; raise :class:`Misfit` where it isn't one."""
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        raise misfit(error) from error


def misfit(error: msgspec.ValidationError) -> Misfit:
    """Take msgspec's words apart."""
    found = _WRONG_TYPE.fullmatch(str(error))
    assert found is not None
    return Misfit(found["where"] or "", found["what"])


def take(raw: Any, shape: type[Shape], path: str = "") -> Shape:
    """Read ``raw`` as ``shape``; raise ``BadRequest`` naming the field under ``path`` that is of a wrong type."""
    try:
        return fit(raw, shape)
    except Misfit as error:
        raise refused(error, path) from error


def refused(error: Misfit, path: str = "") -> BadRequest:
    """Give the ``BadRequest`` for a field of a wrong type under ``path``."""
    param = (path + error.where).lstrip(".")
    return BadRequest(f"{param or 'the body'}: {error.what}", param=param or None)


def lost_fields(raw: Json, shape: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Name the fields of ``raw`` that hold something and that ``shape`` doesn't know."""
    for name, value in raw.items():
        if name not in shape.__struct_fields__ and value not in _NOTHING:
            yield prefix + name


def understood(body: bytes, read: Callable[[bytes], Understood]) -> Understood:
    """Give what ``read`` makes of a body; raise ``BadRequest`` where that is no JSON, or nested without end."""
    try:
        return read(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body isn't valid JSON: {error}") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
