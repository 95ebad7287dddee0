"""A conversation as lines for a child, and as a fingerprint."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli import tools, transcript
from claude_proxy.backends.claude_cli.tools import MAX_HELD_CHARACTERS
from claude_proxy.canon.blocks import (
    AnyBlock,
    Document,
    Image,
    Opaque,
    RedactedThinking,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from claude_proxy.canon.request import Message, Reasoning, Request, Tool

MODEL = "claude-sonnet-5-5"
MARKER = {"type": "ephemeral"}
CALL = ToolUse(id="t1", name="get_weather", input={"city": "Rome", "days": 2})
RESULT = ToolResult(tool_use_id="t1", content=(Text(text="sunny"),))
WEATHER = Tool(name="get_weather", description="Weather.", input_schema={"type": "object", "description": "A place."})


def user(*content: AnyBlock | str) -> Message:
    """Give a user's turn; plain strings are text."""
    return Message(role="user", content=blocks(content))


def assistant(*content: AnyBlock | str) -> Message:
    """Give an assistant's turn."""
    return Message(role="assistant", content=blocks(content))


def blocks(content: tuple[AnyBlock | str, ...]) -> tuple[AnyBlock, ...]:
    """Make text of plain strings."""
    return tuple(Text(text=item) if isinstance(item, str) else item for item in content)


REQUEST = Request(model=MODEL, messages=(), system=(Text(text="Be brief."),), tools=(WEATHER,))
TOLD = (user("hi"), assistant("hello"), user("weather?"), assistant("Let me look.", CALL))


def printed(*messages: Message, client: str = "a", notes: tuple[str, ...] = (), **changed: Any) -> str:
    """Give a fingerprint of ``REQUEST`` with something changed."""
    request = msgspec.structs.replace(REQUEST, **changed)
    listed, _ = tools.listing(request.tools)
    system = transcript.system_prompt(request, notes)
    return transcript.fingerprint(request.model, system, listed, client=client).then(messages or TOLD).key


# -- history ----------------------------------------------------------------------------------------------------------


def test_history_keeps_roles_blocks_and_order() -> None:
    """K01: nothing is flattened."""
    steps = transcript.history((*TOLD, user(RESULT)), MODEL)
    lines = [json.loads(step.line) for step in steps]
    assert [line["type"] for line in lines] == ["user", "assistant", "user", "assistant", "user"]
    assert lines[3]["message"]["content"] == [
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Rome", "days": 2}},
    ]
    assert lines[4]["message"]["content"][0]["content"] == [{"type": "text", "text": "sunny"}]


def test_only_a_users_line_is_awaited() -> None:
    """The CLI answers it with a result, an assistant's with nothing."""
    assert [step.awaited for step in transcript.history(TOLD, MODEL)] == [True, False, True, False]


def test_every_user_line_of_history_is_client_composed_and_asks_nothing() -> None:
    """K04: a file named far back in a conversation isn't read either."""
    steps = transcript.history((user("@/etc/hostname"), assistant("no"), user("/clear", "!ls")), MODEL)
    lines = [json.loads(step.line) for step in steps if step.awaited]
    assert [(line["client_composed"], line["shouldQuery"]) for line in lines] == [(True, False)] * 2


def test_each_assistant_turn_has_its_own_id_and_the_model() -> None:
    """The CLI merges lines of one id."""
    messages = [json.loads(step.line)["message"] for step in transcript.history(TOLD, MODEL) if not step.awaited]
    assert len({message["id"] for message in messages}) == 2
    assert {message["model"] for message in messages} == {MODEL}


def test_thinking_goes_back_unchanged() -> None:
    """M03: signature included."""
    thoughts = (Thinking(thinking="hm", signature="sig"), RedactedThinking(data="xx"))
    (step,) = transcript.history((assistant(*thoughts),), MODEL)
    assert json.loads(step.line)["message"]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xx"},
    ]


def test_cache_markers_are_left_out() -> None:
    """C20: on blocks of every kind, within results too; an argument of that name is none."""
    inner = Text(text="a", cache_control=MARKER)
    content = (
        inner,
        ToolUse(id="t", name="n", input={"cache_control": 1}, cache_control=MARKER),
        ToolResult(tool_use_id="t", content=(inner,), cache_control=MARKER),
        Opaque({"type": "search_result", "cache_control": MARKER}),
    )
    assert transcript.encode_content(content) == [
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"cache_control": 1}},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}]},
        {"type": "search_result"},
    ]


def test_cache_markers_deep_inside_are_left_out() -> None:
    """C20: a document's source and a search result hold blocks again."""
    marked = {"type": "text", "text": "a", "cache_control": MARKER}
    bare = {"type": "text", "text": "a"}
    source = Source(type="content", content=[marked, "b"])
    found = Opaque({"type": "search_result", "content": [marked]})
    odd = Opaque({"type": "document", "source": "elsewhere"})
    content = (Document(source=source), ToolResult(tool_use_id="t", content=(Document(source=source), found)), odd)
    document = {"type": "document", "source": {"type": "content", "content": [bare, "b"]}}
    result = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [document, {"type": "search_result", "content": [bare]}],
    }
    assert transcript.encode_content(content) == [document, result, odd.raw]


def test_what_the_cli_takes_out_is_named() -> None:
    """References to tools, and a turn of thinking alone; what is beside them stays."""
    thought = Thinking(thinking="hm", signature="sig")
    reference = ToolResult(tool_use_id="t", content=(Opaque({"type": "tool_reference", "tool_name": "x"}),))
    assert transcript.block_losses((assistant(thought, Text(text="a")),)) == ()
    assert transcript.block_losses((assistant(), Message(role="user", content=(Opaque({"type": "new"}),)))) == ()
    assert transcript.block_losses((assistant(thought, RedactedThinking(data="x")),)) == ("messages.thinking",)
    told = (assistant(thought), Message(role="user", content=(reference,)))
    assert transcript.block_losses(told) == ("messages.thinking", "messages.tool_reference")


@pytest.mark.parametrize("content", [{}, {"content": "a"}, {"content": None}, {"content": ["a", {"type": "text"}]}])
def test_a_result_in_a_shape_we_do_not_know_travels_as_it_is(content: dict[str, Any]) -> None:
    """The upstream judges it, we don't fail over it."""
    raw = {"type": "tool_result", "tool_use_id": 5, **content}
    assert transcript.encode_content([Opaque(raw)]) == [raw]


def test_the_system_prompt_is_one_text() -> None:
    """C01: blocks and our own sentences, joined by a blank line."""
    request = msgspec.structs.replace(REQUEST, system=(Text(text="A"), Text(text="B")))
    assert transcript.system_prompt(request, ("C",)) == "A\n\nB\n\nC"


# -- images -----------------------------------------------------------------------------------------------------------

SMALL = Image(source=Source(type="base64", media_type="image/png", data="a" * 1_400_000))
LARGE = Image(source=Source(type="base64", media_type="image/png", data="a" * 1_400_001))


@pytest.mark.parametrize("content", [LARGE, ToolResult(tool_use_id="t", content=(Text(text="a"), LARGE))])
def test_an_image_that_is_recompressed_is_a_named_loss(content: AnyBlock) -> None:
    """In a result too."""
    assert transcript.image_losses([user("a"), user(content)]) == ("image-detail",)


def test_other_images_are_no_loss() -> None:
    """Small ones, and those that are only named."""
    by_url = Image(source=Source(type="url", url="https://example.org/a.png"))
    assert transcript.image_losses([user("a", SMALL, by_url)]) == ()


# -- fingerprint ------------------------------------------------------------------------------------------------------


def test_the_same_conversation_has_the_same_fingerprint() -> None:
    """What makes a child find its conversation."""
    assert printed() == printed()


def test_another_client_has_another_fingerprint() -> None:
    """K02: the same history of two clients never meets in one child."""
    assert printed(client="a") != printed(client="b")


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "claude-opus-5-5"},
        {"system": (Text(text="Be long."),)},
        {"system": ()},
        {"tools": ()},
        {"tools": (WEATHER, Tool(name="other"))},
        {"tools": (msgspec.structs.replace(WEATHER, name="other"),)},
        {"tools": (msgspec.structs.replace(WEATHER, description="Other."),)},
        {"tools": (msgspec.structs.replace(WEATHER, input_schema={"type": "object", "description": "Other."}),)},
        {"tools": (msgspec.structs.replace(WEATHER, input_schema={"type": "object", "required": ["x"]}),)},
    ],
    ids=str,
)
def test_what_a_child_cannot_be_told_anew_counts(changed: dict[str, Any]) -> None:
    """K03: model, system prompt, and every word of the tools."""
    assert printed(**changed) != printed()


def test_our_own_sentences_count() -> None:
    """A forced tool is told in the system prompt, which can't be told anew."""
    assert printed(notes=("You must.",)) != printed()


@pytest.mark.parametrize(
    "parameters",
    [{"temperature": 0.5}, {"max_tokens": 5}, {"reasoning": Reasoning(mode="on")}, {"stop_sequences": ("a",)}],
)
def test_parameters_never_decide(parameters: dict[str, Any]) -> None:
    """They are sent anew with each turn."""
    assert printed(**parameters) == printed()


EDITED: dict[str, tuple[Message, ...]] = {
    "edited user text": (user("ho"), *TOLD[1:]),
    "edited assistant text": (TOLD[0], assistant("hell"), *TOLD[2:]),
    "white space in the user's text": (user(" hi"), *TOLD[1:]),
    "white space within the model's text": (TOLD[0], assistant("hel lo"), *TOLD[2:]),
    "truncated at the front": TOLD[2:],
    "truncated at the end": TOLD[:2],
    "branched": (*TOLD[:2], user("news?"), TOLD[3]),
    "roles swapped": (assistant("hi"), user("hello"), *TOLD[2:]),
    "another call": (*TOLD[:3], assistant("Let me look.", msgspec.structs.replace(CALL, id="t2"))),
    "another tool": (*TOLD[:3], assistant("Let me look.", msgspec.structs.replace(CALL, name="x"))),
    "other arguments": (*TOLD[:3], assistant("Let me look.", msgspec.structs.replace(CALL, input={"city": "Rome"}))),
    "the call gone": (*TOLD[:3], assistant("Let me look.")),
    "text moved behind the call": (*TOLD[:3], assistant(CALL, "Let me look.")),
    "an image more": (user("hi", SMALL), *TOLD[1:]),
    "an unknown block more": (user("hi", Opaque({"type": "x"})), *TOLD[1:]),
    "turns run together": (user("hi"), assistant("hello", "Let me look.", CALL)),
}


@pytest.mark.parametrize("messages", EDITED.values(), ids=EDITED.keys())
def test_another_history_has_another_fingerprint(messages: tuple[Message, ...]) -> None:
    """K03: edited, truncated or branched, it finds no child that holds the old one."""
    assert printed(*messages) != printed()


RESULTS: dict[str, ToolResult] = {
    "other text": ToolResult(tool_use_id="t1", content=(Text(text="rain"),)),
    "white space": ToolResult(tool_use_id="t1", content=(Text(text="sunny\n"),)),
    "only white space": ToolResult(tool_use_id="t1", content=(Text(text=" "),)),
    "empty": ToolResult(tool_use_id="t1"),
    "an error": msgspec.structs.replace(RESULT, is_error=True),
    "of another call": msgspec.structs.replace(RESULT, tool_use_id="t2"),
    "an image more": ToolResult(tool_use_id="t1", content=(Text(text="sunny"), SMALL)),
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS.keys())
def test_another_result_has_another_fingerprint(result: ToolResult) -> None:
    """K03: results are history, to the last character."""
    end = assistant("It is.")
    assert printed(*TOLD, user(result), end) != printed(*TOLD, user(RESULT), end)


def test_two_different_results_never_look_the_same() -> None:
    """K03: nor do the odd ones look like each other."""
    prints = [printed(*TOLD, user(result), assistant("It is.")) for result in RESULTS.values()]
    assert len(set(prints)) == len(prints)


ALIKE: dict[str, tuple[Message, ...]] = {
    "text split": (user("h", "i"), assistant("hel", "lo"), *TOLD[2:]),
    "empty text": (user("hi", ""), assistant("", "hello"), *TOLD[2:]),
    "thinking not sent back": (TOLD[0], assistant(Thinking(thinking="hm", signature="s"), "hello"), *TOLD[2:]),
    "thinking amid text": (TOLD[0], assistant("hel", RedactedThinking(data="x"), "lo"), *TOLD[2:]),
    "the model's text trimmed": (TOLD[0], assistant(" hello\n"), TOLD[2], assistant("Let me look.\n\n", CALL)),
    "arguments written anew": (
        *TOLD[:3],
        assistant("Let me look.", msgspec.structs.replace(CALL, input={"days": 2, "city": "Rome"})),
    ),
    "markers": (
        Message(role="user", content=(Text(text="hi", cache_control=MARKER),)),
        *TOLD[1:3],
        assistant("Let me look.", msgspec.structs.replace(CALL, cache_control=MARKER)),
    ),
}


@pytest.mark.parametrize("messages", ALIKE.values(), ids=ALIKE.keys())
def test_what_a_client_does_not_carry_back_makes_no_difference(messages: tuple[Message, ...]) -> None:
    """Or no child would ever be found again."""
    assert printed(*messages) == printed()


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_nothing_beside_a_call_is_nothing(text: str | None) -> None:
    """C03: clients write it as null, as "", or not at all."""
    content = (CALL,) if text is None else (Text(text=text), CALL)
    assert printed(user("a"), assistant(*content)) == printed(user("a"), assistant(CALL))


def test_a_marker_on_an_image_makes_no_difference() -> None:
    """Clients move their markers with each turn."""
    marked = msgspec.structs.replace(SMALL, cache_control=MARKER)
    assert printed(user(marked), assistant("a")) == printed(user(SMALL), assistant("a"))


def test_a_tool_without_a_description_is_one_with_an_empty_one() -> None:
    """The child is told the same."""
    none, empty = Tool(name="a"), Tool(name="a", description="")
    assert printed(tools=(none,)) == printed(tools=(empty,))


TEXTS = st.text("ab \n", max_size=3)
CONTENT = st.lists(
    st.builds(Text, text=TEXTS)
    | st.builds(ToolUse, id=TEXTS, name=TEXTS, input=st.dictionaries(TEXTS, TEXTS, max_size=1))
    | st.builds(ToolResult, tool_use_id=TEXTS, content=st.tuples(st.builds(Text, text=TEXTS)), is_error=st.booleans())
    | st.builds(Thinking, thinking=TEXTS)
    | st.builds(Opaque, raw=st.fixed_dictionaries({"type": TEXTS})),
    max_size=3,
).map(tuple)
MESSAGES = st.lists(
    st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=CONTENT), min_size=1, max_size=3
).map(tuple)


def seen(messages: tuple[Message, ...]) -> list[Any]:
    """Give what a model sees of a history, by other means than the fingerprint's."""
    shown: list[Any] = []
    for message in messages:
        parts: list[Any] = [message.role]
        for block in message.content:
            if isinstance(block, Thinking):
                continue
            if isinstance(block, Text) and isinstance(parts[-1], Text):
                parts[-1] = Text(text=parts[-1].text + block.text)
            else:
                parts.append(block)
        if message.role == "assistant":
            parts = [Text(text=part.text.strip()) if isinstance(part, Text) else part for part in parts]
        shown.append([part for part in parts if part != Text(text="")])
    return shown


@given(MESSAGES, MESSAGES)
def test_two_histories_share_a_fingerprint_only_if_they_read_the_same(
    one: tuple[Message, ...], other: tuple[Message, ...]
) -> None:
    """K03: whatever is in them."""
    assert (printed(*one) == printed(*other)) is (seen(one) == seen(other))


# -- going on ---------------------------------------------------------------------------------------------------------

SECOND = ToolUse(id="t2", name="get_weather", input={})
SECOND_RESULT = ToolResult(tool_use_id="t2", content=(Text(text="rain"),))


def test_a_child_gets_the_next_message() -> None:
    """No call is open."""
    assert transcript.continuation((user("a"), assistant("b"), user("c", SMALL))) == {}


def test_a_child_that_holds_calls_gets_their_results() -> None:
    """By the calls' ids, in any order."""
    messages = (user("a"), assistant(CALL, SECOND), user(SECOND_RESULT, RESULT))
    assert transcript.continuation(messages) == {"t1": RESULT, "t2": SECOND_RESULT}


ANEW: dict[str, tuple[Message, ...]] = {
    "a new conversation": (user("a"),),
    "no message": (),
    "two user turns": (user("a"), user("b")),
    "text beside the results": (user("a"), assistant(CALL), user(RESULT, "and?")),
    "text before the results": (user("a"), assistant(CALL), user("so", RESULT)),
    "a result missing": (user("a"), assistant(CALL, SECOND), user(RESULT)),
    "no result": (user("a"), assistant(CALL), user("never mind")),
    "a result too many": (user("a"), assistant(CALL), user(RESULT, SECOND_RESULT)),
    "a result twice": (user("a"), assistant(CALL), user(RESULT, RESULT)),
    "a result of no call": (user("a"), assistant("b"), user(RESULT)),
    "an empty result": (user("a"), assistant(CALL), user(ToolResult(tool_use_id="t1"))),
    "a large result": (
        user("a"),
        assistant(CALL),
        user(ToolResult(tool_use_id="t1", content=(Text(text="x" * (MAX_HELD_CHARACTERS + 1)),))),
    ),
    "a document as result": (
        user("a"),
        assistant(CALL),
        user(ToolResult(tool_use_id="t1", content=(Document(source=Source(type="text", data="a")),))),
    ),
}


@pytest.mark.parametrize("messages", ANEW.values(), ids=ANEW.keys())
def test_all_else_is_told_anew(messages: tuple[Message, ...]) -> None:
    """K05, K12: the held path is for exactly the results of all calls, each of which arrives unchanged."""
    assert transcript.continuation(messages) is None


@pytest.mark.parametrize("messages", [(user("a"),), (user("a"), assistant("b"), user("c"))])
def test_a_conversation_that_ends_with_the_user_stays(messages: tuple[Message, ...]) -> None:
    """Nothing is added."""
    assert transcript.ended_by_user(messages) == (messages, False)


@pytest.mark.parametrize("messages", [(user("a"), assistant("b")), ()])
def test_a_users_turn_is_added_where_there_is_none(messages: tuple[Message, ...]) -> None:
    """Today's models refuse a prefill; so the model is asked to go on, which is a named loss."""
    ended, added = transcript.ended_by_user(messages)
    assert added
    assert ended[:-1] == messages
    assert ended[-1] == user(transcript.CONTINUE)
