"""The items of a response's output under way, and the events that tell of them. Pure.

An item is open from ``output_item.added`` to ``output_item.done``. ``item`` is what it is by now; each method gives
the frames of what it changes. Source: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from claude_proxy.canon.blocks import Json, RedactedThinking, Thinking, ToolUse
from claude_proxy.dialects.responses_custom import CustomInput
from claude_proxy.dialects.responses_reasoning import seal
from claude_proxy.dialects.responses_tools import Callee

Tell = Callable[[str, Json], bytes]
"""Makes the frame of an event, out of its name and its fields."""


class Item(Protocol):
    """What all open items have in common."""

    item: Json
    """Its id is only a prefix until the item has its place in the output."""

    def close(self, status: str) -> bytes:
        """Complete the item's inside."""


@dataclass(slots=True)
class MessageItem:
    """A message: one text, and where the model refused to go on, a refusal."""

    tell: Tell
    item: Json
    _text: list[str] = field(default_factory=list)
    _index: int = -1
    """The last part's."""
    _is_text_open: bool = False

    @staticmethod
    def of(tell: Tell) -> MessageItem:
        """Give an empty message."""
        return MessageItem(tell, {"id": "msg_", "type": "message", "role": "assistant", "content": []})

    def text(self, text: str) -> bytes:
        """More of the text."""
        frames = b"" if self._is_text_open else self._open(_text_part(""))
        self._is_text_open = True
        self._text.append(text)
        return frames + self.tell("output_text.delta", {"content_index": self._index, "delta": text, "logprobs": []})

    def refuse(self, words: str) -> bytes:
        """Tell in ``words`` that the model refused."""
        frames = self._close_text() + self._open({"type": "refusal", "refusal": ""})
        frames += self._told("refusal.delta", {"delta": words}) + self._told("refusal.done", {"refusal": words})
        return frames + self._done({"type": "refusal", "refusal": words})

    def close(self, status: str) -> bytes:
        """Complete the text."""
        self.item["status"] = status
        return self._close_text()

    def _close_text(self) -> bytes:
        if not self._is_text_open:
            return b""
        self._is_text_open = False
        text = "".join(self._text)
        return self._told("output_text.done", {"text": text, "logprobs": []}) + self._done(_text_part(text))

    def _open(self, part: Json) -> bytes:
        self._index += 1
        return self._told("content_part.added", {"part": part})

    def _done(self, part: Json) -> bytes:
        self.item["content"].append(part)
        return self._told("content_part.done", {"part": part})

    def _told(self, name: str, fields: Json) -> bytes:
        return self.tell(name, {"content_index": self._index, **fields})


def _text_part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


@dataclass(slots=True)
class ReasoningItem:
    """What the model thought: its summary for who may read it, and the whole, signed, for who brings it back."""

    tell: Tell
    item: Json
    block: Thinking | RedactedThinking
    visible: bool
    _text: list[str] = field(default_factory=list)
    _signature: list[str] = field(default_factory=list)
    _is_shown: bool = False

    @staticmethod
    def of(tell: Tell, block: Thinking | RedactedThinking, *, visible: bool) -> ReasoningItem:
        """Give an item that holds nothing yet."""
        return ReasoningItem(tell, {"id": "rs_", "type": "reasoning", "summary": []}, block, visible)

    def think(self, text: str) -> bytes:
        """More of the thinking."""
        self._text.append(text)
        if not text or not self.visible:
            return b""
        frames = b"" if self._is_shown else self._told("part.added", {"part": {"type": "summary_text", "text": ""}})
        self._is_shown = True
        return frames + self._told("text.delta", {"delta": text})

    def sign(self, signature: str) -> None:
        """Take the signature."""
        self._signature.append(signature)

    def close(self, status: str) -> bytes:
        """Complete the summary, and seal the whole."""
        text = "".join(self._text)
        block = self.block
        if isinstance(block, Thinking):
            block = Thinking(thinking=text, signature="".join(self._signature))
        self.item |= {"encrypted_content": seal(block), "status": status}
        if not self._is_shown:
            return b""
        part = {"type": "summary_text", "text": text}
        self.item["summary"].append(part)
        return self._told("text.done", {"text": text}) + self._told("part.done", {"part": part})

    def _told(self, name: str, fields: Json) -> bytes:
        return self.tell(f"reasoning_summary_{name}", {"summary_index": 0, **fields})


@dataclass(slots=True)
class FunctionItem:
    """A call of a function."""

    tell: Tell
    item: Json
    whole: Json
    _pieces: list[str] = field(default_factory=list)

    def argue(self, piece: str) -> bytes:
        """More of the arguments."""
        if not piece:
            return b""
        self._pieces.append(piece)
        return self.tell("function_call_arguments.delta", {"delta": piece})

    def close(self, status: str) -> bytes:
        """Complete the arguments."""
        frames = b"" if self._pieces else self.argue(msgspec.json.encode(self.whole).decode())
        arguments = "".join(self._pieces)
        self.item |= {"arguments": arguments, "status": status}
        return frames + self.tell("function_call_arguments.done", {"arguments": arguments})


@dataclass(slots=True)
class CustomItem:
    """A call of a custom tool."""

    tell: Tell
    item: Json
    whole: Json
    _input: CustomInput = field(default_factory=CustomInput)

    def argue(self, piece: str) -> bytes:
        """More of the function's arguments that the text is in."""
        return self._told(self._input.feed(piece))

    def close(self, status: str) -> bytes:
        """Complete the text."""
        frames = self._told(self._input.close(self.whole))
        self.item |= {"input": self._input.text, "status": status}
        return frames + self.tell("custom_tool_call_input.done", {"input": self._input.text})

    def _told(self, text: str) -> bytes:
        return self.tell("custom_tool_call_input.delta", {"delta": text}) if text else b""


def call_item(tell: Tell, block: ToolUse, callee: Callee) -> FunctionItem | CustomItem:
    """Give the item for a call, in the client's own names."""
    named = {"call_id": block.id, "name": callee.name}
    if callee.namespace is not None:
        named["namespace"] = callee.namespace
    if callee.custom:
        return CustomItem(tell, {"id": "ctc_", "type": "custom_tool_call", **named, "input": ""}, block.input)
    return FunctionItem(tell, {"id": "fc_", "type": "function_call", **named, "arguments": ""}, block.input)
