"""A Chat Completions request to ours. Pure: bytes in, :class:`Parsed` or ``BadRequest`` out.

What can't be honoured is named as lost; what can't be dropped without changing the meaning is refused, naming the
field. Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from claude_proxy.canon import schemas
from claude_proxy.canon.blocks import Json, Text
from claude_proxy.canon.request import Request
from claude_proxy.dialects import chat_tools, parameters
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.chat_messages import Conversation
from claude_proxy.dialects.chat_reasoning import reasoning
from claude_proxy.dialects.chat_wire import ChatRequest
from claude_proxy.dialects.fields import take, understood
from claude_proxy.errors import BadRequest


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What the reply must know of its request.

    ``json_object`` makes it check that it is one; ``legacy`` says it in the older API's function calls.
    """

    include_usage: bool = False
    json_object: bool = False
    legacy: bool = False


def parse(body: bytes) -> Parsed:
    """Translate a request's body."""
    return understood(body, _parsed)


def _parsed(body: bytes) -> Parsed:
    raw = msgspec.json.decode(body)
    wire = take(raw, ChatRequest)
    _refuse_other_meanings(wire)
    losses = list(_unknown(raw))
    conversation = Conversation()
    for index, message in enumerate(wire.messages or ()):
        conversation.add(message, f"messages[{index}]")
    turns = conversation.turns()
    tools, choice = chat_tools.toolbox(wire, losses)
    json_object, schema = _format(wire, losses)
    system = (*conversation.system, Text(text=parameters.JSON_OBJECT)) if json_object else tuple(conversation.system)
    request = Request(
        model=wire.model or "",
        messages=turns,
        system=system,
        tools=tools,
        tool_choice=choice,
        max_tokens=_max_tokens(wire),
        temperature=parameters.temperature(wire.temperature, losses),
        top_p=parameters.top_p(wire.top_p),
        top_k=_top_k(wire),
        stop_sequences=_stop(wire),
        reasoning=reasoning(wire),
        output_schema=schema,
        user_id=parameters.user_id(wire.user, wire.safety_identifier, losses),
    )
    include_usage = bool(wire.stream_options and wire.stream_options.include_usage)
    return Parsed(
        request=request,
        stream=bool(wire.stream),
        losses=tuple(dict.fromkeys([*conversation.losses, *losses])),
        options=ChatOptions(include_usage, json_object, chat_tools.is_legacy(wire)),
    )


def _refuse_other_meanings(wire: ChatRequest) -> None:
    """Refuse what asks for another kind of answer than the one there is."""
    refused = {
        "n": wire.n not in (None, 1),
        "logprobs": bool(wire.logprobs),
        "top_logprobs": bool(wire.top_logprobs),
        "modalities": any(kind != "text" for kind in wire.modalities or ()),
        "audio": wire.audio is not None,
    }
    for name, is_asked in refused.items():
        if is_asked:
            raise BadRequest(f"{name}: {_REFUSALS[name]}", param=name)


_REFUSALS = {
    "n": "only one choice can be given",
    "logprobs": "the model doesn't tell its log probabilities",
    "top_logprobs": "the model doesn't tell its log probabilities",
    "modalities": "only text can be given",
    "audio": "only text can be given",
}


def _unknown(raw: Json) -> Iterator[str]:
    """Name the fields that would change the reply and that nothing here can honour."""
    for name, value in raw.items():
        is_known = name in ChatRequest.__struct_fields__ or value is None
        if not is_known and value not in _CHANGES_NOTHING.get(name, ()) and name not in _NEVER_CHANGES:
            yield name


_NEVER_CHANGES = frozenset(("metadata", "prompt_cache_key", "prompt_cache_retention"))
_CHANGES_NOTHING: dict[str, tuple[Any, ...]] = {
    "store": (False,),
    "service_tier": ("auto", "default"),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "verbosity": ("medium",),
}


def _max_tokens(wire: ChatRequest) -> int | None:
    name = "max_tokens" if wire.max_completion_tokens is None else "max_completion_tokens"
    given: int | None = getattr(wire, name)
    return parameters.at_least_one(given, name)


def _top_k(wire: ChatRequest) -> int | None:
    if wire.top_k is not None and wire.top_k < 0:
        raise BadRequest("top_k: it can't be negative", param="top_k")
    return wire.top_k or None


def _stop(wire: ChatRequest) -> tuple[str, ...]:
    given = [wire.stop] if isinstance(wire.stop, str) else wire.stop or []
    return tuple(dict.fromkeys(text for text in given if text and not text.isspace()))


def _format(wire: ChatRequest, losses: list[str]) -> tuple[bool, Json | None]:
    """Read ``response_format``: whether any JSON object is asked for, and the schema where there is one."""
    if wire.response_format is None:
        return False, None
    kind = wire.response_format.type
    read = _FORMATS.get(kind)
    if read is None:
        raise BadRequest(f"response_format.type: there is no format {kind!r}", param="response_format.type")
    return read(wire, losses)


def _schema(wire: ChatRequest, losses: list[str]) -> tuple[bool, Json | None]:
    assert wire.response_format is not None
    where = "response_format.json_schema"
    given = wire.response_format.json_schema
    if given is None or given.schema is None:
        raise BadRequest(f"{where}.schema: there is no schema", param=f"{where}.schema")
    schema, is_changed = schemas.closed(given.schema)
    if is_changed:
        losses.append(f"{where}.schema")
    if given.description:
        schema.setdefault("description", given.description)
    return False, schema


_FORMATS: dict[str, Callable[[ChatRequest, list[str]], tuple[bool, Json | None]]] = {
    "text": lambda *_: (False, None),
    "json_object": lambda *_: (True, None),
    "json_schema": _schema,
}
