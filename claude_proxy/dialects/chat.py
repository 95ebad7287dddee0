"""OpenAI's Chat Completions, whole: what the server needs of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from claude_proxy.canon.events import AnyEvent
from claude_proxy.dialects import chat_completion, chat_request
from claude_proxy.dialects.base import Dialect, Parsed, ReplyStream, Stamp
from claude_proxy.dialects.chat_error import error_object
from claude_proxy.dialects.chat_response import ChatStream
from claude_proxy.errors import ProxyError
from claude_proxy.framing import sse_comment


class Chat:
    """The Chat Completions dialect."""

    name = "chat"
    keepalive = sse_comment("keep-alive")
    names: Mapping[str, str] = {
        "system": "messages",
        "stop_sequences": "stop",
        "disable_parallel_tool_use": "parallel_tool_calls",
        "reasoning": "reasoning_effort",
        "reasoning.budget_tokens": "reasoning.max_tokens",
        "thinking": "reasoning_effort",
        "output_schema": "response_format",
        "output_config": "response_format",
        "tools.input_schema": "tools.function.parameters",
        "tools.strict": "tools.function.strict",
        "user_id": "user",
        "metadata": "user",
    }

    def parse(self, body: bytes) -> Parsed:
        """Translate a request; raise ``BadRequest`` naming the field where it can't be."""
        return chat_request.parse(body)

    def stream(self, parsed: Parsed, stamp: Stamp) -> ReplyStream:
        """Begin a streamed reply."""
        return ChatStream(parsed, stamp)

    def collect(self, parsed: Parsed, events: Iterable[AnyEvent], stamp: Stamp) -> bytes:
        """Give the whole reply's JSON: the same frames as ``stream`` makes, folded together."""
        return chat_completion.collect(parsed, events, stamp)

    def error(self, error: ProxyError, request_id: str) -> bytes:  # noqa: ARG002 - OpenAI tells the id in a header
        """Give an error's JSON body."""
        return msgspec.json.encode(error_object(error))


CHAT: Dialect = Chat()
