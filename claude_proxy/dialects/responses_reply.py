"""Our events to a Responses stream, and to the response that isn't streamed: one translator for both. Pure.

Source: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.canon.blocks import Json, RedactedThinking, Text, Thinking, ToolUse
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from claude_proxy.dialects.base import Parsed, Stamp
from claude_proxy.dialects.chat_json_object import JsonObjectText
from claude_proxy.dialects.json_text import json_text
from claude_proxy.dialects.responses_items import (
    CustomItem,
    FunctionItem,
    Item,
    MessageItem,
    ReasoningItem,
    call_item,
)
from claude_proxy.dialects.responses_object import Outcome, Response, failure, outcome, usage_object
from claude_proxy.dialects.responses_request import ResponsesOptions
from claude_proxy.dialects.responses_tools import Callee
from claude_proxy.errors import ProxyError, UpstreamError
from claude_proxy.framing import sse_event

_IN_PROGRESS = Outcome()
_REFUSAL = "The model refused to answer."
_MAY_BE_EMPTY = frozenset(("max_tokens", "model_context_window_exceeded", "refusal", "stop_sequence"))
"""The ends that a reply may come to before its first word."""


@dataclass(slots=True)
class ResponsesStream:
    """Renders one reply as named, numbered events.

    ``feed`` raises ``UpstreamError`` where the reply turns out to be none: empty, or not the JSON that was asked for.
    An item stays open until the next one begins or the reply ends: only then is it known whether it is whole.
    """

    parsed: Parsed
    stamp: Stamp
    response: bytes = b""
    """The response object's JSON, as it was told last."""
    items: list[Json] = field(default_factory=list)
    """The output's items, what the model thought included, whoever asked for it: what a conversation goes on from."""
    is_whole: bool = False
    """The reply is complete, and ``response`` tells all of it."""
    _number: int = 0
    _shown: list[Json] = field(default_factory=list)
    _head: Response | None = None
    _open: Item | None = None
    _inside: Item | None = None
    """The open item, while the block that it is made of isn't complete."""
    _place: bytes = b""
    """What all events of the open item tell of it."""
    _has_words: bool = False
    _has_blocks: bool = False
    _json: JsonObjectText | None = None
    _usage: Usage = field(default_factory=Usage)
    _stop_reason: str | None = None

    def feed(self, event: AnyEvent) -> bytes:
        """Frames for the next event of a legal sequence."""
        render = _RENDER.get(type(event))
        return render(self, event) if render is not None else b""

    def finish(self) -> bytes:
        """Nothing: the last event says that it is the last."""
        return b""

    def fail(self, error: ProxyError) -> bytes:
        """``response.failed``, with all that came before; also where nothing did."""
        frames = b"" if self._head else self._begin(self.parsed.request.model)
        # An item that is still open is never told as done: some clients run a call as soon as it is.
        self.is_whole = False
        return frames + self._state(failure(error), "failed")

    @property
    def _options(self) -> ResponsesOptions:
        options: ResponsesOptions = self.parsed.options
        return options

    def _event(self, name: str, fields: Json, place: bytes = b"") -> bytes:
        kind = f"response.{name}"
        head = b'{"type":"%b","sequence_number":%d,' % (kind.encode(), self._number)
        self._number += 1
        return sse_event(kind, head + place + json_text(fields)[1:])

    def _state(self, now: Outcome, *names: str) -> bytes:
        """Tell how the response stands, in an event of each name."""
        assert self._head is not None
        usage = None if now.status == "in_progress" else usage_object(self._usage)
        self.response = self._head.render(now, self._shown, usage)
        told = {"response": msgspec.Raw(self.response)}
        return b"".join([self._event(name, told) for name in names])

    def begin(self, event: MessageStart) -> bytes:
        """The first two events, with the response as it stands."""
        self._usage = event.usage
        if self._options.json_object:
            self._json = JsonObjectText()
        return self._begin(event.model)

    def _begin(self, model: str) -> bytes:
        self._head = Response.of(f"resp_{self.stamp.id}", self.stamp.created, model, self._options.echo)
        return self._state(_IN_PROGRESS, "created", "in_progress")

    def open(self, event: BlockStart) -> bytes:
        """Begin an item, or go on with the text of the last one."""
        block = event.block
        self._has_blocks = self._has_blocks or not isinstance(block, Text)
        match block:
            case Text(text=text):
                return self._text(text)
            case ToolUse():
                self._has_words = True
                callee = self._options.callees.get(block.name) or Callee(block.name)
                return self._begin_item(call_item(self._of_item, block, callee))
            case Thinking() | RedactedThinking():
                return self._open_thinking(block)
            case _:
                # What the Responses API has other words for, if any: tools that ran upstream.
                return b""

    def _open_thinking(self, block: Thinking | RedactedThinking) -> bytes:
        reasoning = self.parsed.request.reasoning
        if reasoning.mode != "on" and not self._options.encrypted_reasoning:
            return b""
        item = ReasoningItem.of(self._of_item, block, visible=reasoning.visible)
        frames = self._begin_item(item)
        if isinstance(block, Thinking):
            item.sign(block.signature)
            frames += item.think(block.thinking)
        return frames

    def _of_item(self, name: str, fields: Json) -> bytes:
        return self._event(name, fields, self._place)

    def _begin_item(self, item: Item) -> bytes:
        frames = self._close("completed")
        item.item["id"] += f"{self.stamp.id}{len(self._shown):04d}"
        self._open = self._inside = item
        place = {"item_id": item.item["id"], "output_index": len(self._shown)}
        self._place = msgspec.json.encode(place)[1:-1] + b","
        return frames + self._told("added", item.item | {"status": "in_progress"})

    def _close(self, status: str) -> bytes:
        """Complete the item that is open, if one is."""
        if self._open is None:
            return b""
        frames = self._open.close(status)
        item = self._open.item
        self._open = None
        shown = dict(item)
        if not self._options.encrypted_reasoning:
            shown.pop("encrypted_content", None)
        frames += self._told("done", shown)
        self._shown.append(shown)
        self.items.append(item)
        return frames

    def _told(self, what: str, item: Json) -> bytes:
        return self._event(f"output_item.{what}", {"output_index": len(self._shown), "item": item})

    def text(self, event: TextDelta) -> bytes:
        """More of the text."""
        return self._text(event.text)

    def _text(self, text: str) -> bytes:
        return self._say(text if self._json is None else self._json.feed(text))

    def _say(self, text: str) -> bytes:
        if not text:
            return b""
        self._has_words = True
        frames, message = self._message()
        return frames + message.text(text)

    def _message(self) -> tuple[bytes, MessageItem]:
        """Give the open message, a new one where none is."""
        if isinstance(self._open, MessageItem):
            return b"", self._open
        message = MessageItem.of(self._of_item)
        return self._begin_item(message), message

    def thinking(self, event: ThinkingDelta) -> bytes:
        """More of the thinking, for who asked for it."""
        return self._inside.think(event.thinking) if isinstance(self._inside, ReasoningItem) else b""

    def sign(self, event: SignatureDelta) -> bytes:
        """What proves the thinking; it is told when the item is complete."""
        if isinstance(self._inside, ReasoningItem):
            self._inside.sign(event.signature)
        return b""

    def arguments(self, event: InputJsonDelta) -> bytes:
        """More of the open call's arguments."""
        return self._inside.argue(event.partial_json) if isinstance(self._inside, FunctionItem | CustomItem) else b""

    def leave(self, _: BlockStop) -> bytes:
        """Nothing: the item is complete when the next one begins."""
        self._inside = None
        return b""

    def note_end(self, event: MessageDelta) -> bytes:
        """Nothing yet: a later event may still correct it."""
        self._stop_reason = event.stop_reason
        self._usage = self._usage.merged(event.usage)
        return b""

    def end(self, _: MessageStop) -> bytes:
        """Complete the last item, and the response."""
        rest = self._json.close() if self._json else ""
        if not (rest or self._has_words or self._has_blocks) and self._stop_reason not in _MAY_BE_EMPTY:
            raise UpstreamError("the model's reply was empty")
        if self._json and self._stop_reason == "end_turn" and not self._has_calls():
            self._json.check()
        frames = self._say(rest)
        now = outcome(self._stop_reason)
        if now.reason == "content_filter":
            begun, message = self._message()
            frames += begun + message.refuse(_REFUSAL)
        self.is_whole = True
        return frames + self._close(now.status) + self._state(now, now.status)

    def _has_calls(self) -> bool:
        items = [*self._shown, *([self._open.item] if self._open else [])]
        return any(item["type"] in ("function_call", "custom_tool_call") for item in items)


_RENDER: dict[type, Callable[[ResponsesStream, Any], bytes]] = {
    TextDelta: ResponsesStream.text,
    InputJsonDelta: ResponsesStream.arguments,
    ThinkingDelta: ResponsesStream.thinking,
    SignatureDelta: ResponsesStream.sign,
    BlockStart: ResponsesStream.open,
    BlockStop: ResponsesStream.leave,
    MessageStart: ResponsesStream.begin,
    MessageDelta: ResponsesStream.note_end,
    MessageStop: ResponsesStream.end,
}


def whole(parsed: Parsed, events: Iterable[AnyEvent], stamp: Stamp) -> ResponsesStream:
    """Take a complete, legal sequence of events; ``response`` and ``items`` of what comes are the reply."""
    stream = ResponsesStream(parsed, stamp)
    for event in events:
        stream.feed(event)
    return stream
