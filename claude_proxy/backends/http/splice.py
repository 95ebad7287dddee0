"""Another model name in a JSON body, every other byte as it came. Pure.

A body may be many megabytes of conversation, so it isn't taken apart here: msgspec skips over the values of its top
level, and where the text ``"model":`` stands outside of them all, that is the key. Only what fools this (a key that is
there twice, or written with escapes) is followed token by token.
"""

from __future__ import annotations

import json
import re

import msgspec

from claude_proxy.errors import BadRequest

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_KEY = re.compile(rb'"model"[ \t\r\n]*+:[ \t\r\n]*+')
_SPACE = re.compile(rb"[ \t\r\n]*+")
_ESCAPED_LETTER = re.compile(rb"\\u006[4-6cdfCDF]")
"""One of the key's letters written as an escape, which nobody does who means no mischief."""

_BEGIN = re.compile(rb"[ \t\r\n]*+\{[ \t\r\n]*+")
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},:]|[^\s"\[\]{},:]++', re.DOTALL)
_DEEPER = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}

Places = list[tuple[int, int]]


def with_model(body: bytes, model: str) -> bytes:
    """Give the body with ``model`` as its model, wherever at its top level it names one; without one it gets one.

    Raises ``BadRequest`` where the body isn't a JSON object. One that has the name already comes back as it is.
    """
    try:
        fields = _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRequest("the request's body isn't a JSON object that can be read") from error
    wanted = json.dumps(model, ensure_ascii=False).encode()
    if "model" not in fields:
        return _inserted(body, wanted, alone=not fields)
    places = _quickly(body, fields)
    if places is None:
        places = _token_by_token(body)
    if all(body[start:end] == wanted for start, end in places):
        return body
    parts, copied = [], 0
    for start, end in places:
        parts += [body[copied:start], wanted]
        copied = end
    return b"".join([*parts, body[copied:]])


def _inserted(body: bytes, wanted: bytes, *, alone: bool) -> bytes:
    begin = _BEGIN.match(body)
    assert begin is not None
    at = begin.end()
    return b"".join((body[:at], b'"model":', wanted, b"" if alone else b",", body[at:]))


def _quickly(body: bytes, fields: dict[str, msgspec.Raw]) -> Places | None:
    """Give where the one value of ``model`` is; ``None`` where that can't be told without looking at each token."""
    if _ESCAPED_LETTER.search(body):
        return None
    matches = _KEY.finditer(body)
    place = None
    for name, value in fields.items():
        if name == "model":
            key = next(matches, None)
            if key is None or body[key.end() : key.end() + len(memoryview(value))] != bytes(value):
                return None
            place = (key.end(), key.end() + len(memoryview(value)))
        for _ in _KEY.finditer(value):
            next(matches, None)
    return None if place is None or next(matches, None) is not None else [place]


def _token_by_token(body: bytes) -> Places:
    """Give where the values of all top-level keys are that mean ``model``. The body is known to be a JSON object."""
    places: Places = []
    depth, before, start, end = 0, b"", None, 0
    for token in _TOKEN.finditer(body):
        text = token[0]
        depth += _DEEPER.get(text, 0)
        if depth == 0 or (depth == 1 and text == b","):
            if start is not None:
                places.append((start, end))
            start = None
        elif depth == 1 and text == b":" and json.loads(before) == "model":
            start = _SPACE.match(body, token.end()).end()  # type: ignore[union-attr]  # it matches nothing, too
        before, end = text, token.end()
    return places
