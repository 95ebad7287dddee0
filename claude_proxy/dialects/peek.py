"""The two fields of a request that decide where it goes and how it is answered, without reading the rest. Pure.

Every dialect has them under the same names, so this is done before a dialect or a backend is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from claude_proxy.dialects.fields import misfit, refused, understood


@dataclass(frozen=True, slots=True)
class Peek:
    """``model`` is empty where none is named."""

    model: str
    stream: bool


class _Head(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


_decode = msgspec.json.Decoder(_Head).decode


def peek(body: bytes) -> Peek:
    """Look into a request's body; raise ``BadRequest``, in the words of a whole parse, where it can't be read."""
    return understood(body, _peeked)


def _peeked(body: bytes) -> Peek:
    try:
        head = _decode(body)
    except msgspec.ValidationError as error:
        raise refused(misfit(error)) from error
    return Peek(head.model or "", bool(head.stream))
