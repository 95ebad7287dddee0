"""A custom tool's text out of the function call that it is upstream."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from legal_events import AWKWARD_TEXTS

from claude_proxy.dialects.responses_custom import CustomInput

WORDS = st.text() | st.sampled_from((*AWKWARD_TEXTS, '"}', '{"input": "x"}', "a\\u0041b", "\t" * 9))


def fed(*pieces: str, whole: dict[str, Any] | None = None) -> CustomInput:
    """Give what has taken these pieces and was closed."""
    custom = CustomInput()
    given = "".join(custom.feed(piece) for piece in pieces) + custom.close(whole or {})
    assert custom.text == given
    return custom


@given(words=WORDS, ascii_only=st.booleans(), indent=st.none() | st.just(1), data=st.data())
def test_r03_any_text_in_any_pieces_comes_through(
    words: str, *, ascii_only: bool, indent: int | None, data: st.DataObject
) -> None:
    """R03: escapes and emoji cut in two are put together."""
    encoded = json.dumps({"input": words}, ensure_ascii=ascii_only, indent=indent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=6)))
    pieces = [encoded[start:end] for start, end in zip([0, *cuts], [*cuts, len(encoded)], strict=True)]
    assert fed(*pieces).text == words


@given(words=WORDS, data=st.data())
def test_r03_a_text_that_is_cut_off_is_what_came_of_it(words: str, data: st.DataObject) -> None:
    """R03: nothing is made up, and nothing fails."""
    encoded = json.dumps({"input": words})
    cut = data.draw(st.integers(len('{"input": "'), len(encoded)))
    assert words.startswith(fed(encoded[:cut]).text)


@given(st.text(alphabet='\\u"dD8cC0{}a \n'))
def test_r03_no_nonsense_makes_it_fail(nonsense: str) -> None:
    """R03: a model may write anything."""
    fed('{"input": "' + nonsense)
    fed(nonsense)


def test_r03_text_streams_as_it_comes() -> None:
    """R03: only what isn't whole yet waits."""
    custom = CustomInput()
    pieces = ('{"in', 'put":', ' "ab', "c\\", "n", "\\ud83d", "\\ude0", '0d"', "}")
    assert [custom.feed(piece) for piece in pieces] == ["", "", "ab", "c", "\n", "", "", "😀d", ""]
    assert custom.close({}) == ""


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (r"a\ud83d b", "a\ufffd b"),
        (r"a\ude00b", "a\ufffdb"),
        (r"\ud83d\n", "\ufffd\n"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"C:\qdir", r"C:\qdir"),
        (r"C:\user", r"C:\user"),
        (r"\ud83d\udcG", "\ufffd\\udcG"),
        ("a\\\nb", "a\\\nb"),
        ("a\nb\tc", "a\nb\tc"),
    ],
)
def test_r03_what_json_doesnt_allow_is_mended(encoded: str, expected: str) -> None:
    """R03: half an emoji, made-up escapes and bare line ends hold nothing up."""
    assert fed('{"input": "' + encoded + '"}').text == expected
    assert fed(*('{"input": "' + encoded + '"}')).text == expected


@pytest.mark.parametrize(
    ("pieces", "whole", "expected"),
    [
        ((), {"input": "x"}, "x"),
        ((), {}, ""),
        (("{}",), {}, ""),
        (('{"a": 1, "input": "x"}',), {}, "x"),
        (('{"input": ["x"]}',), {}, '{"input": ["x"]}'),
        (('{"command": "ls"}',), {}, '{"command": "ls"}'),
        (("ls -l",), {}, "ls -l"),
        ((), {"command": "ls"}, '{"command":"ls"}'),
    ],
)
def test_r03_a_call_that_keeps_to_no_schema_is_told_as_it_is(
    pieces: tuple[str, ...], whole: dict[str, Any], expected: str
) -> None:
    """R03: the client sees what the model said."""
    assert fed(*pieces, whole=whole).text == expected
