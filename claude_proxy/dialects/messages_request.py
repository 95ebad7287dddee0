"""A Messages request to ours. Pure: bytes in, :class:`Parsed` or ``BadRequest`` out.

For backends that don't speak it themselves. What can't be honoured is named as lost; what can't be dropped without
changing the meaning is refused, as the API words it. Source: https://docs.anthropic.com/en/api/messages.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from claude_proxy.canon.request import Request
from claude_proxy.dialects import messages_content, messages_parameters, messages_tools
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.fields import understood
from claude_proxy.dialects.messages_conversation import Conversation
from claude_proxy.dialects.messages_parameters import Shown
from claude_proxy.dialects.messages_wire import MessagesRequest, refusal, take


@dataclass(frozen=True, slots=True)
class MessagesOptions:
    """What the reply must know of its request: what to show of the model's reasoning."""

    thinking: Shown = "hidden"


def parse(body: bytes) -> Parsed:
    """Translate a request's body."""
    parsed = parse_count(body)
    if parsed.request.max_tokens is None:
        raise refusal("max_tokens", "Field required")
    return parsed


def parse_count(body: bytes) -> Parsed:
    """Translate the body of a request whose tokens are to be counted: it needs no ``max_tokens``."""
    return understood(body, _parsed)


def _parsed(body: bytes) -> Parsed:
    raw = msgspec.json.decode(body)
    wire = take(raw, MessagesRequest)
    messages_parameters.refuse_thread(wire)
    messages_parameters.check_ranges(wire)
    losses = list(messages_parameters.unknown(raw))
    conversation = Conversation()
    conversation.system += messages_content.system_texts(wire.system or "", "system", losses)
    for index, message in enumerate(wire.messages):
        conversation.add(message, f"messages.{index}")
    tools, choice = messages_tools.toolbox(wire, losses)
    thought = messages_parameters.thought(wire, losses)
    request = Request(
        model=wire.model,
        messages=conversation.turns(),
        system=tuple(conversation.system),
        tools=tools,
        tool_choice=choice,
        max_tokens=wire.max_tokens,
        temperature=wire.temperature,
        top_p=wire.top_p,
        top_k=wire.top_k or None,
        stop_sequences=tuple(dict.fromkeys(wire.stop_sequences or ())),
        reasoning=thought.reasoning,
        output_schema=messages_parameters.output_schema(wire),
        user_id=(wire.metadata.user_id if wire.metadata else None) or None,
    )
    return Parsed(
        request=request,
        stream=bool(wire.stream),
        losses=tuple(dict.fromkeys([*losses, *conversation.losses])),
        options=MessagesOptions(thought.shown),
    )
