"""A reply that was asked to be a JSON object (C18)."""

from __future__ import annotations

import json

import pytest
from chat_asking import ask, completed, deltas, reply, text, tool_use
from hypothesis import given
from hypothesis import strategies as st
from legal_events import json_objects

from claude_proxy.dialects.chat_json_object import JsonObjectText
from claude_proxy.errors import UpstreamError

ASKED = ask(response_format={"type": "json_object"})


def shown(*pieces: str) -> str:
    """Give what is told of these pieces."""
    reading = JsonObjectText()
    return "".join([*(reading.feed(piece) for piece in pieces), reading.close()])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' \n{"a": 1}\n ', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('```JSON\r\n{"a": 1}\r\n```\r\n', '{"a": 1}'),
        ('\n```\n{"a": 1}\n```', '{"a": 1}'),
        ('```{"a": 1}```', '{"a": 1}'),
        ('{"a": "``` and `b`"}', '{"a": "``` and `b`"}'),
        ('{"a": "x `"}', '{"a": "x `"}'),
        ('```json\n{"a": "```json\\n```"}\n```', '{"a": "```json\\n```"}'),
        ('```json\n{"a": 1', '{"a": 1'),
        ('{"a": 1}\n```', '{"a": 1}\n```'),
        ("", ""),
        ("``", "``"),
    ],
)
def test_c18_the_fence_is_taken_off(given: str, expected: str) -> None:
    """C18: at any split the same is told; a fence's end without its begin is the model's own text."""
    assert shown(given) == expected
    assert shown(*given) == expected
    for offset in range(len(given) + 1):
        assert shown(given[:offset], given[offset:]) == expected, offset


@given(json_objects, st.sampled_from(("", "```json\n", "```\n", " ")), st.data())
def test_c18_any_object_comes_through(value: dict[str, object], fence: str, data: st.DataObject) -> None:
    """C18: whatever it holds, fenced or not, in any pieces, it is the same object."""
    whole = fence + json.dumps(value, ensure_ascii=False) + ("\n```\n" if "`" in fence else fence)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    reading = JsonObjectText()
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    told = "".join([*(reading.feed(piece) for piece in pieces), reading.close()])
    reading.check()
    assert json.loads(told) == value
    assert told == told.strip()


def test_c18_text_is_told_as_it_comes() -> None:
    """C18: what surely isn't part of the fence is not waited with."""
    reading = JsonObjectText()
    assert [reading.feed(piece) for piece in ("``", "`json\n", '{"a"', ': "x`', '`"}\n``')] == [
        "",
        "",
        '{"a"',
        ': "x',
        '``"}',
    ]


@pytest.mark.parametrize("wrong", ["Sure!", "[1]", '"a"', "null", '{"a": 1} and so on', "{" * 5000, "```json\n```"])
def test_c18_what_is_no_object_is_an_error(wrong: str) -> None:
    """C18: never a reply that isn't what was asked for, whether streamed or not."""
    events = reply(text(wrong))
    with pytest.raises(UpstreamError):
        deltas(ASKED, events)
    with pytest.raises(UpstreamError):
        completed(ASKED, events)


def test_c18_streamed_and_not_are_the_same() -> None:
    """C18: the fence is off in both."""
    events = reply(text("```json", '\n{"a":', " 1}\n", "```"))
    assert "".join(delta["content"] for delta in deltas(ASKED, events)) == '{"a": 1}'
    assert completed(ASKED, events)["choices"][0]["message"]["content"] == '{"a": 1}'


def test_c18_a_reply_that_was_cut_off_is_told_as_it_is() -> None:
    """C18: ``length`` says that it isn't whole."""
    choice = completed(ASKED, reply(text('{"a": '), stop="max_tokens"))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"a":', "length")


def test_c18_a_tool_call_needs_no_object() -> None:
    """C18: the object comes when the tools are done."""
    events = reply(text("Let me see."), tool_use("a", "{}", index=1), stop="tool_use")
    message = completed(ASKED, events)["choices"][0]["message"]
    assert message["content"] == "Let me see."
    assert len(message["tool_calls"]) == 1
