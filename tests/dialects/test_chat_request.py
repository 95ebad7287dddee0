"""A Chat Completions request's top level."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_asking import HI, ask, function, refused

from claude_proxy.canon.request import Request
from claude_proxy.dialects.chat import CHAT
from claude_proxy.dialects.chat_request import ChatOptions
from claude_proxy.errors import BadRequest


def test_a_plain_request_asks_for_nothing_else() -> None:
    """What isn't sent isn't asked for."""
    parsed = ask()
    assert parsed.request == Request(model="sonnet", messages=parsed.request.messages)
    assert (parsed.stream, parsed.losses, parsed.options) == (False, (), ChatOptions())


@pytest.mark.parametrize("model", [None, ""])
def test_a_missing_model_is_for_the_server_to_choose(model: Any) -> None:
    """It may have a default."""
    assert ask(model=model).request.model == ""


def test_c39_every_field_may_be_null() -> None:
    """C39: null is as absent, known field or not."""
    names = [name for name in (*_known(), "seed", "logit_bias", "whatever") if name not in ("model", "messages")]
    assert ask(**dict.fromkeys(names)) == ask()


def _known() -> tuple[str, ...]:
    from claude_proxy.dialects.chat_wire import ChatRequest  # noqa: PLC0415 - only its field names

    return ChatRequest.__struct_fields__


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"model": "a",}',
        b"not json",
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b'{"temperature": 1e999}',
        b"{} {}",
    ],
)
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    """Malformed JSON is a 400 that says so, never a failure of ours."""
    with pytest.raises(BadRequest, match="isn't valid JSON"):
        CHAT.parse(body)


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"null", b"3"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """JSON of another kind is a 400 too."""
    with pytest.raises(BadRequest, match="the body: Expected `object`"):
        CHAT.parse(body)


@pytest.mark.parametrize("depth", [400, 900, 100_000])
def test_a_body_that_is_nested_too_deeply_is_refused(depth: int) -> None:
    """However deep it is, in a part that is walked through, it is an answer or a 400."""
    schema = '{"items":' * depth + "{}" + "}" * depth
    fields = '"response_format": {"type": "json_schema", "json_schema": {"schema": ' + schema + "}}"
    body = '{"model": "a", "messages": [{"role": "user", "content": "hi"}], ' + fields + "}"
    if depth == 400:
        assert CHAT.parse(body.encode()).request.output_schema is not None
    else:
        with pytest.raises(BadRequest, match="nested too deeply"):
            CHAT.parse(body.encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", 3),
        ("messages", "hi"),
        ("stream", "true"),
        ("stream", 1),
        ("max_tokens", "100"),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("max_completion_tokens", [1]),
        ("temperature", "1"),
        ("top_p", True),
        ("n", "1"),
        ("stop", 3),
        ("tools", {}),
        ("tool_choice", 3),
        ("parallel_tool_calls", "no"),
        ("response_format", "json"),
        ("reasoning_effort", 3),
        ("user", 3),
        ("stream_options", True),
    ],
)
def test_a_wrong_type_is_refused_by_its_field(name: str, value: Any) -> None:
    """The error names the field and what was expected."""
    error = refused(**{name: value})
    assert error.param == name
    assert error.message.startswith(f"{name}: Expected ")


def test_a_wrong_type_is_named_by_its_whole_path() -> None:
    """Deep inside too."""
    assert refused(stream_options={"include_usage": "yes"}).param == "stream_options.include_usage"
    assert refused(stop=["a", 3]).param == "stop[1]"


@pytest.mark.parametrize(("stream", "expected"), [(True, True), (False, False), (None, False)])
def test_stream(stream: Any, expected: bool) -> None:  # noqa: FBT001 - a parameter
    """Streamed or not, as asked."""
    assert ask(stream=stream).stream is expected


def test_c33_include_usage_is_an_option_of_the_reply() -> None:
    """C33: nothing is lost by asking for it, streamed or not."""
    parsed = ask(stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
    assert (parsed.options.include_usage, parsed.losses) == (True, ())


# numbers


def test_c15_max_completion_tokens_goes_over_max_tokens() -> None:
    """C15: neither leaves it to the model."""
    assert ask(max_tokens=5).request.max_tokens == 5
    assert ask(max_tokens=5, max_completion_tokens=7).request.max_tokens == 7
    assert ask(max_tokens=None).request.max_tokens is None


def test_c39_huge_max_tokens_are_taken() -> None:
    """C39: clamping to the model's own maximum is the backend's matter."""
    assert ask(max_tokens=128_000).request.max_tokens == 128_000


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [0, -1])
def test_max_tokens_below_one_are_refused(name: str, value: int) -> None:
    """By the field that was sent."""
    assert refused(**{name: value}).param == name


@pytest.mark.parametrize(
    ("given", "expected", "losses"),
    [(0, 0.0, ()), (0.7, 0.7, ()), (1, 1.0, ()), (1.2, 1.0, ("temperature",)), (2, 1.0, ("temperature",))],
)
def test_c16_temperature_is_clamped(given: float, expected: float, losses: tuple[str, ...]) -> None:
    """C16: above 1 the upstream has nothing; that it is clamped is told."""
    parsed = ask(temperature=given)
    assert (parsed.request.temperature, parsed.losses) == (expected, losses)


def test_c16_temperature_and_top_p_are_both_kept() -> None:
    """C16: leaving one out where a model takes only one is the backend's matter."""
    request = ask(temperature=0.5, top_p=0.9, top_k=40).request
    assert (request.temperature, request.top_p, request.top_k) == (0.5, 0.9, 40)
    assert ask(top_k=0).request.top_k is None


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", -0.1), ("temperature", 2.1), ("top_p", 1.1), ("top_p", -1), ("top_k", -1)]
)
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    """By their field."""
    assert refused(**{name: value}).param == name


# stop


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("END", ("END",)),
        (["a", "b"], ("a", "b")),
        (["a", None, "", " ", "\n", "b", "a"], ("a", "b")),
        ("", ()),
        ("\n", ()),
        ([], ()),
        (None, ()),
        ([str(number) for number in range(9)], tuple("012345678")),
    ],
)
def test_c17_stop(given: Any, expected: tuple[str, ...]) -> None:
    """C17: a string or a list; null, empty and blank ones are no stop texts."""
    assert ask(stop=given).request.stop_sequences == expected


# response_format


def test_c18_a_json_schema_becomes_the_output_schema() -> None:
    """C18: closed as structured outputs want it, with its description; all that is known is kept."""
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["a", "b"]},
            "list": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["kind"],
        "additionalProperties": False,
        "$defs": {"item": {"type": "object", "properties": {}, "additionalProperties": False}},
    }
    given = {"name": "thing", "strict": True, "schema": schema, "description": "a thing"}
    parsed = ask(response_format={"type": "json_schema", "json_schema": given})
    assert parsed.request.output_schema == {**schema, "description": "a thing"}
    assert (parsed.losses, parsed.options.json_object, parsed.request.system) == ((), False, ())


def test_c18_the_schemas_own_description_stays() -> None:
    """C18: the format's is only taken where there is none."""
    given = {"schema": {"type": "string", "description": "own"}, "description": "other"}
    parsed = ask(response_format={"type": "json_schema", "json_schema": given})
    assert parsed.request.output_schema == {"type": "string", "description": "own"}


def test_c18_constraints_that_cant_be_held_are_one_named_loss() -> None:
    """C18: however many there are."""
    schema = {"type": "object", "properties": {"a": {"minimum": 1}, "b": {"maxLength": 3, "pattern": "x"}}}
    parsed = ask(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert parsed.losses == ("response_format.json_schema.schema",)


def test_c18_json_object_is_asked_for_in_words() -> None:
    """C18: the upstream has no such mode; the sentence stands after the client's own system prompt."""
    parsed = ask({"role": "system", "content": "s"}, HI, response_format={"type": "json_object"})
    own, added = parsed.request.system
    assert own.text == "s"
    assert "JSON object" in added.text
    assert (parsed.options.json_object, parsed.losses, parsed.request.output_schema) == (True, (), None)


def test_response_format_text_is_the_default() -> None:
    """Asking for text asks for nothing."""
    assert ask(response_format={"type": "text"}) == ask()


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"type": "yaml"}, "response_format.type"),
        ({}, "response_format"),
        ({"type": "json_schema"}, "response_format.json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "response_format.json_schema.schema"),
        ({"type": "json_schema", "json_schema": {"schema": True}}, "response_format.json_schema.schema"),
    ],
)
def test_a_response_format_in_a_wrong_shape_is_refused(given: Any, param: str) -> None:
    """By the path of what is wrong."""
    assert refused(response_format=given).param == param


# what can't be honoured


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("n", 0),
        ("logprobs", True),
        ("top_logprobs", 5),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy", "format": "wav"}),
    ],
)
def test_c19_what_would_change_the_meaning_is_refused(name: str, value: Any) -> None:
    """C19: a 400 naming the field."""
    error = refused(**{name: value})
    assert error.param == name
    assert error.message.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 7),
        ("logit_bias", {"50256": -100}),
        ("presence_penalty", 0.5),
        ("frequency_penalty", -1),
        ("store", True),
        ("prediction", {"type": "content", "content": "x"}),
        ("service_tier", "flex"),
        ("verbosity", "low"),
        ("web_search_options", {}),
        ("some_new_field", 1),
    ],
)
def test_c19_c21_what_cant_be_honoured_is_a_named_loss(name: str, value: Any) -> None:
    """C19, C21: the request is answered all the same."""
    parsed = ask(**{name: value})
    assert parsed.losses == (name,)
    assert parsed.request == ask().request


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 1),
        ("logprobs", False),
        ("top_logprobs", 0),
        ("modalities", ["text"]),
        ("logit_bias", {}),
        ("presence_penalty", 0),
        ("frequency_penalty", 0.0),
        ("store", False),
        ("service_tier", "auto"),
        ("service_tier", "default"),
        ("verbosity", "medium"),
        ("metadata", {"a": "b"}),
        ("prompt_cache_key", "k"),
        ("prompt_cache_retention", "24h"),
        ("parallel_tool_calls", True),
        ("stream_options", {"include_usage": False}),
    ],
)
def test_c19_what_changes_nothing_is_no_loss(name: str, value: Any) -> None:
    """C19: many clients send all fields with their defaults."""
    assert ask(**{name: value}) == ask()


def test_c21_losses_are_named_once_and_in_order() -> None:
    """C21: messages first, then the fields as they came."""
    message = {"role": "user", "content": "a", "name": "ann"}
    parsed = ask(message, message, zebra=1, seed=1, temperature=2, tools=[function("f"), {"type": "web_search"}])
    assert parsed.losses == ("messages.name", "zebra", "seed", "tools", "temperature")


@pytest.mark.parametrize(
    ("fields", "user", "losses"),
    [
        ({"user": "u"}, "u", ()),
        ({"safety_identifier": "s"}, "s", ()),
        ({"user": "u", "safety_identifier": "u"}, "u", ()),
        ({"user": "u", "safety_identifier": "s"}, "u", ("safety_identifier",)),
        ({"user": ""}, None, ()),
    ],
)
def test_c20_the_user(fields: dict[str, str], user: str | None, losses: tuple[str, ...]) -> None:
    """C20: by its old or its new name."""
    parsed = ask(**fields)
    assert (parsed.request.user_id, parsed.losses) == (user, losses)


def test_our_names_are_told_in_the_clients_words() -> None:
    """C09b, C20: a backend that loses ``user_id`` loses ``user`` for this client; each name is a field's."""
    assert CHAT.names["user_id"] == "user"
    assert CHAT.names["stop_sequences"] == "stop"
    assert CHAT.names["output_schema"] == "response_format"
    assert CHAT.names["reasoning"] == "reasoning_effort"
    assert all(name.partition(".")[0] in _known() for name in CHAT.names.values())


def test_the_dialect_says_what_it_is() -> None:
    """Its name, and a keep-alive that no client reads."""
    assert CHAT.name == "chat"
    assert CHAT.keepalive == b": keep-alive\n\n"


def test_a_large_body_is_read() -> None:
    """C36: a megabyte in one message arrives whole."""
    text = "é\0\r\n" * 200_000
    parsed = CHAT.parse(json.dumps({"model": "a", "messages": [{"role": "user", "content": text}]}).encode())
    (block,) = parsed.request.messages[0].content
    assert getattr(block, "text", None) == text
