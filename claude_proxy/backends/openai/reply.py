"""A Chat Completions answer as our events. Pure: any split of the bytes gives the same ones.

Lenient in how an upstream says something, strict in whether it did: a reply that breaks off, or that is none, raises.
Source: https://platform.openai.com/docs/api-reference/chat-streaming.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from claude_proxy.backends.openai import ending
from claude_proxy.backends.openai.blocks import Blocks
from claude_proxy.backends.openai.calls import Calls
from claude_proxy.backends.openai.documents import Documents
from claude_proxy.backends.openai.failures import find_error, from_object
from claude_proxy.canon.blocks import Json
from claude_proxy.canon.events import AnyEvent, MessageDelta, MessageStart, MessageStop, Usage
from claude_proxy.errors import UpstreamError


@dataclass(slots=True)
class ChatReply:
    """Reads one answer, streamed or not.

    ``model`` is the one asked for, ``token`` what stands in ids that the upstream leaves out. Reasoning is told only
    where ``with_thinking``. A failure that the upstream tells of is raised as its ``ProxyError``.
    """

    model: str
    token: str
    with_thinking: bool = False
    _documents: Documents = field(default_factory=Documents)
    _blocks: Blocks = field(init=False)
    _is_begun: bool = False
    _finish: str | None = None
    _is_refused: bool = False
    _usage: Usage = field(default_factory=Usage)
    _is_over: bool = False

    def __post_init__(self) -> None:
        self._blocks = Blocks(Calls(self.token))

    @property
    def is_finished(self) -> bool:
        """Whether the upstream has said that the reply is complete: only its usage may still come."""
        return self._finish is not None or self._documents.is_done

    @property
    def is_over(self) -> bool:
        """Whether the last event has been given: nothing more needs to be read."""
        return self._is_over

    def feed(self, data: bytes) -> Iterator[AnyEvent]:
        """Take the next bytes; give the events they complete, before any failure in them is raised."""
        for document in self._documents.feed(data):
            yield from self._document(document)
        if self._documents.is_done:
            yield from self._last()

    def end(self) -> Iterator[AnyEvent]:
        """Take the end of the answer; raise ``UpstreamError`` where the reply isn't complete."""
        for document in self._documents.end():
            yield from self._document(document)
        yield from self._last()

    def _document(self, document: Any) -> Iterator[AnyEvent]:
        error = find_error(document)
        if error is not None:
            raise from_object(error)
        if not isinstance(document, dict):
            raise UpstreamError("the upstream sent a chunk that isn't an object")
        choice = self._choice(document)
        for counted in (document, choice):
            if isinstance(counted.get("usage"), dict):
                self._usage = ending.usage(counted["usage"])
        if not choice:
            return
        if not self._is_begun:
            self._is_begun = True
            yield MessageStart(id=_string(document.get("id")) or self.token, model=self._answering(document))
        finish = _string(choice.get("finish_reason"))
        self._finish = (finish if finish != "null" else "") or self._finish
        delta = choice.get("delta")
        if isinstance(delta, dict):
            yield from self._delta(delta)
        elif isinstance(choice.get("message"), dict):
            yield from self._delta(choice["message"], is_whole=True)

    def _choice(self, document: Json) -> Json:
        """Give the first choice. There is no other: more than one is never asked for."""
        choices = document.get("choices")
        if not isinstance(choices, list):
            return {}
        first = [choice for choice in choices if isinstance(choice, dict) and choice.get("index") in (0, None)]
        return first[0] if first else {}

    def _answering(self, document: Json) -> str:
        return _string(document.get("model")) or self.model

    def _delta(self, delta: Json, *, is_whole: bool = False) -> Iterator[AnyEvent]:
        if self.with_thinking:
            yield from self._blocks.thinking(_string(delta.get("reasoning_content")) or _string(delta.get("reasoning")))
        yield from self._content(delta.get("content"))
        if refusal := _string(delta.get("refusal")):
            self._is_refused = True
            yield from self._blocks.text(refusal)
        calls = delta.get("tool_calls")
        for place, raw in enumerate(calls if isinstance(calls, list) else ()):
            yield from self._blocks.call(raw, place if is_whole else None)
        if delta.get("function_call"):
            yield from self._blocks.call({"function": delta["function_call"]})

    def _content(self, content: Any) -> Iterator[AnyEvent]:
        """Take content: text, or the list of parts that some upstreams give, with reasoning among them."""
        if isinstance(content, list):
            for part in content:
                yield from self._part(part if isinstance(part, dict) else {})
        else:
            yield from self._blocks.text(_string(content))

    def _part(self, part: Json) -> Iterator[AnyEvent]:
        if part.get("type") != "thinking":
            yield from self._blocks.text(_string(part.get("text")))
        elif self.with_thinking:
            pieces = part.get("thinking")
            for piece in pieces if isinstance(pieces, list) else [{"text": pieces}]:
                yield from self._blocks.thinking(_string(piece.get("text")) if isinstance(piece, dict) else "")

    def _last(self) -> Iterator[AnyEvent]:
        if self._is_over:
            return
        if not self._is_begun:
            raise UpstreamError("the upstream's reply was empty")
        if not self.is_finished:
            raise UpstreamError("the upstream's reply broke off")
        self._is_over = True
        reason = ending.stop_reason(self._finish, has_calls=bool(self._blocks.calls.all), is_refused=self._is_refused)
        yield from self._blocks.close()
        yield MessageDelta(stop_reason=reason, usage=self._usage)
        yield MessageStop()


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
