"""OpenAI's Responses API, whole: what the server needs of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from claude_proxy.canon.events import AnyEvent
from claude_proxy.dialects import responses_reply, responses_request
from claude_proxy.dialects.base import Dialect, Parsed, ReplyStream, Stamp
from claude_proxy.dialects.chat_error import error_object
from claude_proxy.errors import ProxyError
from claude_proxy.framing import sse_comment


class Responses:
    """The Responses dialect."""

    name = "responses"
    keepalive = sse_comment("keep-alive")
    names: Mapping[str, str] = {
        "messages": "input",
        "system": "instructions",
        "max_tokens": "max_output_tokens",
        "disable_parallel_tool_use": "parallel_tool_calls",
        "thinking": "reasoning",
        "output_schema": "text.format",
        "output_config": "text.format",
        "tools.input_schema": "tools.parameters",
        "user_id": "user",
        "metadata": "user",
    }

    def parse(self, body: bytes) -> Parsed:
        """Translate a request; raise ``BadRequest`` naming the field where it can't be."""
        return responses_request.parse(body)

    def stream(self, parsed: Parsed, stamp: Stamp) -> ReplyStream:
        """Begin a streamed reply."""
        return responses_reply.ResponsesStream(parsed, stamp)

    def collect(self, parsed: Parsed, events: Iterable[AnyEvent], stamp: Stamp) -> bytes:
        """Give the whole reply's JSON: the response that the stream's last event tells."""
        return responses_reply.whole(parsed, events, stamp).response

    def error(self, error: ProxyError, request_id: str) -> bytes:  # noqa: ARG002 - OpenAI tells the id in a header
        """Give an error's JSON body."""
        return msgspec.json.encode(error_object(error))


RESPONSES: Dialect = Responses()
