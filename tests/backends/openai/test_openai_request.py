"""A request of ours as a Chat Completions body: every field, and what is lost of it."""

from __future__ import annotations

from typing import Any

import pytest

from claude_proxy.backends.openai.request import Refusals, is_strict, render
from claude_proxy.canon.blocks import Json, Text, ToolResult, ToolUse
from claude_proxy.canon.request import Message, Reasoning, Request, Tool, ToolChoice
from claude_proxy.errors import BadRequest, ContextTooLong, ProxyError, RateLimited

HELLO = (Message(role="user", content=(Text(text="hi"),)),)
WEATHER = Tool(name="weather", description="Tells it", input_schema={"type": "object", "properties": {}})


def ask(**fields: Any) -> Request:
    """Give a request that says hi, with ``fields``."""
    return Request(model="m", messages=HELLO, **fields)


def body(**fields: Any) -> Json:
    """Give such a request's body, which must lose nothing."""
    sent = render(ask(**fields))
    assert sent.losses == ()
    return sent.body


def test_a_plain_request_is_streamed_with_its_usage() -> None:
    """The least there is: nothing that wasn't asked for is in the body."""
    assert body() == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_system_blocks_become_one_message() -> None:
    """Many templates know no second one, so the blocks are joined by a blank line; empty ones are left out."""
    system = (Text(text="Be short."), Text(text=""), Text(text="Be kind.", cache_control={"type": "ephemeral"}))

    assert body(system=system)["messages"][0] == {"role": "system", "content": "Be short.\n\nBe kind."}


@pytest.mark.parametrize(
    ("field", "value", "name", "sent"),
    [
        ("max_tokens", 7, "max_tokens", 7),
        ("temperature", 0.0, "temperature", 0.0),
        ("top_p", 0.5, "top_p", 0.5),
        ("stop_sequences", ("END",), "stop", ["END"]),
        ("user_id", "u1", "user", "u1"),
        ("reasoning", Reasoning(mode="on", effort="low"), "reasoning_effort", "low"),
        ("reasoning", Reasoning(mode="on"), "reasoning_effort", "medium"),
        ("reasoning", Reasoning(mode="off"), "reasoning_effort", "none"),
    ],
)
def test_a_parameter_has_its_field(field: str, value: Any, name: str, sent: Any) -> None:
    """Each goes out under the name that Chat Completions has for it."""
    assert body(**{field: value})[name] == sent


@pytest.mark.parametrize("effort", ["xhigh", "max"])
def test_efforts_above_high_are_lowered_and_named(effort: str) -> None:
    """No compatible upstream is known to take them all."""
    sent = render(ask(reasoning=Reasoning(mode="on", effort=effort)))  # type: ignore[arg-type]  # one of the literals

    assert (sent.body["reasoning_effort"], sent.losses) == ("high", ("reasoning",))


@pytest.mark.parametrize(("budget", "effort"), [(1024, "low"), (8192, "medium"), (8193, "high")])
def test_a_budget_becomes_the_nearest_effort_and_is_named(budget: int, effort: str) -> None:
    """There is no field for a number of tokens."""
    sent = render(ask(reasoning=Reasoning(mode="on", budget_tokens=budget)))

    assert (sent.body["reasoning_effort"], sent.losses) == (effort, ("reasoning.budget_tokens",))


def test_top_k_is_named_as_lost() -> None:
    """Chat Completions has no such field."""
    assert render(ask(top_k=5)).losses == ("top_k",)


def test_a_strict_schema_is_asked_for_strictly() -> None:
    """A schema of closed objects with everything required goes out in strict mode, and nothing is lost."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/x"}}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"x": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    }

    assert body(output_schema=schema)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": schema, "strict": True},
    }


def test_a_schema_that_strict_mode_refuses_is_asked_for_without_it() -> None:
    """A property that may be missing is no 400, but OpenAI promises nothing then: that is named."""
    sent = render(ask(output_schema={"type": "object", "properties": {"a": {}}, "additionalProperties": False}))

    assert sent.body["response_format"]["json_schema"]["strict"] is False
    assert sent.losses == ("output_schema",)


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "string"}, True),
        (True, True),
        ([{"type": "string"}], True),
        ({"enum": [{"properties": {"x": 1}}]}, True),
        ({"properties": {"a": True}, "required": ["a"]}, False),
        ({"properties": {"a": True}, "required": "a", "additionalProperties": False}, False),
        ({"anyOf": [{"properties": {"a": {}}}]}, False),
        ({"$defs": {"x": {"properties": {"a": {}}}}}, False),
    ],
)
def test_what_strict_mode_takes(schema: Any, strict: bool) -> None:  # noqa: FBT001 - the expected answer
    """Every object in it is closed and requires all it has; values that look like schemas are none."""
    assert is_strict(schema) is strict


def test_tools_go_out_as_functions() -> None:
    """C08: name, description, parameters; a cache marker changes nothing and isn't named."""
    strict = Tool(name="s", extra={"strict": True, "cache_control": {"type": "ephemeral"}, "type": "custom"})

    assert body(tools=(WEATHER, strict))["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells it",
                "parameters": {"type": "object", "properties": {}},
            },
        },
        {
            "type": "function",
            "function": {"name": "s", "parameters": {"type": "object", "properties": {}}, "strict": True},
        },
    ]


def test_a_tool_that_runs_at_anthropic_is_left_out_and_named() -> None:
    """The others work without it (M10)."""
    sent = render(ask(tools=(WEATHER, Tool(name="web_search", extra={"type": "web_search_20250305"}))))

    assert [tool["function"]["name"] for tool in sent.body["tools"]] == ["weather"]
    assert sent.losses == ("tools",)


def test_a_choice_without_tools_is_not_sent() -> None:
    """OpenAI answers it with 400."""
    sent = render(ask(tools=(Tool(name="x", extra={"type": "bash_20250124"}),), tool_choice=ToolChoice(type="any")))

    assert {"tools", "tool_choice"} & set(sent.body) == set()


def test_other_fields_of_a_tool_are_named() -> None:
    """What a tool says beyond a function's fields can't be told, unless it says nothing."""
    tool = Tool(name="x", extra={"defer_loading": True, "eager_input_streaming": False, "strict": False})

    assert render(ask(tools=(tool,))).losses == ("tools.defer_loading",)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(), "auto"),
        (ToolChoice(type="any"), "required"),
        (ToolChoice(type="none"), "none"),
        (ToolChoice(type="tool", name="weather"), {"type": "function", "function": {"name": "weather"}}),
    ],
)
def test_tool_choices(choice: ToolChoice, sent: Any) -> None:
    """C09, the other way round."""
    made = body(tools=(WEATHER,), tool_choice=choice)

    assert made["tool_choice"] == sent
    assert "parallel_tool_calls" not in made


def test_one_call_at_a_time() -> None:
    """C10, the other way round."""
    made = body(tools=(WEATHER,), tool_choice=ToolChoice(disable_parallel_tool_use=True))

    assert made["parallel_tool_calls"] is False


# -- what an upstream refuses ------------------------------------------------------------------------------------------

EVERYTHING = ask(
    max_tokens=100,
    temperature=0.5,
    top_p=0.9,
    stop_sequences=("X",),
    user_id="u",
    reasoning=Reasoning(mode="on", effort="low"),
    tools=(Tool(name="t", extra={"strict": True}),),
    tool_choice=ToolChoice(type="any", disable_parallel_tool_use=True),
    output_schema={"type": "string"},
)


@pytest.mark.parametrize(
    ("message", "param", "field", "loss"),
    [
        (
            "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) is supported.",
            "temperature",
            "temperature",
            "temperature",
        ),
        ("Unrecognized request argument supplied: reasoning_effort", None, "reasoning_effort", "reasoning"),
        ("Unsupported parameter: 'stop' is not supported with this model.", "stop", "stop", "stop_sequences"),
        ("Unknown parameter: 'user'.", None, "user", "user_id"),
        ("deepseek-reasoner does not support this tool_choice", None, "tool_choice", "tool_choice"),
        (
            "parallel_tool_calls: Extra inputs are not permitted",
            None,
            "parallel_tool_calls",
            "disable_parallel_tool_use",
        ),
        ("Invalid parameter: response_format", "response_format.type", "response_format", "output_schema"),
        ("Unknown name.", "tools[0].function.strict", "strict", "tools.strict"),
        ("'top_p' is not supported beside temperature", None, "top_p", "top_p"),
        ("stream_options is not supported", None, "stream_options", None),
    ],
)
def test_a_refused_field_is_left_out_the_next_time_and_named(
    message: str, param: str | None, field: str, loss: str | None
) -> None:
    """C09b: the 400 says which one, in every known upstream's words."""
    sent = render(EVERYTHING)
    learned = Refusals().learned(BadRequest(message, param=param), sent)
    again = render(EVERYTHING, learned)

    assert learned.fields == {field}
    assert str(again.body).count(f"'{field}'") == str(sent.body).count(f"'{field}'") - 1
    assert again.losses == ((loss,) if loss else ())


def test_openais_newer_models_get_the_newer_limit() -> None:
    """``max_tokens`` is refused by name: then it is called ``max_completion_tokens``, and nothing is lost."""
    error = BadRequest(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        param="max_tokens",
        code="unsupported_parameter",
    )
    again = render(EVERYTHING, Refusals().learned(error, render(EVERYTHING)))

    assert "max_tokens" not in again.body
    assert (again.body["max_completion_tokens"], again.losses) == (100, ())


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens is too large: 100. This model supports at most 64 completion tokens, whereas you provided 100.",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 64]",
        "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 64 tokens",
    ],
)
def test_more_tokens_than_the_model_has_become_no_limit(message: str) -> None:
    """C39: the model's own maximum is less than what was asked for. A smaller limit is still sent."""
    learned = Refusals().learned(BadRequest(message, param="max_tokens"), render(EVERYTHING))

    assert learned == Refusals(tokens=100)
    huge = render(ask(max_tokens=101), learned)
    assert "max_tokens" not in huge.body
    assert huge.losses == ("max_tokens",)
    assert render(ask(max_tokens=99), learned).body["max_tokens"] == 99


def test_a_code_says_it_where_the_words_do_not() -> None:
    """OpenAI's codes are enough, with the field in the message or beside it."""
    sent = render(EVERYTHING)

    assert Refusals().learned(BadRequest("temperature!", code="unsupported_value"), sent).fields == {"temperature"}


@pytest.mark.parametrize(
    "error",
    [
        BadRequest("messages[0]: unknown role"),
        BadRequest("temperature is wrong, I'm not telling why"),
        BadRequest("It is not supported that the user wants to stop"),
        BadRequest("Unknown parameter: 'top_k'", param="top_k"),
        ContextTooLong("max_tokens is not supported"),
        RateLimited("temperature is not supported"),
    ],
)
def test_other_errors_teach_nothing(error: ProxyError) -> None:
    """Only a 400 that blames a field that was sent is worth another try."""
    assert Refusals().learned(error, render(EVERYTHING)) == Refusals()


def test_a_field_that_was_not_sent_is_not_to_blame() -> None:
    """What isn't in the body can't be left out of it."""
    assert Refusals().learned(BadRequest("temperature is not supported"), render(ask())) == Refusals()


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ToolChoice(type="any"), "one of the tools"),
        (ToolChoice(type="tool", name="weather"), "the tool `weather`"),
        (ToolChoice(type="none"), None),
        (None, None),
    ],
)
def test_a_forced_tool_that_is_refused_is_said_in_words(choice: ToolChoice | None, said: str | None) -> None:
    """C09b: behind the client's own system prompt; a choice that forces nothing needs no words."""
    asked = ask(system=(Text(text="Be short."),), tools=(WEATHER,), tool_choice=choice)
    sent = render(asked, Refusals(fields=frozenset({"tool_choice"})))
    assert "tool_choice" not in sent.body
    told = f"\n\nYou must call {said} in this reply, before anything else." if said else ""
    assert sent.body["messages"][0]["content"] == f"Be short.{told}"
    assert sent.losses == (("tool_choice",) if choice else ())


@pytest.mark.parametrize(
    "message",
    [
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "Missing `reasoning_content` field in the assistant message at message index 1.",
    ],
)
def test_reasoning_that_is_asked_back_is_sent_empty(message: str) -> None:
    """C24: beside tool calls; what was said without them needs none."""
    use = ToolUse(id="c", name="weather", input={})
    turns = (
        *HELLO,
        Message(role="assistant", content=(use,)),
        Message(role="user", content=(ToolResult(tool_use_id="c"),)),
        Message(role="assistant", content=(Text(text="Sunny."),)),
        *HELLO,
    )
    asked = Request(model="m", messages=turns)
    learned = Refusals().learned(BadRequest(message), render(asked))
    assert learned == Refusals(wants_reasoning=True)
    assert learned.learned(BadRequest(message), render(asked, learned)) == learned
    said = [one for one in render(asked, learned).body["messages"] if one["role"] == "assistant"]
    assert said[0]["reasoning_content"] == ""
    assert "reasoning_content" not in said[1]
