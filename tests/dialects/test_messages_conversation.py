"""A conversation's turns: who speaks when, system messages among them, and which result belongs to which call."""

from __future__ import annotations

from typing import Any

import pytest
from messages_asking import HI, ask, assistant, call, refused, result, said, system, turns, user

ASKED = (user(said("a")), assistant(call("t"), call("u")))


def test_neighbours_of_one_role_merge() -> None:
    """As the API merges them."""
    assert turns(HI, user(said("a")), {"role": "assistant", "content": "b"}, assistant(said("c")), HI) == [
        user(said("hi"), said("a")),
        assistant(said("b"), said("c")),
        user(said("hi")),
    ]


@pytest.mark.parametrize(
    ("given", "texts"),
    [("Be brief.", ["Be brief."]), ("", []), (" ", []), (None, []), ([], []), ([said("a"), said("b")], ["a", "b"])],
)
def test_the_system_prompt_is_a_string_or_blocks(given: Any, texts: list[str]) -> None:
    """Or nothing."""
    assert [block.text for block in ask(system=given).request.system] == texts


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([said("")], "system.0: text content blocks must be non-empty"),
        ([{"type": "image"}], "system.0.type: Input should be 'text'"),
        (["a"], "system.0: Input should be a valid dictionary"),
    ],
)
def test_a_system_prompt_is_text(given: Any, told: str) -> None:
    """And never empty text."""
    assert refused(system=given).message == told


def test_what_is_lost_of_a_system_block_is_named() -> None:
    """By where it stood."""
    assert ask(HI, system([said("a", x=1)]), system=[said("b", citations=[1])]).losses == (
        "system.citations",
        "messages.content.x",
    )


@pytest.mark.parametrize(
    ("messages", "losses"),
    [
        ((system("s"), HI), ()),
        ((HI, system("s")), ()),
        ((HI, system("s"), assistant(said("a")), HI), ()),
        ((HI, assistant(said("a")), system("s"), HI), ("messages.role",)),
        ((HI, assistant(said("a")), HI, system([said("s")])), ("messages.role",)),
    ],
)
def test_m09_system_messages_join_the_system_prompt(messages: Any, losses: tuple[str, ...]) -> None:
    """M09: in order, after the prompt itself; that one stood in mid-conversation is named as lost."""
    parsed = ask(*messages, system="first")
    assert [block.text for block in parsed.request.system] == ["first", "s"]
    assert parsed.losses == losses
    assert "".join(message.role[0] for message in parsed.request.messages) in ("u", "uau")


def test_m09_a_system_message_splits_no_turn() -> None:
    """M09: what stands around it is one turn, and it may be empty."""
    assert turns(HI, system(""), HI) == [user(said("hi"), said("hi"))]


def test_system_messages_alone_are_no_conversation() -> None:
    """The API wants a message to answer."""
    assert refused(system("s")).message == "messages: at least one message is required"


def test_a_prefill_is_kept() -> None:
    """What the model's reply shall begin with stays the last message."""
    assert turns(HI, assistant(said("1."))) == [user(said("hi")), assistant(said("1."))]


def test_a_prefill_ends_with_no_white_space() -> None:
    """The API refuses that, since models fail on it."""
    error = refused(HI, assistant(said("1. ")))
    assert error.message == "messages: final assistant content cannot end with trailing whitespace"


def test_white_space_elsewhere_is_fine() -> None:
    """Only the last text is begun to be written on."""
    assert turns(HI, assistant(said("1. ")), HI)[1] == assistant(said("1. "))


@pytest.mark.parametrize("nothing", ["", []])
def test_the_last_assistant_message_may_be_empty(nothing: Any) -> None:
    """Then it says nothing, and is left out."""
    assert turns(HI, {"role": "assistant", "content": nothing}) == [user(said("hi"))]


@pytest.mark.parametrize(
    ("messages", "where"),
    [
        (({"role": "user", "content": ""},), "messages.0"),
        ((HI, {"role": "user", "content": []}), "messages.1"),
        ((HI, {"role": "assistant", "content": ""}, HI), "messages.1"),
    ],
)
def test_no_other_message_may_be_empty(messages: Any, where: str) -> None:
    """The API's own words."""
    assert refused(*messages).message == (
        f"{where}: all messages must have non-empty content except for the optional final assistant message"
    )


def test_results_come_first_in_their_turn() -> None:
    """Where the API wants them, whatever the client wrote before; text and results may be messages of their own."""
    assert turns(*ASKED, HI, user(result("u"), said("b"), result("t")))[2] == user(
        result("u", content=[]), result("t", content=[]), said("hi"), said("b")
    )


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (
            (user(result("x")),),
            (
                "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: x. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            ),
        ),
        (
            (*ASKED, user(result("t"), result("u")), assistant(said("c")), user(said("d"), result("t"))),
            (
                "messages.4.content.1: unexpected `tool_use_id` found in `tool_result` blocks: t. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            ),
        ),
        (
            (*ASKED, user(result("t"), result("u"), result("t"))),
            (
                "messages.2.content.2: each tool_use must have a single result. "
                "Found multiple `tool_result` blocks with id: t"
            ),
        ),
        (
            ASKED,
            (
                "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t, u. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ),
        ),
        (
            (*ASKED, user(result("t"))),
            (
                "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: u. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ),
        ),
        (
            (*ASKED, user(result("t"), result("u")), assistant(call("t")), user(result("t"))),
            "messages.3.content.0: `tool_use` ids must be unique",
        ),
    ],
)
def test_calls_and_results_belong_together(messages: Any, told: str) -> None:
    """An unknown id, a second result, a missing one and an id used twice are named."""
    error = refused(*messages)
    assert error.message == told
    assert error.param == told.partition(": ")[0]
