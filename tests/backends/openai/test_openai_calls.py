"""Tool calls out of pieces, in every way that upstreams cut and label them."""

from __future__ import annotations

import pytest
from openai_chunks import call, calls, chunk, end, read, reading

from claude_proxy.backends.openai.reply import ChatReply
from claude_proxy.canon.blocks import Text, ToolUse
from claude_proxy.canon.events import BlockStart, InputJsonDelta
from claude_proxy.errors import UpstreamError


def test_a_call_streams_as_it_comes() -> None:
    """Its block opens with its name, and each piece of its arguments is told at once."""
    reply = ChatReply("m", "tok")
    begun = list(reply.feed(call(index=0, id="c1", name="a", arguments="")))

    assert begun[-1] == BlockStart(index=0, block=ToolUse(id="c1", name="a", input={}))
    assert list(reply.feed(call(index=0, arguments='{"x"'))) == [InputJsonDelta(index=0, partial_json='{"x"')]
    assert list(reply.feed(call(index=0, arguments=":1}"))) == [InputJsonDelta(index=0, partial_json=":1}")]


def test_calls_one_after_the_other() -> None:
    """The second streams too, once the first is whole."""
    reply = ChatReply("m", "tok")
    list(reply.feed(call(index=0, id="c1", name="a", arguments='{"x":1}')))

    opened = list(reply.feed(call(index=1, id="c2", name="b", arguments='{"y"')))
    assert opened[1:] == [
        BlockStart(index=1, block=ToolUse(id="c2", name="b", input={})),
        InputJsonDelta(index=1, partial_json='{"y"'),
    ]


def test_interleaved_calls_are_told_one_after_the_other() -> None:
    """What comes of the second waits until the first is whole."""
    pieces = [
        call(index=0, id="c1", name="a", arguments='{"x":'),
        call(index=1, id="c2", name="b", arguments='{"y":'),
        call(index=0, arguments="1}"),
        call(index=1, arguments="2}"),
    ]

    assert calls(*pieces) == [("c1", "a", {"x": 1}), ("c2", "b", {"y": 2})]


def test_interleaved_calls_whose_names_come_first() -> None:
    """Nothing is mixed up where both are empty at first."""
    names = [call(index=0, id="c1", name="a"), call(index=1, id="c2", name="b")]
    pieces = [call(index=1, arguments='{"y":2}'), call(index=0, arguments='{"x":1}')]

    assert calls(*names, *pieces) == [("c1", "a", {"x": 1}), ("c2", "b", {"y": 2})]


@pytest.mark.parametrize("arguments", [None, "", " \n"])
def test_a_call_without_arguments(arguments: str | None) -> None:
    """Its input is an empty object, also in front of another call."""
    pieces = [call(index=0, id="c1", name="a", arguments=arguments), call(index=1, id="c2", name="b", arguments="{}")]

    assert calls(*pieces) == [("c1", "a", {}), ("c2", "b", {})]


def test_ids_that_are_missing_are_made() -> None:
    """From what the reply is called, so that they are the same however the bytes come."""
    assert calls(call(index=0, name="a", arguments="{}"), call(index=1, id="", name="b", arguments="{}")) == [
        ("call_tok_0", "a", {}),
        ("call_tok_1", "b", {}),
    ]


def test_an_id_that_comes_late_counts() -> None:
    """The block waits for it until the arguments come."""
    assert calls(call(index=0, name="a"), call(index=0, id="c1", arguments="{}")) == [("c1", "a", {})]


def test_a_call_without_id_and_arguments_is_told_in_the_end() -> None:
    """There is nothing to wait for then."""
    assert calls(call(index=0, name="a")) == [("call_tok_0", "a", {})]


def test_ids_that_are_all_the_same_are_made_different() -> None:
    """Results could not be told apart otherwise."""
    pieces = [
        call(index=0, id="call_0", name="a", arguments='{"x":1}'),
        call(index=1, id="call_0", name="a", arguments='{"x":2}'),
    ]

    assert calls(*pieces) == [("call_0", "a", {"x": 1}), ("call_tok_1", "a", {"x": 2})]


def test_a_name_that_comes_late() -> None:
    """Arguments before it are kept."""
    assert calls(call(index=0, id="c1", arguments='{"x":'), call(index=0, name="a", arguments="1}")) == [
        ("c1", "a", {"x": 1})
    ]


def test_a_name_that_is_repeated_in_each_piece() -> None:
    """It is one call, with one name; with or without the id repeated too."""
    pieces = [call(index=0, id="c1", name="a", arguments=piece) for piece in ('{"x"', ":", "1}", "")]
    assert calls(*pieces) == [("c1", "a", {"x": 1})]

    pieces = [call(index=0, name="a", arguments=piece) for piece in ('{"x"', ":", "1}", "")]
    assert calls(*pieces) == [("call_tok_0", "a", {"x": 1})]


def test_an_index_of_0_for_all() -> None:
    """Then the ids tell them apart."""
    pieces = [
        call(index=0, id="c1", name="a", arguments='{"x":1}'),
        call(index=0, id="c2", name="a", arguments='{"x":'),
        call(index=0, id="c2", arguments="2}"),
    ]

    assert calls(*pieces) == [("c1", "a", {"x": 1}), ("c2", "a", {"x": 2})]


def test_an_index_of_0_for_all_and_no_ids() -> None:
    """Then another name does, or a name after arguments that are whole."""
    pieces = [
        call(index=0, name="a", arguments='{"x":1}'),
        call(index=0, name="a", arguments='{"x":1}'),
        call(index=0, name="b", arguments="{}"),
    ]

    assert [name for _, name, _ in calls(*pieces)] == ["a", "a", "b"]


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": "0"}, {"index": True}])
def test_no_index_at_all(index: dict[str, object]) -> None:
    """A piece without index and id belongs to the last call."""
    pieces = [
        call(**index, id="c1", name="a", arguments='{"x":'),
        call(**index, arguments="1}"),
        call(**index, id="c2", name="b", arguments="{}"),
    ]

    assert calls(*pieces) == [("c1", "a", {"x": 1}), ("c2", "b", {})]


def test_an_index_that_comes_late_or_drifts() -> None:
    """The id says whose piece it is, as long as it doesn't name a function anew."""
    pieces = [call(id="c1", name="a", arguments='{"x":'), call(index=3, id="c1", arguments="1}")]
    assert calls(*pieces) == [("c1", "a", {"x": 1})]

    pieces = [call(index=0, id="c1", name="a", arguments='{"x":'), call(index=1, id="c1", arguments="1}")]
    assert calls(*pieces) == [("c1", "a", {"x": 1})]


def test_arguments_as_an_object() -> None:
    """Some upstreams don't write them as text."""
    assert calls(call(index=0, id="c1", name="a", arguments={"x": [1]})) == [("c1", "a", {"x": [1]})]


def test_whole_arguments_that_are_sent_again_change_nothing() -> None:
    """Some upstreams repeat them at the end, also after the next call has begun."""
    first = call(index=0, id="c1", name="a", arguments='{"x":1}')
    assert calls(first, first) == [("c1", "a", {"x": 1})]
    second = call(index=1, id="c2", name="b", arguments="{}")
    assert calls(first, second, first) == [("c1", "a", {"x": 1}), ("c2", "b", {})]


def test_a_piece_that_looks_like_the_whole_is_kept() -> None:
    """An object inside another may begin in the same way."""
    assert calls(
        call(index=0, id="c", name="a", arguments='{"x":'),
        call(index=0, arguments='{"x":'),
        call(index=0, arguments="1}}"),
    ) == [("c", "a", {"x": {"x": 1}})]


def test_more_arguments_after_a_call_has_ended_are_an_error() -> None:
    """They can't be told any more, and dropping them would change the call."""
    pieces = [
        call(index=0, id="c1", name="a", arguments="{}"),
        call(index=1, id="c2", name="b", arguments="{"),
        call(index=0, arguments='{"x":1}'),
    ]
    with pytest.raises(UpstreamError, match="more arguments"):
        calls(*pieces)


def test_arguments_that_are_cut_are_told_as_they_are() -> None:
    """A reply that ran out of tokens: the client sees what there was."""
    events = list(reading(call(index=0, id="c1", name="a", arguments='{"x": "un}') + end("length")))

    assert InputJsonDelta(index=0, partial_json='{"x": "un}') in events


def test_a_call_without_a_name_is_an_error() -> None:
    """Nobody can run it."""
    with pytest.raises(UpstreamError, match="without a name"):
        calls(call(index=0, id="c1", arguments="{}"))


@pytest.mark.parametrize("raw", [5, "x", None])
def test_a_call_that_is_none_is_an_error(raw: object) -> None:
    """It may have been one."""
    with pytest.raises(UpstreamError, match="tool call"):
        read(chunk({"tool_calls": [raw]}) + end())


def test_empty_pieces_are_passed_over() -> None:
    """A delta with an empty list, or an entry that says nothing."""
    reply = read(
        chunk({"tool_calls": []})
        + chunk({"tool_calls": [{"index": 0, "function": None}]})
        + chunk({"content": "a"})
        + end()
    )

    assert (reply.content, reply.stop_reason) == ((Text(text="a"),), "end_turn")


def test_text_between_and_after_calls() -> None:
    """It has a block of its own, where it came."""
    reply = read(
        chunk({"content": "one"}),
        call(index=0, id="c1", name="a", arguments="{}"),
        chunk({"content": "two"}),
        call(index=1, id="c2", name="b", arguments='{"x":'),
        chunk({"content": "thr"}),
        chunk({"content": "ee"}),
        call(index=1, arguments="1}"),
        end("tool_calls"),
    )

    assert reply.content == (
        Text(text="one"),
        ToolUse(id="c1", name="a", input={}),
        Text(text="two"),
        ToolUse(id="c2", name="b", input={"x": 1}),
        Text(text="three"),
    )


def test_arguments_that_only_look_whole_are_no_end() -> None:
    """A brace at the end of a piece may stand inside a text."""
    reply = read(
        call(index=0, id="c1", name="a", arguments='{"x":"}'),
        chunk({"content": "after"}),
        call(index=0, arguments='"}'),
        end("tool_calls"),
    )

    assert reply.content == (ToolUse(id="c1", name="a", input={"x": "}"}), Text(text="after"))


def test_the_older_function_call() -> None:
    """C11, the other way round: one call, without an id."""
    reply = read(
        chunk({"function_call": {"name": "a", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"x":1}'}}),
        end("function_call"),
    )

    assert (reply.content, reply.stop_reason) == ((ToolUse(id="call_tok_0", name="a", input={"x": 1}),), "tool_use")
