"""A child's stdout, line by line, to signals: the reply's events and everything else we must know. Pure.

Two orders are followed. Of one reply: a turn begins when we ask, its events pass the grammar, and it ends at the
first ``message_stop`` or with a ``TurnFailed``, whichever comes first; whatever the CLI does by itself after that
(it goes on after ``max_tokens``, and repeats each block in an ``assistant`` line) is dropped. Of all messages:
each user message is answered by one ``result`` line, in order, so that a late failure is charged to its own message.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.backends.claude_cli.failures import SIGN_IN, failure
from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.backends.claude_cli.signals import (
    Answered,
    HistoryTaken,
    LoopEnded,
    McpAsked,
    Refused,
    Signal,
    ToolCalled,
    ToolsListed,
    TurnFailed,
)
from claude_proxy.canon.blocks import Json
from claude_proxy.canon.codec import decode_event
from claude_proxy.canon.events import MessageDelta, MessageStop
from claude_proxy.canon.grammar import Grammar
from claude_proxy.errors import ProxyError, UpstreamError


class _Line(msgspec.Struct):
    """The fields that any line may have. What isn't needed for dispatch stays undecoded."""

    type: str = ""
    subtype: str = ""
    event: msgspec.Raw = msgspec.Raw()
    parent_tool_use_id: str | None = None
    request_id: str = ""
    request: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    rate_limit_info: msgspec.Raw = msgspec.Raw()
    tools: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    is_error: Any = False
    api_error_status: Any = None
    result: msgspec.Raw = msgspec.Raw()
    modelUsage: msgspec.Raw = msgspec.Raw()  # noqa: N815  # the CLI's spelling


class _Mcp(msgspec.Struct):
    method: str = ""
    id: int | str | None = None
    params: Json | None = None


class _ControlRequest(msgspec.Struct):
    subtype: str = ""
    message: msgspec.Raw = msgspec.Raw()


class _ControlResponse(msgspec.Struct):
    request_id: str
    subtype: str = ""
    response: Json | None = None
    error: str | None = None


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_request = msgspec.json.Decoder(_ControlRequest).decode
_decode_mcp = msgspec.json.Decoder(_Mcp).decode
_decode_response = msgspec.json.Decoder(_ControlResponse).decode


@dataclass(slots=True, eq=False)
class _Sent:
    """A user message that has no ``result`` yet.

    ``replying``: its reply isn't complete. ``broken``: nor will it ever be, and its ``result`` says why.
    """

    asks: bool
    replying: bool = False
    broken: bool = False


@dataclass(slots=True)
class Turns:
    """Follows one child. ``feed`` gives the signals of a line; a line that isn't ours to understand gives none."""

    limits: Limits | None = None
    sign_in: str = SIGN_IN
    """What to do when nobody is signed in."""
    _grammar: Grammar = field(default_factory=Grammar)
    _open: deque[_Sent] = field(default_factory=deque)
    """Oldest first: results come in this order, and may come after the next message was sent."""
    _current: _Sent = field(default_factory=lambda: _Sent(asks=False))
    _error_kind: str | None = None

    @property
    def active(self) -> bool:
        """A turn is under way: asked for, and not yet ended."""
        return self._current.replying

    def ask(self) -> None:
        """Say that a user message which asks the model is on its way. Nobody waits for an older reply then."""
        self.give_up()
        self._current = _Sent(asks=True)
        self._open.append(self._current)
        self.resume()

    def inject(self) -> None:
        """Say that a user message which is history is on its way."""
        self._open.append(_Sent(asks=False))

    def resume(self) -> None:
        """Say that the pending tool calls are being answered: the turn goes on, with a new reply."""
        self._current.replying, self._current.broken = True, False
        self._grammar = Grammar()
        self._error_kind = None

    def give_up(self) -> None:
        """Say that nobody waits for the reply any more: its events are dropped."""
        self._current.replying = False

    def feed(self, line: bytes) -> list[Signal]:
        """Take one line."""
        try:
            return self._dispatch(_decode_line(line))
        except (msgspec.DecodeError, ValueError, RecursionError):
            # Not JSON, not UTF-8, nested without end, or not of the shape we know.
            return []

    def _dispatch(self, line: _Line) -> list[Signal]:
        match line.type:
            case "stream_event":
                return self._event(line)
            case "control_request":
                return self._asked(line)
            case "control_response":
                answer = _decode_response(line.response)
                error = None if answer.subtype == "success" else answer.error or "refused without a reason"
                return [Answered(answer.request_id, answer.response or {}, error)]
            case "rate_limit_event":
                self.limits = Limits.parse(_object(line.rate_limit_info))
                return [self.limits]
            case "assistant" if line.parent_tool_use_id is None and bytes(line.error):
                kind = msgspec.json.decode(line.error)
                # A refusal is a whole reply, whose end follows; the CLI's own words about it aren't the model's.
                if isinstance(kind, str) and _said(line.message) != "refusal":
                    self._error_kind = kind
                    self._current.broken = True
                return []
            case "system" if line.subtype == "init":
                names = msgspec.json.decode(line.tools or b"[]", type=list[str])
                return [ToolsListed(frozenset(names))]
            case "result":
                return self._result(line)
            case _:
                return []

    def _event(self, line: _Line) -> list[Signal]:
        if not self.active or self._current.broken or line.parent_tool_use_id is not None:
            return []
        try:
            event = decode_event(line.event)
            if event is None:
                return []
            if isinstance(event, MessageDelta) and event.stop_reason is None:
                # The CLI closes a stream that broke upstream as if it were whole; only this tells.
                self._current.broken = True
                return []
            self._grammar.check(event)
        except ProxyError as error:
            self.give_up()
            return [TurnFailed(error)]
        if type(event) is MessageStop:
            self.give_up()
        return [event]

    def _asked(self, line: _Line) -> list[Signal]:
        request = _decode_request(line.request)
        if request.subtype != "mcp_message":
            return [Refused(line.request_id, request.subtype)]
        message = _decode_mcp(request.message)
        params = message.params or {}
        if message.method == "tools/call":
            meta = params.get("_meta")
            call_id = meta.get("claudecode/toolUseId") if isinstance(meta, dict) else None
            return [ToolCalled(line.request_id, message.id, str(call_id or ""))]
        return [McpAsked(line.request_id, message.method, message.id, params)]

    def _result(self, line: _Line) -> list[Signal]:
        sent = self._open.popleft() if self._open else self._current
        error = self._failure(line) if line.is_error else None
        if not sent.asks:
            return [HistoryTaken(error)]
        usage = _object(line.modelUsage)
        ended = LoopEnded(
            failed=bool(line.is_error) or sent.replying,
            max_output_tokens=_counts(usage, "maxOutputTokens"),
            context_window=_counts(usage, "contextWindow"),
        )
        if not sent.replying:
            return [ended]
        sent.replying = False
        return [TurnFailed(error or UpstreamError("the CLI ended the turn before the reply was complete")), ended]

    def _failure(self, line: _Line) -> ProxyError:
        text = msgspec.json.decode(line.result) if bytes(line.result) else ""
        status = line.api_error_status if isinstance(line.api_error_status, int) else None
        return failure(
            text if isinstance(text, str) else "", status, self._error_kind, self.limits, advice=self.sign_in
        )


def _said(message: msgspec.Raw) -> Any:
    """Give the stop reason of a message of the CLI's own."""
    return _object(message).get("stop_reason")


def _object(raw: msgspec.Raw) -> Json:
    value = msgspec.json.decode(raw) if bytes(raw) else {}
    return value if isinstance(value, dict) else {}


def _counts(usage: Json, key: str) -> dict[str, int]:
    return {
        model: entry[key]
        for model, entry in usage.items()
        if isinstance(entry, dict) and isinstance(entry.get(key), int)
    }
