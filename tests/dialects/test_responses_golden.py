"""Whole conversations: a request and what it becomes, a reply's events and what they become.

Each file of ``golden/responses`` holds ``request`` and ``canon`` (the fields that are asked for, ``losses`` beside),
and ``events`` (as the Messages API streams them) with the ``stream`` (but for its response objects and numbers) and
the ``response`` (what isn't repeated of the request) that they make.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from canon_json import shown
from chat_asking import decoded
from responses_asking import completed, events_of

from claude_proxy.dialects.responses import RESPONSES

FILES = sorted((Path(__file__).parent / "golden" / "responses").glob("*.json"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Any:
    """One conversation."""
    return json.loads(request.param.read_text())


def test_the_request_becomes_ours(golden: Any) -> None:
    """The request is what the file says, and so is what is lost of it."""
    parsed = RESPONSES.parse(json.dumps(golden["request"]).encode())
    assert shown(parsed.request) == golden["canon"]
    assert list(parsed.losses) == golden["losses"]


def test_the_events_become_a_stream(golden: Any) -> None:
    """The stream is what the file says."""
    parsed = RESPONSES.parse(json.dumps(golden["request"]).encode())
    told = [
        {name: value for name, value in event.items() if name not in ("response", "sequence_number")}
        for event in events_of(parsed, decoded(golden["events"]))
    ]
    assert told == golden["stream"]


def test_the_events_become_a_response(golden: Any) -> None:
    """And so is the reply that isn't streamed."""
    parsed = RESPONSES.parse(json.dumps(golden["request"]).encode())
    response = completed(parsed, decoded(golden["events"]))
    assert {name: response[name] for name in golden["response"]} == golden["response"]
    assert {"status", "output", "usage", "incomplete_details"} <= set(golden["response"])


def test_there_are_conversations() -> None:
    """An empty folder would pass everything above."""
    assert len(FILES) >= 6
