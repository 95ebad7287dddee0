"""What decides where a request goes, without reading all of it."""

from __future__ import annotations

import json

import pytest

from claude_proxy.dialects.chat import CHAT
from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.dialects.peek import Peek, peek
from claude_proxy.errors import BadRequest


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            {"model": "opus", "stream": True, "messages": [{"deep": [1]}], "never heard of": {}},
            Peek("opus", stream=True),
        ),
        ({"messages": [], "model": "opus"}, Peek("opus", stream=False)),
        ({"model": None, "stream": None}, Peek("", stream=False)),
        ({}, Peek("", stream=False)),
    ],
)
def test_the_model_and_the_way_of_the_answer_are_found(body: object, found: Peek) -> None:
    """Wherever they stand, and also where they don't."""
    assert peek(json.dumps(body).encode()) == found


@pytest.mark.parametrize("body", [b"", b"{", b'{"model": "x"', b"[1]", b'"model"', b"null", b'{"a": 1} x', b"\xff"])
def test_what_is_no_object_is_told_as_a_whole_parse_tells_it(body: bytes) -> None:
    """A client can't see which of the two refused it."""
    told = []
    for read in (peek, CHAT.parse, MESSAGES.parse):
        with pytest.raises(BadRequest) as raised:
            read(body)
        told.append((raised.value.message, raised.value.param))
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize(("body", "param"), [({"model": 3}, "model"), ({"stream": "yes"}, "stream")])
def test_a_wrong_type_is_named(body: object, param: str) -> None:
    """By the field that is wrong."""
    with pytest.raises(BadRequest, match=f"^{param}: ") as raised:
        peek(json.dumps(body).encode())
    assert raised.value.param == param


def test_a_bottomless_body_is_a_bad_request() -> None:
    """Nesting without end is refused, not a crash."""
    with pytest.raises(BadRequest, match="nested too deeply"):
        peek(b'{"a":' * 100_000)
