"""Whole conversations: a request and what it becomes, a reply's events and what they become.

Each file of ``golden/chat`` holds ``request`` and ``canon`` (the fields that are asked for, ``losses`` beside), and
``events`` (as the Messages API streams them) with the ``deltas``, ``finish_reason`` and ``message`` that they make.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chat_asking import completed, decoded, deltas, streamed

from claude_proxy.canon.codec import encode_message
from claude_proxy.canon.request import Request
from claude_proxy.dialects.chat import CHAT

FILES = sorted((Path(__file__).parent / "golden" / "chat").glob("*.json"))


def shown(request: Request) -> Any:
    """Give a request's JSON: only what is asked for, blocks as the Messages API writes them."""
    empty = Request(model="", messages=())
    fields = {name: getattr(request, name) for name in Request.__struct_fields__}
    asked = {name: value for name, value in fields.items() if value != getattr(empty, name)}
    asked["messages"] = [encode_message(message) for message in request.messages]
    return json.loads(msgspec.json.encode(asked))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Any:
    """One conversation."""
    return json.loads(request.param.read_text())


def test_the_request_becomes_ours(golden: Any) -> None:
    """The request is what the file says, and so is what is lost of it."""
    parsed = CHAT.parse(json.dumps(golden["request"]).encode())
    assert shown(parsed.request) == golden["canon"]
    assert list(parsed.losses) == golden["losses"]


def test_the_events_become_chunks(golden: Any) -> None:
    """The stream is what the file says."""
    parsed = CHAT.parse(json.dumps(golden["request"]).encode())
    events = decoded(golden["events"])
    assert deltas(parsed, events) == golden["deltas"]
    last = [chunk for chunk in streamed(parsed, events)[:-1] if chunk["choices"]][-1]
    assert last["choices"][0]["finish_reason"] == golden["finish_reason"]


def test_the_events_become_a_completion(golden: Any) -> None:
    """And so is the reply that isn't streamed."""
    parsed = CHAT.parse(json.dumps(golden["request"]).encode())
    completion = completed(parsed, decoded(golden["events"]))
    assert completion["choices"][0]["message"] == golden["message"]
    assert completion["choices"][0]["finish_reason"] == golden["finish_reason"]
    assert completion["usage"] == golden["usage"]


def test_there_are_conversations() -> None:
    """An empty folder would pass everything above."""
    assert len(FILES) >= 6
