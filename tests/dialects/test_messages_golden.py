"""Whole conversations: a request and what it becomes, a reply's events and what they become.

Each file of ``golden/messages`` holds ``request`` and ``canon`` (the fields that are asked for, ``losses`` beside), and
``events`` (as an upstream streams them) with the events that are ``streamed`` and the ``message`` that they make.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from canon_json import shown
from chat_asking import decoded
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_asking import completed, streamed

from claude_proxy.dialects.messages import MESSAGES
from claude_proxy.errors import BadRequest

JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(("type", "text", "content", "source", "id")) | st.text(max_size=3), inner, max_size=3
        )
    ),
    max_leaves=4,
)
FILES = sorted((Path(__file__).parent / "golden" / "messages").glob("*.json"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Any:
    """One conversation."""
    return json.loads(request.param.read_text())


def test_the_request_becomes_ours(golden: Any) -> None:
    """The request is what the file says, and so is what is lost of it."""
    parsed = MESSAGES.parse(json.dumps(golden["request"]).encode())
    assert shown(parsed.request) == golden["canon"]
    assert list(parsed.losses) == golden["losses"]


def test_the_events_become_a_stream(golden: Any) -> None:
    """M11: the stream is what the file says."""
    parsed = MESSAGES.parse(json.dumps(golden["request"]).encode())
    assert streamed(parsed, decoded(golden["events"])) == golden["streamed"]


def test_the_events_become_a_message(golden: Any) -> None:
    """And so is the reply that isn't streamed."""
    parsed = MESSAGES.parse(json.dumps(golden["request"]).encode())
    assert completed(parsed, decoded(golden["events"])) == golden["message"]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_request_that_is_wrong_anywhere_is_a_bad_request(data: st.DataObject) -> None:
    """Whatever stands in whatever place: it is read, or refused with the field's name; nothing else happens."""
    request = json.loads(data.draw(st.sampled_from(FILES)).read_text())["request"]
    holder, key = data.draw(st.sampled_from(list(_places(request))))
    holder[key] = data.draw(JUNK)
    try:
        parsed = MESSAGES.parse(json.dumps(request).encode())
    except BadRequest as error:
        refused: BadRequest | None = error
    else:
        refused = None
        msgspec.json.encode(shown(parsed.request))
    assert refused is None or refused.message.startswith((f"{refused.param}: ", "`max_tokens` must be greater"))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give every place in a JSON value, as what holds it and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def test_there_are_conversations() -> None:
    """An empty folder would pass everything above."""
    assert len(FILES) >= 6
