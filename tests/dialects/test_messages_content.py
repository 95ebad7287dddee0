"""Content blocks of a Messages request: each type, each source, and what the API refuses of them."""

from __future__ import annotations

from typing import Any

import pytest
from messages_asking import ask, assistant, call, refused, result, said, turns, user

CACHED = {"type": "ephemeral"}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}


@pytest.mark.parametrize(
    "block",
    [
        said("hi"),
        said("hi", cache_control=CACHED),
        {"type": "image", "source": PNG, "cache_control": CACHED},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": PDF, "title": "T", "context": "C", "citations": {"enabled": True}},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "x"},
            "cache_control": CACHED,
        },
        {"type": "document", "source": {"type": "content", "content": [said("x")]}},
        {"type": "document", "source": {"type": "content", "content": "x"}},
        {"type": "document", "source": {"type": "url", "url": "http://example.com/a.pdf"}},
        {"type": "search_result", "source": "s", "title": "t", "content": [said("x")]},
        {"type": "never_heard_of", "deep": {"a": [1, None]}},
    ],
)
def test_what_a_user_may_send_arrives_as_it_is(block: dict[str, Any]) -> None:
    """Known blocks in full, unknown ones untouched."""
    assert turns(user(block)) == [user(block)]
    assert ask(user(block)).losses == ()


@pytest.mark.parametrize(
    "block",
    [
        {"type": "thinking", "thinking": "Hm\n", "signature": "EqQBCgIYAhIM+/=="},
        {"type": "thinking", "thinking": "", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "EmwKAhgB/=="},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"encrypted_content": "x"}]},
    ],
)
def test_m03_what_the_model_said_goes_back_unchanged(block: dict[str, Any]) -> None:
    """M03: reasoning with its signature, redacted reasoning, and what the upstream's own tools did."""
    history = (user(said("a")), assistant(block, said("b")), user(said("c")))
    assert turns(*history) == list(history)


def test_a_string_is_one_text_block() -> None:
    """In either role."""
    assert turns({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}) == [
        user(said("a")),
        assistant(said("b")),
    ]


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ({}, []),
        ({"content": None}, []),
        ({"content": ""}, []),
        ({"content": " \n"}, []),
        ({"content": []}, []),
        ({"content": [said(""), said("x")]}, [said("x")]),
        ({"content": "x"}, [said("x")]),
        ({"content": [said("x", cache_control=CACHED)]}, [said("x", cache_control=CACHED)]),
        ({"content": [{"type": "image", "source": PNG}]}, [{"type": "image", "source": PNG}]),
        ({"content": [{"type": "document", "source": PDF}]}, [{"type": "document", "source": PDF}]),
        ({"content": [{"type": "tool_reference", "tool_name": "g"}]}, [{"type": "tool_reference", "tool_name": "g"}]),
    ],
)
def test_a_tool_may_give_anything_back_or_nothing(given: dict[str, Any], arrives: list[Any]) -> None:
    """Text, pictures, documents, what we don't know; blank text is nothing."""
    _, _, answer = turns(user(said("a")), assistant(call("t")), user(result("t", **given)))
    assert answer == user(result("t", content=arrives))


def test_a_failed_tool_is_told_so() -> None:
    """``is_error`` and the cache marker stay with the result."""
    given = result("t", content=[said("no")], is_error=True, cache_control=CACHED)
    assert turns(user(said("a")), assistant(call("t")), user(given))[2] == user(given)


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (3, "messages.0.content.0: Input should be a valid dictionary"),
        ({"text": "x"}, "messages.0.content.0.type: Field required"),
        ({"type": "text"}, "messages.0.content.0.text.text: Field required"),
        (said(""), "messages.0.content.0.text: text content blocks must be non-empty"),
        (said(" \n"), "messages.0.content.0.text: text content blocks must contain non-whitespace text"),
        ({"type": "text", "text": 1}, "messages.0.content.0.text.text: Input should be a valid string"),
        (
            {"type": "thinking", "thinking": "x", "signature": "s"},
            "messages.0.content.0: `thinking` blocks can only be in `assistant` messages",
        ),
        ({"type": "image", "source": 1}, "messages.0.content.0.image.source: Input should be a valid dictionary"),
        ({"type": "image", "source": {}}, "messages.0.content.0.image.source.type: Field required"),
        (
            {"type": "image", "source": {"type": "text", "data": "x"}},
            "messages.0.content.0.image.source.type: Input should be 'base64', 'url' or 'file'",
        ),
        (
            {"type": "image", "source": {**PNG, "media_type": "image/bmp"}},
            (
                "messages.0.content.0.image.source.base64.media_type: "
                "Input should be 'image/png', 'image/jpeg', 'image/gif' or 'image/webp'"
            ),
        ),
        (
            {"type": "image", "source": {**PNG, "data": ""}},
            "messages.0.content.0.image.source.base64.data: it holds no data",
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "file:///etc/hostname"}},
            "messages.0.content.0.image.source.url.url: Input should be a valid URL with the scheme http or https",
        ),
        (
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
            "messages.0.content.0.image.source.file: no uploaded files can be read here: send the data itself",
        ),
        (
            {"type": "document", "source": {**PDF, "media_type": "application/msword"}},
            "messages.0.content.0.document.source.base64.media_type: Input should be 'application/pdf'",
        ),
        (
            {"type": "document", "source": {"type": "text", "data": " "}},
            "messages.0.content.0.document.source.text.data: text content blocks must be non-empty",
        ),
        (
            result("a b"),
            "messages.0.content.0.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
        (
            result("t", content=[result("u")]),
            "messages.0.content.0.tool_result.content.0: a tool_result can't hold another one",
        ),
        (
            result("t", content=[call("u")]),
            "messages.0.content.0.tool_result.content.0: `tool_use` blocks can only be in `assistant` messages",
        ),
    ],
)
def test_what_the_api_refuses_is_refused(block: Any, told: str) -> None:
    """With the path to the block, its type in it."""
    assert refused(user(block)).message == told


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"type": "image", "source": PNG}, "messages.1.content.0: `image` blocks can only be in `user` messages"),
        (result("t"), "messages.1.content.0: `tool_result` blocks can only be in `user` messages"),
        (
            call("a b"),
            "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        ),
        (
            call("a", name="a b"),
            "messages.1.content.0.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        ),
        (
            {"type": "thinking", "thinking": "x"},
            "messages.1.content.0.thinking.signature: Field required",
        ),
    ],
)
def test_an_assistants_blocks_are_checked_too(block: Any, told: str) -> None:
    """Whose block stands where, ids, names, signatures."""
    assert refused(user(said("a")), assistant(block)).message == told


def test_a_blank_string_is_refused() -> None:
    """As a blank block is."""
    error = refused({"role": "user", "content": " "})
    assert error.message == "messages.0.content: text content blocks must contain non-whitespace text"


@pytest.mark.parametrize(
    ("message", "losses"),
    [
        (user(said("a", citations=[{"type": "char_location"}])), ("messages.content.citations",)),
        (user(said("a", citations=None)), ()),
        (user({"type": "image", "source": PNG, "transformations": {"crop": 1}}), ("messages.content.transformations",)),
    ],
)
def test_fields_of_a_block_that_we_do_not_keep_are_named(message: Any, losses: tuple[str, ...]) -> None:
    """Where they hold something."""
    assert ask(message).losses == losses


@pytest.mark.parametrize(
    ("caller", "losses"),
    [({"type": "direct"}, ()), ({"type": "code_execution_20250825", "tool_id": "x"}, ("messages.content.caller",))],
)
def test_a_caller_other_than_the_model_is_named_as_lost(caller: Any, losses: tuple[str, ...]) -> None:
    """That the model itself called goes without saying."""
    assert ask(user(said("a")), assistant(call("t", caller=caller)), user(result("t"))).losses == losses
