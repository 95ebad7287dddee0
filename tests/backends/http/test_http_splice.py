"""Another model name in a body: what it means changes by that alone, and no other byte does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.http.splice import with_model
from claude_proxy.errors import BadRequest

TEXT = st.sampled_from(["model", '"model"', '"model": "x"', "\\", '"', "{", "é😀", "messages"]) | st.text(
    st.characters(codec="utf-8"), max_size=8
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
SPACE = st.text(" \t\r\n", max_size=3)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes, str]:
    """Give an object's JSON written by hand, the same with another model, and that model: keys may be there twice."""
    wanted = draw(TEXT)
    pairs = draw(st.lists(st.tuples(st.just("model") | TEXT, VALUES), max_size=5))
    before, after = [], []
    for name, value in pairs:
        key = '"mod\\u0065l"' if name == "model" and draw(st.booleans()) else json.dumps(name, ensure_ascii=False)
        head = f"{draw(SPACE)}{key}{draw(SPACE)}:{draw(SPACE)}"
        tail = draw(SPACE)
        written = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 2])))
        before.append(head + written + tail)
        replaced = json.dumps(wanted, ensure_ascii=False) if name == "model" else written
        after.append(head + replaced + tail)
    opening, closing = draw(SPACE) + "{" + draw(SPACE), "}" + draw(SPACE)
    if any(name == "model" for name, _ in pairs):
        result = opening + ",".join(after) + closing
    else:
        first = '"model":' + json.dumps(wanted, ensure_ascii=False)
        rest = ",".join(before)
        spaces = len(rest) - len(rest.lstrip(" \t\r\n"))
        result = opening + rest[:spaces] + first + ("," if pairs else "") + rest[spaces:] + closing
    return (opening + ",".join(before) + closing).encode(), result.encode(), wanted


@given(bodies())
def test_only_the_models_own_bytes_change(body: tuple[bytes, bytes, str]) -> None:
    """M01: whatever stands around it, nested names, escapes, white space and duplicates included."""
    before, after, wanted = body
    assert with_model(before, wanted) == after
    assert json.loads(after)["model"] == wanted


@given(st.dictionaries(TEXT, VALUES, max_size=5), TEXT)
def test_the_rest_means_the_same(fields: dict[str, Any], wanted: str) -> None:
    """M01: read back, nothing but the model is different."""
    assert json.loads(with_model(json.dumps(fields).encode(), wanted)) == {**fields, "model": wanted}


def test_the_same_name_gives_the_very_body() -> None:
    """Nothing is copied where nothing changes."""
    body = b'{"messages": [], "model" : "m"}'
    assert with_model(body, "m") is body


@pytest.mark.parametrize("body", [b"", b"[]", b'"model"', b'{"model": ', b"\xff", b'{"a": ' + b"[" * 100_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """Nobody could read it, so nothing is sent."""
    with pytest.raises(BadRequest):
        with_model(body, "m")


@pytest.mark.parametrize(
    "before",
    [
        b'{"a\\"model": 1, "model":"x"}',
        b'{"model":"x", "a\\"model": 1}',
        b'{"a\\"model": 1, "mod\\u0065l":"x"}',
        b'{"model":{"model":["x"]}, "b":"\\"model\\":"}',
    ],
)
def test_names_that_only_look_like_it_are_left(before: bytes) -> None:
    """A key may end with the word, a value may hold it."""
    after = with_model(before, "new")
    assert json.loads(after) == {**json.loads(before), "model": "new"}
