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
from claude_proxy.dialects import chat_tools
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.chat_messages import Conversation
from claude_proxy.dialects.chat_reasoning import reasoning
from claude_proxy.dialects.chat_wire import ChatRequest, take
from claude_proxy.errors import BadRequest

_JSON_OBJECT = "Answer with exactly one JSON object: no code fence, and no words before or after it."


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
    try:
        raw = msgspec.json.decode(body)
        return _parsed(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body isn't valid JSON: {error}") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error


def _parsed(raw: Any) -> Parsed:
    wire = take(raw, ChatRequest)
    _refuse_other_meanings(wire)
    losses = list(_unknown(raw))
    conversation = Conversation()
    for index, message in enumerate(wire.messages or ()):
        conversation.add(message, f"messages[{index}]")
    turns = conversation.turns()
    tools, choice = chat_tools.toolbox(wire, losses)
    json_object, schema = _format(wire, losses)
    system = (*conversation.system, Text(text=_JSON_OBJECT)) if json_object else tuple(conversation.system)
    request = Request(
        model=wire.model or "",
        messages=turns,
        system=system,
        tools=tools,
        tool_choice=choice,
        max_tokens=_max_tokens(wire),
        temperature=_temperature(wire, losses),
        top_p=_top_p(wire),
        top_k=_top_k(wire),
        stop_sequences=_stop(wire),
        reasoning=reasoning(wire),
        output_schema=schema,
        user_id=_user(wire, losses),
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
    if given is not None and given < 1:
        raise BadRequest(f"{name}: it must be at least 1", param=name)
    return given


def _temperature(wire: ChatRequest, losses: list[str]) -> float | None:
    given = wire.temperature
    if given is None:
        return None
    if not 0 <= given <= 2:  # noqa: PLR2004 - OpenAI's scale
        raise BadRequest("temperature: it must be between 0 and 2", param="temperature")
    if given > 1:
        losses.append("temperature")
    return min(given, 1.0)


def _top_p(wire: ChatRequest) -> float | None:
    if wire.top_p is not None and not 0 <= wire.top_p <= 1:
        raise BadRequest("top_p: it must be between 0 and 1", param="top_p")
    return wire.top_p


def _top_k(wire: ChatRequest) -> int | None:
    if wire.top_k is not None and wire.top_k < 0:
        raise BadRequest("top_k: it can't be negative", param="top_k")
    return wire.top_k or None


def _stop(wire: ChatRequest) -> tuple[str, ...]:
    given = [wire.stop] if isinstance(wire.stop, str) else wire.stop or []
    return tuple(dict.fromkeys(text for text in given if text and not text.isspace()))


def _user(wire: ChatRequest, losses: list[str]) -> str | None:
    if wire.user and wire.safety_identifier and wire.user != wire.safety_identifier:
        losses.append("safety_identifier")
    return wire.user or wire.safety_identifier or None


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
