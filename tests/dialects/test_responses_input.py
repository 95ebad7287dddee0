"""A Responses request's items."""

from __future__ import annotations

from typing import Any

import pytest
from responses_asking import HI, ask, call, custom, function, namespace, output, refused, turns

from claude_proxy.canon.blocks import RedactedThinking, Text, Thinking
from claude_proxy.dialects.responses_reasoning import seal

PNG = "data:image/png;base64,aGk="
PDF = "data:application/pdf;base64,aGk="
THOUGHT = Thinking(thinking="so", signature="c2ln")
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


def text(words: str) -> dict[str, Any]:
    """Give a text block."""
    return {"type": "text", "text": words}


def user(*parts: Any) -> dict[str, Any]:
    """Give a user's message."""
    return {"type": "message", "role": "user", "content": list(parts)}


def assistant(content: Any, **fields: Any) -> dict[str, Any]:
    """Give an assistant's message."""
    return {"type": "message", "role": "assistant", "content": content, **fields}


def reasoning(sealed: str | None, **fields: Any) -> dict[str, Any]:
    """Give a reasoning item."""
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed, **fields}


@pytest.mark.parametrize(
    "item",
    [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "user", "content": "hi"},
        {"type": None, "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"id": "msg_1", "status": "completed", "role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "user", "content": ["hi"]},
    ],
)
def test_r09_a_message_is_known_in_all_its_shapes(item: dict[str, Any]) -> None:
    """R09: with or without type, id and status; text or parts."""
    parsed = ask(item)
    assert parsed.losses == ()
    assert turns(item) == [{"role": "user", "content": [text("hi")]}]


def test_turns_alternate_and_keep_their_order() -> None:
    """Neighbours of one role are one turn, whatever the system says in between."""
    found = turns(HI, {"role": "system", "content": "s"}, user("there"), assistant("a"), assistant("b"), HI)
    assert [(turn["role"], [block["text"] for block in turn["content"]]) for turn in found] == [
        ("user", ["hi", "there"]),
        ("assistant", ["a", "b"]),
        ("user", ["hi"]),
    ]


def test_what_a_model_said_comes_back() -> None:
    """The output's own parts, refusals too; a phase changes nothing."""
    said = [
        {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
        {"type": "refusal", "refusal": "no"},
    ]
    item = assistant(said, id="msg_1", status="completed", phase="final_answer")
    assert ask(HI, item, HI).losses == ()
    assert turns(HI, item, HI)[1]["content"] == [text("a"), text("no")]


@pytest.mark.parametrize("content", ["", " ", None, [], [{"type": "output_text", "text": ""}]])
def test_an_empty_message_is_no_block(content: Any) -> None:
    """The upstream refuses empty text; the turns around it become one."""
    assert turns(HI, assistant(content), HI) == [{"role": "user", "content": [text("hi"), text("hi")]}]


def test_images_and_files_are_blocks() -> None:
    """Data and addresses, whatever field they come in."""
    parts = (
        {"type": "input_image", "image_url": PNG, "detail": "auto"},
        {"type": "input_image", "image_url": "https://x/y.png"},
        {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
    )
    assert ask(user(*parts)).losses == ()
    assert turns(user(*parts))[0]["content"] == [
        PICTURE,
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
    ]


def test_a_cache_marker_is_kept() -> None:
    """It is for the backend to honour."""
    marker = {"type": "ephemeral"}
    part = {"type": "input_text", "text": "hi", "cache_control": marker}
    assert turns(user(part))[0]["content"] == [text("hi") | {"cache_control": marker}]


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ({"type": "input_image", "image_url": PNG, "detail": "low"}, "input.content.detail"),
        ({"type": "input_file", "file_data": PDF, "detail": "high"}, "input.content.detail"),
        ({"type": "output_text", "text": "a", "annotations": [{"type": "url"}]}, "input.content.annotations"),
        ({"type": "input_text", "text": "a", "mood": "good"}, "input.content.mood"),
    ],
)
def test_what_a_part_loses_is_named(part: dict[str, Any], lost: str) -> None:
    """Lossless or loud."""
    assert ask(user(part)).losses == (lost,)


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio"}, "type"),
        ({"type": "input_text"}, "text"),
        ({"type": "input_image"}, "image_url"),
        ({"type": "input_image", "file_id": "file_1"}, "file_id"),
        ({"type": "input_image", "image_url": "file:///etc/passwd"}, "image_url"),
        ({"type": "input_file"}, "file_data"),
        ({"type": "input_file", "file_id": "file_1"}, "file_id"),
        ({"type": "input_file", "file_data": "data:video/mp4;base64,aGk="}, "file_data"),
        ({"type": "input_file", "file_url": "ftp://x"}, "file_url"),
        ({"type": "input_text", "text": 1}, "text"),
    ],
)
def test_a_part_that_cant_be_read_is_refused(part: dict[str, Any], param: str) -> None:
    """Naming the place."""
    assert refused(user("hi", part)).param == f"input[0].content[1].{param}"


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_images_are_the_users_alone(role: str) -> None:
    """No other turn can hold one upstream."""
    item = {"role": role, "content": [{"type": "input_image", "image_url": PNG}]}
    assert refused(item).param == "input[0].content"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"content": "hi"}, "input[0].role"),
        ({"role": "poet", "content": "hi"}, "input[0].role"),
        ({"type": "item_reference", "id": "msg_1"}, "input[0].type"),
        ({"type": "never_heard_of"}, "input[0].type"),
        ({"type": "shell_call", "call_id": "a"}, "input[0].type"),
        ({"type": "local_shell_call_output", "id": "a", "output": "x"}, "input[0].type"),
        ({"type": "apply_patch_call", "call_id": "a"}, "input[0].type"),
        ("hi", "input[0]"),
        (call(""), "input[0].call_id"),
        (call("a", "no way"), "input[0].name"),
        (call("a", ""), "input[0].name"),
        (call("a"), "input[0]"),
        (output("a"), "input[0].call_id"),
    ],
)
def test_an_item_that_cant_be_read_is_refused(item: Any, param: str) -> None:
    """Naming the place; a call without an output, and an output without a call, too."""
    assert refused(item).param == param


@pytest.mark.parametrize("kind", ["web_search_call", "compaction", "mcp_list_tools", "computer_call_output"])
def test_what_others_tools_left_is_a_named_loss(kind: str) -> None:
    """All else goes on without it."""
    parsed = ask(HI, {"type": kind, "id": "x"})
    assert parsed.losses == (f"input.{kind}",)
    assert len(parsed.request.messages) == 1


def test_r03_calls_and_outputs_go_round() -> None:
    """R03: several calls are one turn, their outputs the next, before what the user says."""
    found = turns(HI, call("a", "f", '{"x":1}', id="fc_1", status="completed"), call("b"), output("b"), output("a"), HI)
    assert found[1]["content"] == [
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "b", "name": "f", "input": {}},
    ]
    assert found[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "b", "content": [text("done")]},
        {"type": "tool_result", "tool_use_id": "a", "content": [text("done")]},
        text("hi"),
    ]


def test_r03_images_of_an_output_are_kept() -> None:
    """R03: in their order."""
    content = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PNG}]
    found = turns(HI, call("a"), output("a", content))
    assert found[2]["content"][0]["content"] == [text("see"), PICTURE]


@pytest.mark.parametrize("given", ["", None, []])
def test_an_empty_output_is_a_result(given: Any) -> None:
    """The call is answered."""
    assert turns(HI, call("a"), output("a", given))[2]["content"][0]["content"] == []


@pytest.mark.parametrize(("given", "lost"), [("", True), ("[1]", True), ('{"a"', True), ({"a": 1}, False)])
def test_c07_arguments_that_are_no_object_are_a_named_loss(given: Any, *, lost: bool) -> None:
    """C07: the history holds an empty object instead."""
    parsed = ask(HI, call("a", arguments=given), output("a"))
    assert parsed.losses == (("input.arguments",) if lost else ())


def test_c06_ids_of_illegal_characters_are_mapped_alike() -> None:
    """C06: in the call and its output."""
    found = turns(HI, call("a|b"), output("a|b"))
    made = found[1]["content"][0]["id"]
    assert made.startswith("a_b_")
    assert found[2]["content"][0]["tool_use_id"] == made


def test_an_id_may_come_again_in_a_later_turn() -> None:
    """Some clients count from 0 in each turn; in one turn it is refused."""
    found = turns(HI, call("a"), output("a", "1"), call("a"), output("a", "2"))
    assert found[1]["content"][0]["id"] != found[3]["content"][0]["id"]
    assert found[4]["content"][0]["content"] == [text("2")]
    assert refused(HI, call("a"), call("a"), output("a")).param == "input[2].call_id"


def test_r03_a_custom_call_is_a_function_of_one_text() -> None:
    """R03: wrapped as its tool is."""
    made = {"type": "custom_tool_call", "call_id": "a", "name": "patch", "input": "*** Begin", "id": "ctc_1"}
    done = {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"}
    found = turns(HI, made, done)
    assert found[1]["content"] == [{"type": "tool_use", "id": "a", "name": "patch", "input": {"input": "*** Begin"}}]
    assert found[2]["content"][0]["content"] == [text("ok")]


def test_r10_a_call_in_a_namespace_has_its_tools_name_upstream() -> None:
    """R10: the same name in the tools and in the history."""
    made = call("a", "search", namespace="mcp__x")
    parsed = ask(
        HI, made, output("a", name="search", namespace="mcp__x"), tools=[namespace("mcp__x", function("search"))]
    )
    assert parsed.losses == ()
    (tool,) = parsed.request.tools
    assert turns(HI, made, output("a"))[1]["content"][0]["name"] == tool.name == "mcp__x__search"


def test_what_an_item_loses_is_named() -> None:
    """In messages, calls and outputs alike."""
    items = (HI | {"mood": "good"}, call("a", caller={"type": "direct"}), output("a", extra=1))
    assert ask(*items).losses == ("input.mood", "input.caller", "input.extra")


@pytest.mark.parametrize("block", [THOUGHT, RedactedThinking(data="eHg=")])
def test_r04_sealed_reasoning_goes_back_before_what_followed_it(block: Thinking | RedactedThinking) -> None:
    """R04: unchanged, signature included."""
    items = (HI, reasoning(seal(block), status="completed"), call("a"), output("a"))
    parsed = ask(*items)
    assert parsed.losses == ()
    assert parsed.request.messages[1].content[0] == block
    assert ask(HI, reasoning(seal(block)), assistant("so"), HI).request.messages[1].content == (block, Text(text="so"))


def test_r04_reasoning_of_several_steps_stays_with_its_step() -> None:
    """R04: each in its own turn."""
    second = Thinking(thinking="then", signature="c2ln")
    items = (HI, reasoning(seal(THOUGHT)), call("a"), output("a"), reasoning(seal(second)), assistant("b"), HI)
    messages = ask(*items).request.messages
    assert (messages[1].content[0], messages[3].content[0]) == (THOUGHT, second)


@pytest.mark.parametrize("after", [(), (HI,), (assistant(""), HI)])
def test_r04_reasoning_that_nothing_followed_is_a_named_loss(after: tuple[Any, ...]) -> None:
    """R04: a turn can't end with it upstream."""
    parsed = ask(HI, reasoning(seal(THOUGHT)), *after)
    assert parsed.losses == ("input.encrypted_content",)
    assert len(parsed.request.messages) == 1


def test_r04_reasoning_between_a_call_and_its_output_is_a_named_loss() -> None:
    """R04: no place upstream is between the two."""
    parsed = ask(HI, call("a"), reasoning(seal(THOUGHT)), output("a"))
    assert parsed.losses == ("input.encrypted_content",)


@pytest.mark.parametrize(
    ("item", "losses"),
    [
        (reasoning("gAAAAABo"), ("input.encrypted_content",)),
        (reasoning("claude-proxy.1.!!!"), ("input.encrypted_content",)),
        (reasoning(None, summary=[{"type": "summary_text", "text": "so"}]), ("input.summary",)),
        (reasoning(None, content=[{"type": "reasoning_text", "text": "so"}]), ("input.summary",)),
        (reasoning(None), ()),
    ],
)
def test_r04_foreign_reasoning_is_a_named_loss(item: dict[str, Any], losses: tuple[str, ...]) -> None:
    """R04: another's signature means nothing here; what holds nothing loses nothing."""
    parsed = ask(HI, item, assistant("a"), HI)
    assert parsed.losses == losses
    assert len(parsed.request.messages[1].content) == 1


def test_tools_may_come_with_the_input() -> None:
    """They are offered beside the others."""
    more = {"type": "additional_tools", "role": "developer", "tools": [custom("exec"), function("wait")]}
    assert [tool.name for tool in ask(more, HI, tools=[function("f")]).request.tools] == ["f", "exec", "wait"]
    assert ask({"type": "additional_tools", "tools": None}, HI).request.tools == ()
    bad = {"type": "additional_tools", "tools": [function("no way")]}
    assert refused(HI, bad).param == "input[1].tools[0].name"
