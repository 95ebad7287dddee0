"""Chat Completions messages to turns."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chat_asking import HI, ask, call, refused, result, turns
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.canon.blocks import Text, ToolResult, ToolUse
from claude_proxy.dialects.turns import upstream_id


def said(role: str, *texts: str) -> dict[str, Any]:
    """Give an upstream turn of text blocks."""
    return {"role": role, "content": [{"type": "text", "text": text} for text in texts]}


def use(call_id: str, **arguments: Any) -> dict[str, Any]:
    """Give an upstream tool use of ``f``."""
    return {"type": "tool_use", "id": call_id, "name": "f", "input": arguments}


def gave(call_id: str, *texts: str) -> dict[str, Any]:
    """Give an upstream tool result."""
    return {
        "type": "tool_result",
        "tool_use_id": call_id,
        "content": [{"type": "text", "text": text} for text in texts],
    }


def calls(*ids: str, content: Any = None) -> dict[str, Any]:
    """Give an assistant message with calls of these ids."""
    return {"role": "assistant", "content": content, "tool_calls": [call(call_id) for call_id in ids]}


def spoke(role: str, text: str) -> dict[str, str]:
    """Give a client's message."""
    return {"role": role, "content": text}


# system


def test_c01_system_and_developer_messages_become_system_blocks_in_order() -> None:
    """C01: each is a block of its own; parts are blocks too."""
    parts = [{"type": "text", "text": "three"}, {"type": "text", "text": "four"}]
    request = ask(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": "two"},
        {"role": "system", "content": parts},
        HI,
    ).request
    assert request.system == tuple(Text(text=text) for text in ("one", "two", "three", "four"))
    assert len(request.messages) == 1


def test_c01_a_request_with_nothing_but_a_system_prompt_gets_a_user_turn() -> None:
    """C01: the upstream needs a user turn that isn't empty, so it has one."""
    request = ask({"role": "system", "content": "Write a haiku."}, {"role": "user", "content": ""}).request
    assert request.system == (Text(text="Write a haiku."),)
    (message,) = request.messages
    (block,) = message.content
    assert message.role == "user"
    assert isinstance(block, Text)
    assert block.text.strip()


def test_c02_a_system_message_in_the_middle_neither_splits_nor_reorders() -> None:
    """C02: it is hoisted, and the user messages around it are one turn."""
    messages = (spoke("user", "a"), {"role": "system", "content": "s"}, spoke("user", "b"), spoke("assistant", "c"))
    request = ask(*messages, spoke("user", "d")).request
    assert request.system == (Text(text="s"),)
    assert [message.role for message in request.messages] == ["user", "assistant", "user"]
    assert request.messages[0].content == (Text(text="a"), Text(text="b"))


def test_c02_a_system_message_between_call_and_result_changes_nothing() -> None:
    """C02: a call and its result stay neighbours."""
    got = turns(HI, calls("a"), {"role": "system", "content": "s"}, result("a"))
    assert [turn["role"] for turn in got] == ["user", "assistant", "user"]


def test_a_system_message_holds_text_only() -> None:
    """An image in a system message is refused by its path."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert refused({"role": "system", "content": [image]}, HI).param == "messages[0].content"


# assistant


@pytest.mark.parametrize("content", [None, "", " \n", [], [{"type": "text", "text": ""}]])
def test_c03_empty_content_beside_tool_calls_is_no_text_block(content: Any) -> None:
    """C03, C39: an assistant that only calls has only calls."""
    got = turns(HI, calls("a", content=content), result("a"))
    assert got[1] == {"role": "assistant", "content": [use("a")]}


def test_c03_content_may_be_absent() -> None:
    """C03: absent is as null."""
    got = turns(HI, {"role": "assistant", "tool_calls": [call("a")]}, result("a"))
    assert got[1]["content"] == [use("a")]


def test_c04_text_stands_before_calls() -> None:
    """C04: what is said comes first, then what is called, in order."""
    got = turns(HI, calls("a", "b", content="let me see"), result("a"), result("b"))
    assert got[1]["content"] == [{"type": "text", "text": "let me see"}, use("a"), use("b")]


def test_c04_neighbours_of_one_role_merge() -> None:
    """C04: turns alternate upstream."""
    got = turns(spoke("user", "a"), spoke("user", "b"), spoke("assistant", "c"), spoke("assistant", "d"), HI)
    assert got == [said("user", "a", "b"), said("assistant", "c", "d"), said("user", "hi")]


def test_c04_results_and_the_text_after_them_are_one_turn_results_first() -> None:
    """C04: all results of a turn come together, then what the user adds."""
    got = turns(HI, calls("a", "b"), result("a", "1"), result("b", "2"), spoke("user", "and?"))
    assert got[2] == {"role": "user", "content": [gave("a", "1"), gave("b", "2"), *said("user", "and?")["content"]]}


def test_c04_results_come_first_also_where_the_client_put_text_between() -> None:
    """C04: the upstream refuses a turn that begins with anything but the results."""
    got = turns(HI, calls("a", "b"), result("b", "2"), spoke("user", "wait"), result("a", "1"))
    assert got[2]["content"] == [gave("b", "2"), gave("a", "1"), {"type": "text", "text": "wait"}]


def test_c04_calls_of_merged_messages_are_answered_together() -> None:
    """C04: two assistant messages in a row are one turn, and so are their results."""
    got = turns(HI, calls("a"), calls("b"), result("a"), result("b"))
    assert [turn["role"] for turn in got] == ["user", "assistant", "user"]
    assert got[1]["content"] == [use("a"), use("b")]


def test_an_assistant_may_begin_and_end() -> None:
    """What a conversation begins or ends with is the backend's matter: nothing is moved."""
    assert turns(spoke("assistant", "a"), HI, spoke("assistant", "b")) == [
        said("assistant", "a"),
        said("user", "hi"),
        said("assistant", "b"),
    ]


def test_c13_a_refusal_is_text() -> None:
    """C13: as a part and as a field."""
    parts = [{"type": "refusal", "refusal": "no"}]
    got = turns(HI, {"role": "assistant", "content": parts, "refusal": "never"}, HI)
    assert got[1] == said("assistant", "no", "never")


def test_an_assistants_images_are_refused() -> None:
    """There is nothing upstream that an assistant's image could become."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert refused(HI, {"role": "assistant", "content": [image]}).param == "messages[1].content"


# results


def test_c05_the_last_of_several_results_wins() -> None:
    """C05: one result a call, in the place of the first."""
    got = turns(HI, calls("a", "b"), result("a", "old"), result("b"), result("a", "new"))
    assert got[2]["content"] == [gave("a", "new"), gave("b", "done")]


def test_c05_a_late_duplicate_replaces_too() -> None:
    """C05: also when the conversation has gone on in between."""
    got = turns(HI, calls("a"), result("a", "old"), spoke("assistant", "so"), result("a", "new"), HI)
    assert got[2]["content"] == [gave("a", "new")]
    assert [turn["role"] for turn in got] == ["user", "assistant", "user", "assistant", "user"]


@pytest.mark.parametrize("call_id", ["b", "", None])
def test_c05_a_result_for_an_unknown_id_is_refused(call_id: Any) -> None:
    """C05: the error names the id."""
    error = refused(HI, calls("a"), result("a"), result(call_id))
    assert error.param == "messages[3].tool_call_id"
    assert repr(call_id) in error.message


def test_a_call_without_a_result_is_refused() -> None:
    """All missing ids are named, with the path of the first; the last turn counts too (K05)."""
    error = refused(HI, calls("a", "b", "c"), result("a"), HI)
    assert error.param == "messages[1].tool_calls[1]"
    assert error.message.endswith("there is none for b, c")
    assert refused(HI, calls("a")).param == "messages[1].tool_calls[0]"


def test_c39_a_result_may_be_empty() -> None:
    """C39: null, empty and absent content are a result without content; blank text can't reach the upstream."""
    absent = {"role": "tool", "tool_call_id": "d"}
    got = turns(HI, calls("a", "b", "c", "d"), result("a", None), result("b", ""), result("c", []), absent)
    assert got[2]["content"] == [gave("a"), gave("b"), gave("c"), gave("d")]


def test_c39_a_result_may_come_in_parts() -> None:
    """C39: text parts of a tool message are the result's blocks."""
    parts = [{"type": "text", "text": "1"}, "2", {"type": "text", "text": " "}]
    assert turns(HI, calls("a"), result("a", parts))[2]["content"] == [gave("a", "1", "2")]


def test_c20_a_cache_marker_inside_a_result_is_the_results_own() -> None:
    """C20: nothing inside a result can carry one."""
    marker = {"type": "ephemeral"}
    got = turns(HI, calls("a"), result("a", [{"type": "text", "text": "1", "cache_control": marker}, "2"]))
    assert got[2]["content"] == [{**gave("a", "1", "2"), "cache_control": marker}]


# ids


def test_c06_an_illegal_id_is_mapped_alike_in_call_and_result() -> None:
    """C06: the upstream sees one legal id in both places."""
    got = ask(HI, calls("call:1/é"), result("call:1/é")).request.messages
    called, answered = got[1].content[0], got[2].content[0]
    assert isinstance(called, ToolUse)
    assert isinstance(answered, ToolResult)
    assert called.id == answered.tool_use_id
    assert re.fullmatch(r"call_1___[0-9a-f]{12}", called.id)


def test_c06_ids_that_differ_in_illegal_characters_alone_stay_apart() -> None:
    """C06: no two calls of a turn ever get one id."""
    got = ask(HI, calls("a.b", "a:b", "a_b"), result("a.b"), result("a:b"), result("a_b")).request.messages
    ids = [block.id for block in got[1].content if isinstance(block, ToolUse)]
    assert len(set(ids)) == 3
    assert ids[2] == "a_b"


@given(st.text(min_size=1), st.text(min_size=1))
def test_c06_mapping_is_legal_stable_and_without_collisions(one: str, other: str) -> None:
    """C06: for any two ids."""
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", upstream_id(one))
    assert (upstream_id(one) == upstream_id(other)) == (one == other)
    assert upstream_id(one) == upstream_id(one)


def test_an_id_used_again_in_a_later_turn_gets_another() -> None:
    """Some clients count their calls from 0 in each turn; upstream they are unique, and answered each by its own."""
    got = turns(HI, calls("0"), result("0", "first"), calls("0"), result("0", "second"), calls("0"), result("0", "x"))
    ids = [turn["content"][0]["id"] for turn in got if turn["role"] == "assistant"]
    assert ids[0] == "0"
    assert len(set(ids)) == 3
    answers = [turn["content"][0] for turn in got[2::2]]
    assert [answer["tool_use_id"] for answer in answers] == ids
    assert [answer["content"][0]["text"] for answer in answers] == ["first", "second", "x"]


def test_an_id_used_twice_in_one_turn_is_refused() -> None:
    """Nobody could tell which call a result is for."""
    error = refused(HI, calls("a", "a"), result("a"))
    assert error.param == "messages[1].tool_calls[1].id"
    assert "'a'" in error.message


# arguments


@pytest.mark.parametrize("arguments", ["", "{", "[1]", '"x"', "null", None, 3, "[" * 5000])
def test_c07_arguments_that_are_no_object_become_an_empty_one(arguments: Any) -> None:
    """C07: in history that is a named loss, never a failure."""
    parsed = ask(HI, {"role": "assistant", "tool_calls": [call("a", arguments=arguments)]}, result("a"))
    assert parsed.request.messages[1].content == (ToolUse(id="a", name="f", input={}),)
    assert parsed.losses == ("messages.tool_calls.function.arguments",)


@pytest.mark.parametrize("arguments", ['{"x": [1]}', {"x": [1]}])
def test_arguments_are_json_or_the_object_itself(arguments: Any) -> None:
    """Some clients don't encode them."""
    parsed = ask(HI, {"role": "assistant", "tool_calls": [call("a", arguments=arguments)]}, result("a"))
    assert parsed.request.messages[1].content == (ToolUse(id="a", name="f", input={"x": [1]}),)
    assert parsed.losses == ()


@pytest.mark.parametrize(
    ("tool_call", "param"),
    [
        ({"function": {"name": "f"}}, "messages[1].tool_calls[0]"),
        (call(""), "messages[1].tool_calls[0].id"),
        (call("a", name="no spaces"), "messages[1].tool_calls[0].function.name"),
        ({**call("a"), "type": "custom"}, "messages[1].tool_calls[0].type"),
        ({"id": "a", "function": {"name": 3}}, "messages[1].tool_calls[0].function.name"),
        ("a", "messages[1].tool_calls[0]"),
    ],
)
def test_a_call_in_a_wrong_shape_is_refused_by_its_path(tool_call: Any, param: str) -> None:
    """The error names what of which call is wrong."""
    assert refused(HI, {"role": "assistant", "tool_calls": [tool_call]}, result("a")).param == param


# the older API


def test_c11_function_calls_and_results_become_tools() -> None:
    """C11: they have no ids, so each gets one that is the same in the next request."""
    older = [
        HI,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x":1}'}},
        {"role": "function", "name": "f", "content": "one"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "two"},
    ]
    got = turns(*older)
    first, second = got[1]["content"][0]["id"], got[3]["content"][0]["id"]
    assert first != second
    assert got[1]["content"] == [use(first, x=1)]
    assert [got[2]["content"], got[4]["content"]] == [[gave(first, "one")], [gave(second, "two")]]
    assert turns(*older, spoke("assistant", "so"), HI)[:5] == got


def test_c11_function_messages_are_checked_as_tool_messages_are() -> None:
    """C11: an unknown name, a missing result and odd arguments are told in the older API's words."""
    called = {"role": "assistant", "function_call": {"name": "f", "arguments": "{"}}
    answered = {"role": "function", "name": "f", "content": "x"}
    assert refused(HI, called, {**answered, "name": "g"}).param == "messages[2].name"
    assert refused(HI, {**answered, "name": None}).param == "messages[1].name"
    assert refused(HI, called).param == "messages[1].function_call"
    assert "none for f" in refused(HI, called).message
    assert ask(HI, called, answered).losses == ("messages.function_call.arguments",)


# shapes


@pytest.mark.parametrize("content", [None, "", "\n\t", [], [{"type": "text", "text": " "}]])
def test_c39_an_empty_message_is_skipped(content: Any) -> None:
    """C39: an empty text block never reaches the upstream, whatever it comes in."""
    got = turns(spoke("user", "a"), {"role": "assistant", "content": content}, {"role": "user", "content": content})
    assert got == [said("user", "a")]


@pytest.mark.parametrize("messages", [[], [{"role": "user", "content": " "}], [{"role": "system", "content": ""}]])
def test_a_request_without_anything_to_answer_is_refused(messages: list[Any]) -> None:
    """No messages, or none with anything in it, is a 400 that names the field."""
    assert refused(messages=messages).param == "messages"
    assert refused(messages=None).param == "messages"


def test_c39_names_are_accepted() -> None:
    """C39: a tool's name is known already; a speaker's is a named loss."""
    parsed = ask({**HI, "name": "ann"}, calls("a"), {**result("a"), "name": "f"}, {**HI, "name": "bob"})
    assert parsed.losses == ("messages.name",)


def test_c39_tool_results_as_text_stay_text() -> None:
    """C39: a user message that tells a result in words is a user message."""
    assert turns(spoke("user", "Tool result: 42")) == [said("user", "Tool result: 42")]


def test_what_an_sdk_dumps_of_a_reply_is_accepted() -> None:
    """A reply goes back as it came, its empty fields too, without a loss."""
    dumped: dict[str, Any] = {
        "role": "assistant",
        "content": "so",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
    }
    assert ask(HI, dumped, HI).losses == ()


def test_what_a_message_holds_beside_is_a_named_loss() -> None:
    """Reasoning can't go back upstream without its signature, nor fields that nobody knows."""
    message = {"role": "assistant", "content": "so", "reasoning_content": "hm", "weight": 1}
    streamed = {**call("a"), "index": 0, "extra_content": {"x": 1}}
    parsed = ask(HI, message, {"role": "assistant", "tool_calls": [streamed]}, result("a"))
    assert parsed.losses == (
        "messages.reasoning_content",
        "messages.weight",
        "messages.tool_calls.extra_content",
    )


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "wizard", "content": "a"}, "messages[1].role"),
        ({"content": "a"}, "messages[1]"),
        ({"role": "user", "content": 3}, "messages[1].content"),
        ({"role": "user", "content": {"type": "text", "text": "a"}}, "messages[1].content"),
        ("hi", "messages[1]"),
        (None, "messages[1]"),
        ({"role": "user", "content": "a", "tool_calls": [call("a")]}, "messages[1].role"),
        ({"role": "system", "content": "a", "function_call": {"name": "f"}}, "messages[1].role"),
        ({"role": "assistant", "tool_calls": "a"}, "messages[1].tool_calls"),
    ],
)
def test_a_message_in_a_wrong_shape_is_refused_by_its_path(message: Any, param: str) -> None:
    """The error names which message, and what of it."""
    error = refused(HI, message)
    assert error.param == param
    assert param in error.message
