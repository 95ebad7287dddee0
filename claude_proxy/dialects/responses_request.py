"""A Responses request to ours. Pure: bytes in, :class:`Parsed` or ``BadRequest`` out.

What can't be honoured is named as lost; what can't be dropped without changing the meaning is refused, naming the
field. Source: https://platform.openai.com/docs/api-reference/responses/create.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from claude_proxy.canon import schemas
from claude_proxy.canon.blocks import Json, Text
from claude_proxy.canon.request import Request
from claude_proxy.dialects import parameters, responses_choice
from claude_proxy.dialects.base import Parsed
from claude_proxy.dialects.fields import lost_fields, misfit, refused, take, understood
from claude_proxy.dialects.responses_input import Conversation
from claude_proxy.dialects.responses_reasoning import reasoning
from claude_proxy.dialects.responses_tools import Callee, Toolbox
from claude_proxy.dialects.responses_wire import ResponsesRequest, TextFormat, TextOptions
from claude_proxy.errors import BadRequest

_ENCRYPTED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"


@dataclass(frozen=True, slots=True)
class ResponsesOptions:
    """What the reply and the server must know of the request.

    ``input`` are the request's own items as they came, ``earlier`` those of the conversation that it goes on with.
    ``callees`` are the client's tools by their names upstream. ``echo`` is what the response repeats of the request.
    """

    input: tuple[Json, ...] = ()
    earlier: tuple[Json, ...] = ()
    store: bool = True
    previous_response_id: str | None = None
    encrypted_reasoning: bool = False
    json_object: bool = False
    callees: Mapping[str, Callee] = field(default_factory=dict)
    echo: Json = field(default_factory=dict)


def previous_response_id(body: bytes) -> str | None:
    """Look for the response that a request goes on from; raise ``BadRequest`` where the body can't be read."""
    return understood(body, _previous) or None


class _Previous(msgspec.Struct):
    previous_response_id: str | None = None


_decode_previous = msgspec.json.Decoder(_Previous).decode


def _previous(body: bytes) -> str | None:
    try:
        return _decode_previous(body).previous_response_id
    except msgspec.ValidationError as error:
        raise refused(misfit(error)) from error


def parse(body: bytes, earlier: Sequence[Json] = (), *, stores: bool = True) -> Parsed:
    """Translate a request's body. ``earlier`` are the items of the conversation it goes on with, its own come after.

    ``stores`` says whether responses are kept at all.
    """
    return understood(body, lambda content: _parsed(msgspec.json.decode(content), tuple(earlier), stores=stores))


def _parsed(raw: Any, earlier: tuple[Json, ...], *, stores: bool) -> Parsed:
    wire = take(raw, ResponsesRequest)
    _refuse_other_meanings(wire)
    losses = list(_lost(raw, wire))
    if wire.store and not stores:
        losses.append("store")
    wire.store = stores and wire.store is not False
    items = _items(wire)
    conversation = Conversation(system=_instructions(wire))
    conversation.add_all(earlier, "previous_response_id")
    conversation.add_all(items, "input")
    turns = conversation.turns()
    box = Toolbox()
    box.add_all(wire.tools or (), "tools")
    for tools, where in conversation.tools:
        box.add_all(tools, where)
    offered, choice = responses_choice.offer(wire.tool_choice, box, parallel=wire.parallel_tool_calls is not False)
    json_object, schema = _format(wire.text, losses)
    request = Request(
        model=wire.model or "",
        messages=turns,
        system=(*conversation.system, *([Text(text=parameters.JSON_OBJECT)] if json_object else [])),
        tools=offered,
        tool_choice=choice,
        max_tokens=parameters.at_least_one(wire.max_output_tokens, "max_output_tokens"),
        temperature=parameters.temperature(wire.temperature, losses),
        top_p=parameters.top_p(wire.top_p),
        reasoning=reasoning(wire.reasoning),
        output_schema=schema,
        user_id=parameters.user_id(wire.user, wire.safety_identifier, losses),
    )
    return Parsed(
        request=request,
        stream=bool(wire.stream),
        losses=tuple(dict.fromkeys([*conversation.losses, *box.losses, *losses])),
        options=ResponsesOptions(
            input=items,
            earlier=earlier,
            store=wire.store,
            previous_response_id=wire.previous_response_id or None,
            encrypted_reasoning=_ENCRYPTED in (wire.include or ()),
            json_object=json_object,
            callees=box.callees,
            echo=_echo(raw, wire),
        ),
    )


def _items(wire: ResponsesRequest) -> tuple[Any, ...]:
    if isinstance(wire.input, str):
        return ({"type": "message", "role": "user", "content": wire.input},)
    return tuple(wire.input or ())


def _instructions(wire: ResponsesRequest) -> list[Text]:
    given = wire.instructions
    return [Text(text=given)] if given and not given.isspace() else []


def _refuse_other_meanings(wire: ResponsesRequest) -> None:
    """Refuse what asks for another kind of answer than the one there is, or for what only OpenAI has."""
    refused = {
        "background": bool(wire.background),
        "conversation": wire.conversation is not None,
        "prompt": wire.prompt is not None,
        "top_logprobs": bool(wire.top_logprobs),
        "include": _LOGPROBS in (wire.include or ()),
    }
    for name, is_asked in refused.items():
        if is_asked:
            raise BadRequest(f"{name}: {_REFUSALS[name]}", param=name)
    if wire.truncation not in (None, "auto", "disabled"):
        raise BadRequest(f"truncation: {wire.truncation!r} isn't one of auto, disabled", param="truncation")


_REFUSALS = {
    "background": "a response is answered while its client waits, never in the background",
    "conversation": "no conversations are stored here: send previous_response_id, or the items",
    "prompt": "no prompt templates are stored here: send instructions and input",
    "top_logprobs": "the model doesn't tell its log probabilities",
    "include": "the model doesn't tell its log probabilities",
}

_NEVER_CHANGES = frozenset(("client_metadata", "prompt_cache_retention", "prompt_cache_options"))
_CHANGES_NOTHING: dict[str, tuple[Any, ...]] = {"service_tier": ("auto", "default")}

_INCLUDABLE = frozenset(
    (
        _ENCRYPTED,
        # These are about items that only built-in tools make, or that are given back as they came.
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "message.input_image.image_url",
    )
)


def _lost(raw: Json, wire: ResponsesRequest) -> Iterator[str]:
    """Name the fields that would change the reply and that nothing here can honour."""
    for name in lost_fields(raw, ResponsesRequest):
        if name not in _NEVER_CHANGES and raw[name] not in _CHANGES_NOTHING.get(name, ()):
            yield name
    if wire.max_tool_calls is not None:
        yield "max_tool_calls"
    if wire.truncation == "auto":
        yield "truncation"
    if wire.text and wire.text.verbosity not in (None, "medium"):
        yield "text.verbosity"
    if not _INCLUDABLE.issuperset(wire.include or ()):
        yield "include"


def _format(text: TextOptions | None, losses: list[str]) -> tuple[bool, Json | None]:
    """Read ``text.format``: whether any JSON object is asked for, and the schema where there is one."""
    if text is None or text.format is None:
        return False, None
    read = _FORMATS.get(text.format.type)
    if read is None:
        raise BadRequest(f"text.format.type: there is no format {text.format.type!r}", param="text.format.type")
    return read(text.format, losses)


def _schema(given: TextFormat, losses: list[str]) -> tuple[bool, Json | None]:
    if given.schema is None:
        raise BadRequest("text.format.schema: there is no schema", param="text.format.schema")
    schema, is_changed = schemas.closed(given.schema)
    if is_changed:
        losses.append("text.format.schema")
    if given.description:
        schema.setdefault("description", given.description)
    return False, schema


_FORMATS: dict[str, Callable[[TextFormat, list[str]], tuple[bool, Json | None]]] = {
    "text": lambda *_: (False, None),
    "json_object": lambda *_: (True, None),
    "json_schema": _schema,
}


def _echo(raw: Json, wire: ResponsesRequest) -> Json:
    """Give what the response repeats: what was asked for, else OpenAI's defaults."""
    given = wire.reasoning
    return {
        "background": False,
        "instructions": wire.instructions,
        "max_output_tokens": wire.max_output_tokens,
        "max_tool_calls": wire.max_tool_calls,
        "metadata": wire.metadata or {},
        "parallel_tool_calls": wire.parallel_tool_calls is not False,
        "previous_response_id": wire.previous_response_id or None,
        "prompt_cache_key": wire.prompt_cache_key,
        "reasoning": {
            "effort": given.effort if given else None,
            "summary": (given.summary or given.generate_summary) if given else None,
        },
        "safety_identifier": wire.safety_identifier,
        "service_tier": "default",
        "store": wire.store,
        "temperature": 1.0 if wire.temperature is None else wire.temperature,
        "text": {"format": {"type": "text"}} | (raw.get("text") or {}),
        "tool_choice": raw.get("tool_choice") or "auto",
        "tools": wire.tools or [],
        "top_logprobs": 0,
        "top_p": 1.0 if wire.top_p is None else wire.top_p,
        "truncation": wire.truncation or "disabled",
        "user": wire.user,
    }
