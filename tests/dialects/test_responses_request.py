"""A Responses request's top level."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from responses_asking import ENCRYPTED, HI, ask, body, function, refused

from claude_proxy.canon.blocks import Text
from claude_proxy.canon.codec import encode_message
from claude_proxy.canon.request import Reasoning, Request
from claude_proxy.dialects.parameters import JSON_OBJECT
from claude_proxy.dialects.responses import RESPONSES
from claude_proxy.dialects.responses_request import parse, previous_response_id
from claude_proxy.dialects.responses_stored import input_items, named
from claude_proxy.errors import BadRequest

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}


def test_r01_the_input_may_be_a_string() -> None:
    """R01: it is what the user says."""
    parsed = RESPONSES.parse(b'{"model": "sonnet", "input": "hi"}')
    assert [encode_message(message) for message in parsed.request.messages] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    ]
    assert parsed.request.model == "sonnet"
    assert (parsed.stream, parsed.losses) == (False, ())


def test_r01_instructions_and_system_items_are_blocks_of_their_own() -> None:
    """R01: instructions first, then the items in order."""
    items = ({"role": "developer", "content": "b"}, HI, {"type": "message", "role": "system", "content": "c"})
    assert ask(*items, instructions="a").request.system == (Text(text="a"), Text(text="b"), Text(text="c"))


@pytest.mark.parametrize("instructions", [None, "", " \n"])
def test_blank_instructions_are_none(instructions: str | None) -> None:
    """The upstream refuses blank blocks."""
    assert ask(instructions=instructions).request.system == ()


def test_r01_instructions_alone_are_a_valid_request() -> None:
    """R01: a user turn is added, which the upstream needs."""
    parsed = parse(b'{"model": "sonnet", "instructions": "be"}')
    assert [message.role for message in parsed.request.messages] == ["user"]


@pytest.mark.parametrize("given", [b"{}", b'{"input": ""}', b'{"input": []}', b'{"input": " "}'])
def test_nothing_to_answer_is_refused(given: bytes) -> None:
    """There has to be something said."""
    with pytest.raises(BadRequest, match="nothing in it to answer") as raised:
        parse(given)
    assert raised.value.param == "input"


@pytest.mark.parametrize("given", [b"", b"{", b"\xff", b"[]", b'"a"', b"[" * 100_000])
def test_a_body_that_isnt_a_json_object_is_refused(given: bytes) -> None:
    """Whatever comes, it is a 400."""
    with pytest.raises(BadRequest):
        parse(given)


@pytest.mark.parametrize(
    ("field", "value"),
    [("input", 1), ("stream", "yes"), ("tools", {}), ("temperature", "hot"), ("metadata", {"a": 1}), ("text", [])],
)
def test_a_field_of_a_wrong_type_is_named(field: str, value: Any) -> None:
    """The error says which."""
    with pytest.raises(BadRequest) as raised:
        parse(json.dumps({"input": "hi", field: value}).encode())
    assert str(raised.value.param).startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("background", True),
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("prompt", {"id": "pmpt_1"}),
        ("top_logprobs", 2),
        ("include", ["message.output_text.logprobs"]),
        ("truncation", "middle"),
        ("max_output_tokens", 0),
        ("temperature", 2.1),
        ("top_p", -1),
    ],
)
def test_what_would_change_the_meaning_is_refused(field: str, value: Any) -> None:
    """The answer would be of another kind, or made of something that isn't here."""
    assert refused(**{field: value}).param == field


@pytest.mark.parametrize(
    ("field", "value", "lost"),
    [
        ("max_tool_calls", 3, "max_tool_calls"),
        ("truncation", "auto", "truncation"),
        ("text", {"verbosity": "low"}, "text.verbosity"),
        ("service_tier", "flex", "service_tier"),
        ("include", ["never.heard.of"], "include"),
        ("context_management", [{"type": "compaction"}], "context_management"),
        ("never_heard_of", 1, "never_heard_of"),
        ("temperature", 1.5, "temperature"),
    ],
)
def test_what_cant_be_honoured_is_named(field: str, value: Any, lost: str) -> None:
    """Lossless or loud."""
    assert ask(**{field: value}).losses == (lost,)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("background", False),
        ("truncation", "disabled"),
        ("text", {"verbosity": "medium"}),
        ("text", {"format": {"type": "text"}}),
        ("service_tier", "auto"),
        ("include", []),
        ("include", ["web_search_call.action.sources", "message.input_image.image_url"]),
        ("tools", []),
        ("top_logprobs", 0),
        ("metadata", {"a": "b"}),
        ("prompt_cache_key", "k"),
        ("prompt_cache_retention", "24h"),
        ("prompt_cache_options", {"mode": "implicit"}),
        ("client_metadata", {"x-codex-installation-id": "1"}),
        ("stream_options", {"include_obfuscation": False}),
        ("store", False),
        ("never_heard_of", None),
    ],
)
def test_r09_r10_what_changes_nothing_is_no_loss(field: str, value: Any) -> None:
    """R09, R10: empty fields, and those that are about OpenAI's own caches and books."""
    parsed = ask(**{field: value})
    assert parsed.losses == ()
    assert parsed.request == ask().request


def test_r07_limits_and_sampling_go_upstream() -> None:
    """R07: under our names."""
    request = ask(max_output_tokens=99, temperature=0.5, top_p=0.9).request
    assert (request.max_tokens, request.temperature, request.top_p) == (99, 0.5, 0.9)


@pytest.mark.parametrize(
    ("fields", "user_id", "losses"),
    [
        ({"user": "u"}, "u", ()),
        ({"safety_identifier": "s"}, "s", ()),
        ({"user": "u", "safety_identifier": "u"}, "u", ()),
        ({"user": "u", "safety_identifier": "s"}, "u", ("safety_identifier",)),
    ],
)
def test_who_the_user_is_goes_upstream(fields: Any, user_id: str, losses: tuple[str, ...]) -> None:
    """Of two that differ one is named as lost."""
    parsed = ask(**fields)
    assert (parsed.request.user_id, parsed.losses) == (user_id, losses)


def test_r07_a_json_schema_is_the_output_schema() -> None:
    """R07: closed, as structured outputs want it."""
    given = {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True, "description": "what"}
    parsed = ask(text={"format": given})
    assert parsed.request.output_schema == {**SCHEMA, "description": "what"}
    assert parsed.losses == ()


def test_r07_a_schema_that_says_too_much_is_named() -> None:
    """R07: constraints on values aren't enforced."""
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}}
    assert ask(text={"format": {"type": "json_schema", "schema": schema}}).losses == ("text.format.schema",)


@pytest.mark.parametrize(
    ("given", "param"),
    [({"type": "json_schema"}, "text.format.schema"), ({"type": "xml"}, "text.format.type")],
)
def test_r07_an_unusable_format_is_refused(given: Any, param: str) -> None:
    """R07: naming the field."""
    assert refused(text={"format": given}).param == param


def test_r07_a_json_object_is_asked_for_in_words() -> None:
    """R07: as the last system block."""
    parsed = ask(instructions="a", text={"format": {"type": "json_object"}})
    assert parsed.request.system == (Text(text="a"), Text(text=JSON_OBJECT))
    assert parsed.options.json_object


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Reasoning()),
        ({}, Reasoning()),
        ({"effort": None, "summary": None}, Reasoning()),
        ({"effort": "none"}, Reasoning(mode="off")),
        ({"effort": "none", "summary": "auto"}, Reasoning(mode="off")),
        ({"effort": "minimal"}, Reasoning(mode="on", effort="low")),
        ({"effort": "high"}, Reasoning(mode="on", effort="high")),
        ({"effort": "high", "summary": "none"}, Reasoning(mode="on", effort="high")),
        ({"effort": "xhigh", "summary": "auto"}, Reasoning(mode="on", effort="xhigh", visible=True)),
        ({"summary": "detailed"}, Reasoning(mode="on", visible=True)),
        ({"generate_summary": "concise"}, Reasoning(mode="on", visible=True)),
    ],
)
def test_c38_reasoning_is_shown_to_who_asks_for_its_summary(given: Any, expected: Reasoning) -> None:
    """C38: an effort alone says how much to think, not that anybody wants to read it."""
    assert ask(reasoning=given).request.reasoning == expected


@pytest.mark.parametrize(
    ("given", "param"),
    [({"effort": "huge"}, "reasoning.effort"), ({"summary": "long"}, "reasoning.summary")],
)
def test_unknown_ways_to_reason_are_refused(given: Any, param: str) -> None:
    """Naming the field."""
    assert refused(reasoning=given).param == param


def test_the_server_is_told_what_it_must_keep() -> None:
    """R06: whether to store, what to go on from, and the items as they came."""
    options = ask(HI, store=False, previous_response_id="resp_1", **ENCRYPTED).options
    assert (options.store, options.previous_response_id, options.input) == (False, "resp_1", (HI,))
    assert options.encrypted_reasoning
    assert parse(body(store=True), stores=False).losses == ("store",)
    unkept = parse(body(), stores=False)
    assert (unkept.losses, unkept.options.store, unkept.options.echo["store"]) == ((), False, False)
    plain = ask().options
    assert (plain.store, plain.previous_response_id, plain.encrypted_reasoning) == (True, None, False)


def test_r06_earlier_items_come_first() -> None:
    """R06: the stored conversation continues; its calls can be answered."""
    earlier = [HI, {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}]
    answer = {"type": "function_call_output", "call_id": "a", "output": "done"}
    parsed = parse(body(answer, previous_response_id="resp_1"), earlier)
    assert [message.role for message in parsed.request.messages] == ["user", "assistant", "user"]
    assert (parsed.options.earlier, parsed.options.input) == (tuple(earlier), (answer,))


def test_r06_what_is_wrong_in_a_request_is_counted_in_its_own_items() -> None:
    """R06: the client knows nothing of the place in the stored ones."""
    with pytest.raises(BadRequest) as raised:
        parse(body({"role": "poet", "content": "x"}), [HI, HI])
    assert raised.value.param == "input[0].role"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b'{"previous_response_id": "resp_1"}', "resp_1"),
        (b'{"previous_response_id": ""}', None),
        (b'{"previous_response_id": null, "input": 3}', None),
        (b"{}", None),
    ],
)
def test_r06_the_earlier_response_is_found_before_the_rest_is_read(given: bytes, expected: str | None) -> None:
    """R06: the server needs it to parse the rest."""
    assert previous_response_id(given) == expected


def test_r06_an_earlier_response_that_is_no_string_is_named() -> None:
    """R06: as any other field."""
    with pytest.raises(BadRequest) as raised:
        previous_response_id(b'{"previous_response_id": 1}')
    assert raised.value.param == "previous_response_id"


def test_r10_what_codex_sends_is_understood() -> None:
    """R10: the built-in tool is the one loss."""
    parsed = ask(
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        instructions="You are Codex",
        tools=[
            function("shell_command", strict=False, parameters={"type": "object", "properties": {}}),
            {"type": "web_search", "external_web_access": False},
            {"type": "namespace", "name": "mcp__x__", "description": "X", "tools": [function("search")]},
        ],
        tool_choice="auto",
        parallel_tool_calls=False,
        reasoning={"effort": "medium", "summary": "auto"},
        store=False,
        stream=True,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="0199",
        client_metadata={"x-codex-installation-id": "1"},
    )
    assert parsed.losses == ("tools.web_search",)
    assert parsed.stream
    assert [tool.name for tool in parsed.request.tools] == ["shell_command", "mcp__x__search"]
    assert [block.text for block in parsed.request.system] == ["You are Codex", "rules"]


def test_every_field_of_ours_has_a_name_of_theirs() -> None:
    """What a backend loses is told in words that a Responses client knows."""
    theirs = set(RESPONSES.names) | {"model", "tools", "tool_choice", "temperature", "top_p", "reasoning"}
    # No field of the Responses API asks for these.
    assert set(Request.__struct_fields__) - theirs == {"top_k", "stop_sequences"}


NAMES = st.sampled_from(
    (
        *(
            "type",
            "role",
            "content",
            "call_id",
            "name",
            "namespace",
            "arguments",
            "input",
            "output",
            "summary",
            "tools",
        ),
        *("encrypted_content", "text", "refusal", "image_url", "file_data", "parameters", "format", "mode", "schema"),
    )
)
WORDS = st.sampled_from(
    (
        *("", "user", "assistant", "system", "message", "reasoning", "function_call", "function_call_output", "a"),
        *("custom_tool_call", "custom_tool_call_output", "additional_tools", "input_text", "input_image", "function"),
        *("custom", "namespace", "allowed_tools", "required", "json_schema", "web_search", "claude-proxy.1.e30="),
    )
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)
TOP = st.sampled_from(("instructions", "tools", "tool_choice", "text", "reasoning", "include", "max_output_tokens"))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(items=st.lists(ODD, max_size=4), fields=st.dictionaries(TOP, ODD, max_size=3))
def test_r09_whatever_is_sent_is_understood_or_refused(items: list[Any], fields: dict[str, Any]) -> None:
    """R09: nothing that a client sends is our failure; what was understood can be listed."""
    try:
        parsed = parse(json.dumps({"input": items, **fields}).encode())
    except BadRequest:
        return
    assert parsed.request.messages
    input_items(named(parsed.options.input, "abc"))
