"""What an Anthropic upstream says of its tokens, in an answer that is handed on as it comes."""

from __future__ import annotations

from typing import Any

import pytest

from claude_proxy.backends.anthropic.handing import check
from claude_proxy.backends.anthropic.watch import Watch
from claude_proxy.backends.base import Used
from claude_proxy.canon.codec import decode_event
from claude_proxy.canon.events import Usage
from claude_proxy.framing import sse_event

COUNTED = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"i","model":"m-2","usage":'
    b'{"input_tokens":7,"output_tokens":1,"cache_read_input_tokens":5}}}\n\n'
    + sse_event("content_block_delta", b'{"type":"content_block_delta","index":0,"delta":{"type":"x"}}') * 3
    + sse_event("message_delta", b'{"type":"message_delta","delta":{},"usage":{"output_tokens":9}}')
    + sse_event("message_stop", b'{"type":"message_stop"}')
)
USED = Used("m-2", Usage(input_tokens=7, output_tokens=9, cache_read_input_tokens=5))


@pytest.mark.parametrize("data", [COUNTED, COUNTED.replace(b"\n", b"\r\n"), COUNTED.replace(b"event: ", b"event:")])
def test_the_tokens_are_read_wherever_the_stream_is_cut(data: bytes) -> None:
    """Those of its first event, and over them those of the one before the last."""
    for at in range(len(data)):
        watch = Watch()
        watch.feed(data[:at])
        watch.feed(data[at:])
        assert watch.used == USED
    watch = Watch()
    for at in range(len(data)):
        watch.feed(data[at : at + 1])
    assert watch.used == USED


def test_a_client_that_leaves_early_has_used_what_was_said_so_far() -> None:
    """The input, that is."""
    watch = Watch()
    watch.feed(COUNTED[: COUNTED.index(b"event: message_delta")])
    assert watch.used == Used("m-2", Usage(input_tokens=7, output_tokens=1, cache_read_input_tokens=5))


def test_no_delta_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not one whose text has the words that are looked for."""
    seen: list[bytes] = []

    def decode(data: Any) -> Any:
        seen.append(bytes(data))
        return decode_event(data)

    monkeypatch.setattr("claude_proxy.backends.anthropic.watch.decode_event", decode)
    text = '{"type":"content_block_delta","delta":{"type":"text_delta","text":"\\nevent: message_delta\\n error"}}'
    watch = Watch()
    watch.feed(COUNTED.replace(b'{"type":"content_block_delta"', text.encode() + b'{"'))
    assert [data[:24] for data in seen] == [b'{"type":"message_start",', b'{"type":"message_delta",']


def test_counts_that_cant_be_read_are_the_clients_to_wonder_about() -> None:
    """The stream goes on, and what was known stays."""
    watch = Watch()
    broken = COUNTED.replace(b'"delta":{},"usage":{"output_tokens":9}', b'"delta":5')
    assert watch.feed(broken) == broken
    assert watch.has_ended
    assert watch.used.usage.output_tokens == 1


@pytest.mark.parametrize(
    ("body", "used"),
    [
        (b'{"model":"m-2","usage":{"input_tokens":7,"output_tokens":9,"cache_read_input_tokens":5}}', USED),
        (b'{"model":"m-2"}', Used("m-2", Usage())),
        (b'{"input_tokens":3}', Used("", Usage())),
        (b'{"model":5,"usage":[]}', Used("", Usage())),
        (b'{"model":"m","usage":null}', Used("m", Usage())),
    ],
)
def test_a_whole_answer_says_what_it_took(body: bytes, used: Used) -> None:
    """Or nothing, in whatever way."""
    assert check(body) == used
