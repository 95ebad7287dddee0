"""Anthropic's Messages, whole: what the server needs of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from claude_proxy.canon.events import AnyEvent
from claude_proxy.dialects import messages_message, messages_request
from claude_proxy.dialects.base import Parsed, ReplyStream, Stamp
from claude_proxy.dialects.messages_error import error_object
from claude_proxy.dialects.messages_response import PING, MessagesStream
from claude_proxy.errors import ProxyError


class Messages:
    """The Messages dialect."""

    name = "messages"
    keepalive = PING
    names: Mapping[str, str] = {
        "output_schema": "output_config.format",
        "reasoning": "thinking",
        "reasoning.effort": "output_config.effort",
        "reasoning.budget_tokens": "thinking.budget_tokens",
        "disable_parallel_tool_use": "tool_choice.disable_parallel_tool_use",
        "user_id": "metadata.user_id",
    }

    def parse(self, body: bytes) -> Parsed:
        """Translate a request; raise ``BadRequest`` naming the field where it can't be."""
        return messages_request.parse(body)

    def parse_count(self, body: bytes) -> Parsed:
        """Translate a request whose tokens are to be counted: it needs no ``max_tokens``."""
        return messages_request.parse_count(body)

    def stream(self, parsed: Parsed, stamp: Stamp) -> ReplyStream:
        """Begin a streamed reply."""
        return MessagesStream(parsed, stamp)

    def collect(self, parsed: Parsed, events: Iterable[AnyEvent], stamp: Stamp) -> bytes:
        """Give the whole reply's JSON: the same frames as ``stream`` makes, folded together."""
        return messages_message.collect(parsed, events, stamp)

    def error(self, error: ProxyError, request_id: str) -> bytes:
        """Give an error's JSON body."""
        return msgspec.json.encode({**error_object(error), "request_id": request_id})


MESSAGES = Messages()
