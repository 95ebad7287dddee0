"""What an OpenAI-compatible upstream says of its tokens, in an answer that is handed on as it comes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai_chunks import DONE, chunk, frame

from claude_proxy.backends.base import UNTOLD, Used
from claude_proxy.backends.openai.handing import check
from claude_proxy.backends.openai.watching import Watch
from claude_proxy.canon.events import Usage

COUNTS = {"prompt_tokens": 12, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 5}}
USED = Used("m-1", Usage(input_tokens=7, output_tokens=9, cache_read_input_tokens=5))
TEXT = chunk({"content": "a"}, usage=None)


def watched(*parts: bytes) -> Used:
    """Give what a stream says that comes in these parts."""
    watch = Watch()
    for part in parts:
        watch.feed(part)
    watch.end()
    return watch.used


@pytest.mark.parametrize(
    "end",
    [
        chunk({}, "stop", usage=None) + frame({"model": "m-1", "choices": [], "usage": COUNTS}) + DONE,
        chunk({}, "stop", usage=COUNTS) + DONE,
        chunk({}, "stop") + frame({"model": "m-1", "usage": COUNTS}),
        frame({"model": "m-1", "choices": [{"delta": {}, "finish_reason": "stop", "usage": COUNTS}]}) + DONE,
        chunk({}, "stop", usage={"prompt_tokens": 1}) + frame({"model": "m-1", "usage": COUNTS}) + DONE,
        chunk({}, "stop", usage=COUNTS).replace(b": ", b":") + b"data:[DONE]\n\n",
    ],
)
def test_the_tokens_are_read_wherever_the_stream_is_cut(end: bytes) -> None:
    """Beside the finish reason, in its choice, or behind it."""
    data = TEXT * 2 + end
    for at in range(len(data)):
        assert watched(data[:at], data[at:]) == USED
    assert watched(*(data[at : at + 1] for at in range(len(data)))) == USED


@pytest.mark.parametrize(
    "end",
    [
        chunk({}, "stop") + DONE,
        chunk({}, "stop", usage=None) + DONE,
        chunk({"content": '"usage": {"prompt_tokens": 5}'}, "stop") + DONE,
        chunk({}, "stop") + b'data: {"usage": {"prompt_tokens": 5}, nonsense\n\n' + DONE,
        DONE,
    ],
)
def test_what_isnt_said_is_unknown(end: bytes) -> None:
    """It is said where the client asks for it, and else by few."""
    assert watched(TEXT, end) == UNTOLD


def test_no_delta_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each of them has the counts so far."""
    seen: list[bytes] = []
    decode = msgspec.json.decode

    def noting(data: bytes) -> Any:
        seen.append(data)
        return decode(data)

    monkeypatch.setattr("claude_proxy.backends.openai.watching.msgspec.json.decode", noting)
    delta = chunk({"content": "a"}, usage={"completion_tokens": 1})

    assert watched(*[delta] * 5, chunk({}, "stop", usage=COUNTS), DONE) == USED
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("document", "used"),
    [
        ({"model": "m-1", "choices": [], "usage": COUNTS}, USED),
        ({"model": "m-1", "choices": [{"usage": COUNTS}]}, USED),
        ({"model": 5, "choices": [5], "usage": [5]}, UNTOLD),
        ([], UNTOLD),
    ],
)
def test_a_whole_answer_says_what_it_took(document: Any, used: Used) -> None:
    """Or nothing, in whatever way."""
    assert check(json.dumps(document).encode()) == used
