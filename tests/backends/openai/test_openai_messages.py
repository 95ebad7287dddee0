"""A conversation of ours as Chat Completions messages."""

from __future__ import annotations

from typing import Any

import pytest

from claude_proxy.backends.openai.request import Refusals, render
from claude_proxy.canon.blocks import (
    AnyBlock,
    Document,
    Image,
    Json,
    Opaque,
    RedactedThinking,
    Source,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from claude_proxy.canon.request import Message, Request
from claude_proxy.errors import BadRequest

PNG = Image(source=Source(type="base64", media_type="image/png", data="aWNvbg=="))
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aWNvbg=="}}


def user(*blocks: AnyBlock) -> Message:
    """Give a user's turn."""
    return Message(role="user", content=blocks)


def assistant(*blocks: AnyBlock) -> Message:
    """Give an assistant's turn."""
    return Message(role="assistant", content=blocks)


def text(said: str) -> Text:
    """Give a text block."""
    return Text(text=said)


def said(*messages: Message) -> list[Json]:
    """Give the messages of a request that must lose nothing."""
    sent = render(Request(model="m", messages=messages))
    assert sent.losses == ()
    found: list[Json] = sent.body["messages"]
    return found


def test_one_text_is_a_string_and_several_are_parts() -> None:
    """The simplest form that says it all: not every upstream takes a list."""
    assert said(user(text("a")), assistant(text("b")), user(text("c"), text(""), text("d"))) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]},
    ]


def test_a_turn_of_nothing_is_left_out() -> None:
    """An empty message is a 400 at most upstreams."""
    assert said(user(text("a")), assistant(text("")), user(text(""))) == [{"role": "user", "content": "a"}]


def test_images_go_as_data_or_by_their_address() -> None:
    """C12, the other way round."""
    linked = Image(source=Source(type="url", url="https://example.com/a.png"))

    assert said(user(text("see"), PNG, linked))[0]["content"] == [
        {"type": "text", "text": "see"},
        PNG_PART,
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


def test_pdfs_go_as_files() -> None:
    """C13, the other way round."""
    pdf = Source(type="base64", media_type="application/pdf", data="JVBERg==")
    part = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}

    assert said(user(Document(source=pdf, title="a.pdf")))[0]["content"] == [part]
    named = said(user(Document(source=pdf, context="The bill.")))[0]["content"]
    assert named[0] == {"type": "text", "text": "The bill."}
    assert named[1]["file"]["filename"] == "document.pdf"


def test_text_documents_go_as_text() -> None:
    """With the title and the context that they have."""
    plain = Document(source=Source(type="text", media_type="text/plain", data="words"), title="T", context="C")
    bare = Document(source=Source(type="text", media_type="text/plain", data="words"))
    empty = Document(source=Source(type="text", media_type="text/plain", data=""))

    assert said(user(plain))[0]["content"] == [{"type": "text", "text": t} for t in ("T", "C", "words")]
    assert said(user(bare))[0]["content"] == "words"
    assert said(user(text("a"), empty))[0]["content"] == "a"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("words", "words"),
        ([{"type": "text", "text": "words"}], "words"),
        (
            [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aWNvbg=="}}],
            [PNG_PART],
        ),
    ],
)
def test_documents_made_of_blocks_go_as_their_blocks(content: Any, parts: Any) -> None:
    """Whatever they hold."""
    assert said(user(Document(source=Source(type="content", content=content))))[0]["content"] == parts


def test_a_document_made_of_blocks_keeps_its_title() -> None:
    """As a text before its content; an entry that is no block is lost, and named."""
    document = Document(source=Source(type="content", content=["odd"]), title="T")
    sent = render(Request(model="m", messages=(user(document, text("x"), Document(source=Source(type="content"))),)))

    assert sent.body["messages"][0]["content"] == [{"type": "text", "text": "T"}, {"type": "text", "text": "x"}]
    assert sent.losses == ("messages.content",)


@pytest.mark.parametrize("source", [Source(type="file", file_id="f"), Source(type="base64"), Source(type="url")])
def test_content_that_is_not_here_is_refused(source: Source) -> None:
    """Another upstream's files can't be sent, and a question about a missing picture isn't the same question."""
    with pytest.raises(BadRequest, match="base64"):
        said(user(Image(source=source)))


def test_data_without_a_type_is_still_data() -> None:
    """A data URI needs one, so it gets the one that says nothing."""
    image = Image(source=Source(type="base64", data="eHg="))

    assert said(user(image))[0]["content"][0]["image_url"]["url"] == "data:application/octet-stream;base64,eHg="


def test_tool_calls_and_results() -> None:
    """A call's input is JSON text; without text the content is null; a result is a message of its own."""
    call = ToolUse(id="c1", name="add", input={"a": 1, "b": "é"})

    assert said(user(text("go")), assistant(call), user(ToolResult(tool_use_id="c1", content=(text("2"),)))) == [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":"é"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
    ]


def test_results_come_before_what_the_user_said_in_the_same_turn() -> None:
    """Nothing may stand between calls and their results, wherever the client put its text."""
    results = (ToolResult(tool_use_id="c1", content=(text("1"),)), ToolResult(tool_use_id="c2", content=()))

    assert said(user(text("first"), *results, text("then"))) == [
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "first"}, {"type": "text", "text": "then"}]},
    ]


def test_a_results_pictures_follow_in_a_user_message() -> None:
    """A tool message carries text alone: what belongs to which call is said."""
    both = ToolResult(tool_use_id="c1", content=(text("seen"), PNG))
    bare = ToolResult(tool_use_id="c2", content=(PNG,))

    assert said(user(both, bare, text("And?"))) == [
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "tool", "tool_call_id": "c2", "content": "(the result is in the next message)"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What the tool call c1 gave besides text:"},
                PNG_PART,
                {"type": "text", "text": "What the tool call c2 gave besides text:"},
                PNG_PART,
                {"type": "text", "text": "And?"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ((), "Error: the tool failed"),
        ((text("no file"),), "Error: no file"),
        ((text("a"), text("b")), [{"type": "text", "text": "Error: a"}, {"type": "text", "text": "b"}]),
    ],
)
def test_a_failed_call_says_so(content: tuple[Text, ...], told: Any) -> None:
    """There is no field for it, so its text does."""
    assert said(user(ToolResult(tool_use_id="c", content=content, is_error=True)))[0]["content"] == told


def test_the_upstreams_own_reasoning_goes_back() -> None:
    """Some want it back between calls. What has no signature is such an upstream's."""
    call = ToolUse(id="c", name="t", input={})
    turns = said(user(text("a")), assistant(Thinking(thinking="hm "), Thinking(thinking="so"), call))

    assert turns[1]["reasoning_content"] == "hm so"
    assert said(assistant(Thinking(thinking="hm")))[0] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
    }


def test_another_models_reasoning_does_not_go_out() -> None:
    """Signed or hidden reasoning means nothing to anybody but the model that made it: nothing is lost."""
    turns = said(assistant(Thinking(thinking="hm", signature="s"), RedactedThinking(data="x"), text("b")))

    assert turns == [{"role": "assistant", "content": "b"}]


def test_reasoning_that_an_upstream_refuses_is_left_out_and_named() -> None:
    """Some call it an unknown property."""
    request = Request(model="m", messages=(assistant(Thinking(thinking="hm"), text("b")), user(text("c"))))
    error = BadRequest("property 'messages.1.reasoning_content' is unsupported")
    again = render(request, Refusals().learned(error, render(request)))

    assert again.body["messages"][0] == {"role": "assistant", "content": "b"}
    assert again.losses == ("messages.content.thinking",)


def test_what_has_no_word_in_chat_completions_is_named() -> None:
    """Unknown blocks and citations."""
    document = Document(source=Source(type="text", data="x"), citations={"enabled": True})
    unknown = Opaque({"type": "server_tool_use"})
    off = Document(source=Source(type="text", data="x"), citations={"enabled": False})

    sent = render(Request(model="m", messages=(user(document, off), assistant(unknown, text("b")))))

    assert sent.losses == ("messages.content.citations", "messages.content")
    assert sent.body["messages"][1] == {"role": "assistant", "content": "b"}
