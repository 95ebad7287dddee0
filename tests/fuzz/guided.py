"""Bytes that grow towards code that none has reached yet: every pure reader of what comes from outside, with atheris.

``python tests/fuzz/guided.py RUNS`` ends with the bytes that broke something, or in peace. It is for Linux only.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))  # else an editable install's hook hides the modules from atheris

with atheris.instrument_imports(include=["claude_proxy"]):
    from claude_proxy.backends.anthropic import handing as anthropic_handing
    from claude_proxy.backends.anthropic.reply import Reply
    from claude_proxy.backends.anthropic.watch import Watch as AnthropicWatch
    from claude_proxy.backends.claude_cli.turns import Turns
    from claude_proxy.backends.http import failures
    from claude_proxy.backends.openai import catalog, handing
    from claude_proxy.backends.openai.reply import ChatReply
    from claude_proxy.backends.openai.watching import Watch as OpenAIWatch
    from claude_proxy.dialects.chat import CHAT
    from claude_proxy.dialects.messages import MESSAGES
    from claude_proxy.dialects.peek import peek
    from claude_proxy.dialects.responses import RESPONSES
    from claude_proxy.errors import ProxyError
    from claude_proxy.framing import Lines

GOLDEN = Path(__file__).parents[1] / "dialects" / "golden"
STREAM = b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"x","content":[]}}\n\n'
CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
LINE = b'{"type":"stream_event","event":{"type":"message_start","message":{"id":"m"}},"parent_tool_use_id":null}\n'


def _cut(read: Callable[[bytes], object], data: bytes) -> None:
    """Feed bytes in two pieces; the first one says where."""
    at = data[0] if data else 0
    for piece in (data[1 : at + 1], data[at + 1 :]):
        found = read(piece)
        if not isinstance(found, bytes):
            list(found)  # type: ignore[call-overload]  # events, as they come


def _child(data: bytes) -> None:
    turns, lines = Turns(), Lines()
    turns.ask()
    for line in lines.feed(data):
        turns.feed(line)


TARGETS: list[Callable[[bytes], object]] = [
    lambda data: _cut(Reply().feed, data),
    lambda data: _cut(AnthropicWatch().feed, data),
    lambda data: _cut(ChatReply("m", "t").feed, data),
    lambda data: _cut(OpenAIWatch().feed, data),
    _child,
    peek,
    CHAT.parse,
    MESSAGES.parse,
    RESPONSES.parse,
    handing.check,
    anthropic_handing.check,
    catalog.listed,
    lambda data: CHAT.error(failures.from_answer(429, {}, data, now=0.0), "r"),
]
SEEDS = {0: b"\x09" + STREAM, 1: b"\x09" + STREAM, 2: b"\x09" + CHUNK, 3: b"\x09" + CHUNK, 4: LINE}
"""Of the others the golden requests."""


def once(data: bytes) -> None:
    """Try one: its first byte says what reads it."""
    try:
        TARGETS[(data[0] if data else 0) % len(TARGETS)](data[1:])
    except ProxyError as error:
        for shape in (CHAT.error, MESSAGES.error):
            shape(error, "r")


def main() -> None:
    """Try as many as the command line says."""
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in SEEDS.items():
            (Path(folder) / str(number)).write_bytes(bytes([number]) + seed)
        for number, path in enumerate(sorted(GOLDEN.glob("*/*.json"))):
            request = json.dumps(json.loads(path.read_bytes())["request"]).encode()
            for target in range(len(SEEDS), len(TARGETS)):
                (Path(folder) / f"{target}-{number}").write_bytes(bytes([target]) + request)
        atheris.Setup([sys.argv[0], folder, f"-runs={sys.argv[1]}", "-max_len=8000", "-rss_limit_mb=4096"], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
