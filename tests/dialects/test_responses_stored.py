"""A response that is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_asking import reply, text
from openai.types.responses import ResponseItemList
from responses_asking import HI, STAMP, THINKING, ask, body, call, function, signed, use
from responses_asking import output as output_item

from claude_proxy.canon.blocks import Text, Thinking, ToolUse
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.responses_reply import ResponsesStream, whole
from claude_proxy.dialects.responses_request import parse
from claude_proxy.dialects.responses_stored import input_items, named, page, unsealed
from claude_proxy.errors import BadRequest

PNG = "data:image/png;base64,aGk="


def conversation(parsed: Parsed, made: ResponsesStream, token: str) -> tuple[Any, ...]:
    """Give the items that the next request goes on from."""
    return (*parsed.options.earlier, *named(parsed.options.input, token), *made.items)


def test_r06_a_stored_conversation_goes_on() -> None:
    """R06: the next request sees all of it, thinking and signature included, but not the instructions."""
    first = ask(HI, tools=[function("f")], instructions="be", **THINKING)
    made = whole(first, reply(signed("so"), text("a", index=1), use("f", "{}", index=2), stop="tool_use"), STAMP)
    second = parse(body(output_item("toolu_2")), conversation(first, made, "a"))
    answered = whole(second, reply(text("b")), STAMP)
    third = parse(body(HI), conversation(second, answered, "b"))

    assert third.losses == ()
    assert third.request.system == ()
    assert [message.role for message in third.request.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert third.request.messages[1].content == (
        Thinking(thinking="so", signature="c2ln"),
        Text(text="a"),
        ToolUse(id="toolu_2", name="f", input={}),
    )
    assert third.request.messages[:2] == second.request.messages[:2]


def listed(*items: Any, earlier: tuple[Any, ...] = (), **fields: Any) -> list[dict[str, Any]]:
    """Give the input items of such a request, having made sure that the official type knows them."""
    found = input_items((*earlier, *named(ask(*items, earlier=earlier).options.input, "abc")), **fields)
    shown = json.loads(page(found, order="asc"))
    assert [item.type for item in ResponseItemList.model_validate(shown, strict=True).data] == [
        item["type"] for item in found
    ]
    return found


def test_r09_a_string_is_listed_as_an_item() -> None:
    """R09: with an id, a status and parts."""
    (item,) = input_items(named(parse(b'{"input": "hi"}').options.input, "abc"))
    assert item == {
        "id": "msg_abci0000",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "hi"}],
    }


def test_r09_every_kind_of_item_is_listed_whole() -> None:
    """R09: what the client left out is there."""
    made = {"type": "custom_tool_call", "call_id": "b", "name": "patch", "input": "x"}
    found = listed(
        {"role": "user", "content": ["see", {"type": "input_image", "image_url": PNG}]},
        {"role": "assistant", "content": "a"},
        call("a"),
        output_item("a"),
        made,
        {"type": "custom_tool_call_output", "call_id": "b", "output": "ok"},
        {"role": "developer", "content": None},
    )
    ids = [
        "msg_abci0000",
        "msg_abci0001",
        "fc_abci0002",
        "fco_abci0003",
        "ctc_abci0004",
        "ctco_abci0005",
        "msg_abci0006",
    ]
    assert [item["id"] for item in found] == ids
    assert found[0]["content"][1]["detail"] == "auto"
    assert found[1]["content"] == [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]
    assert found[6]["content"] == [{"type": "input_text", "text": ""}]


def test_r09_ids_that_are_there_are_kept() -> None:
    """R09: an item of a kind we drop has one too."""
    found = named([HI | {"id": "msg_1"}, {"type": "compaction"}, HI], "abc")
    assert [item["id"] for item in found] == ["msg_1", "item_abci0001", "msg_abci0002"]
    assert named(found, "other") == found


@pytest.mark.parametrize("encrypted", [True, False])
def test_what_the_model_thought_is_listed_for_who_asks(encrypted: bool) -> None:  # noqa: FBT001 - a parameter
    """Sealed, as in the output."""
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    found = listed(item, {"role": "assistant", "content": "a"}, encrypted=encrypted)
    assert ("encrypted_content" in found[0]) is encrypted


def test_r04_a_response_is_shown_with_what_was_thought() -> None:
    """R04: as it was kept, for who asks later."""
    made = whole(ask(HI, **THINKING), reply(signed("so"), text("a", index=1)), STAMP)
    assert "encrypted_content" not in json.loads(made.response)["output"][0]
    shown = json.loads(unsealed(made.response, made.items))
    assert shown["output"] == made.items
    assert shown | {"output": []} == json.loads(made.response) | {"output": []}


ITEMS = [{"id": str(number)} for number in range(5)]


@pytest.mark.parametrize(
    ("fields", "ids", "more"),
    [
        ({}, "43210", False),
        ({"order": "asc"}, "01234", False),
        ({"limit": 2}, "43", True),
        ({"limit": 2, "after": "3"}, "21", True),
        ({"limit": 2, "after": "2"}, "10", False),
        ({"after": "0"}, "", False),
    ],
)
def test_a_page_of_items(fields: dict[str, Any], ids: str, *, more: bool) -> None:
    """The newest first where nothing is said."""
    found = json.loads(page(ITEMS, **fields))
    assert (found["object"], "".join(item["id"] for item in found["data"])) == ("list", ids)
    assert (found["first_id"], found["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
    assert found["has_more"] is more


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "up"}, "order"), ({"after": "x"}, "after")],
)
def test_a_page_that_isnt_there_is_refused(fields: dict[str, Any], param: str) -> None:
    """Naming the parameter."""
    with pytest.raises(BadRequest) as raised:
        page(ITEMS, **fields)
    assert raised.value.param == param
