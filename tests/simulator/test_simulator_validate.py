"""Every rule of the strict simulator, one bad request each; and the good ones that must pass."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from claude_proxy.errors import ContextTooLong, NotFound, ProxyError
from claude_proxy.simulator.models import MODELS, ModelRules
from claude_proxy.simulator.validate import check

TODAY, MIDDLE, OLDER = "claude-sonnet-5-5", "claude-opus-4-6", "claude-sonnet-4-5-20250929"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()
PDF = base64.b64encode(b"%PDF-1.7").decode()
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
USER = {"role": "user", "content": "hi"}


def body(**fields: Any) -> dict[str, Any]:
    """A request that passes, but for the fields given; a field of ``...`` is left out."""
    full = {"model": TODAY, "max_tokens": 100, "messages": [USER], **fields}
    return {name: value for name, value in full.items() if value is not ...}


def says(*blocks: Any, role: str = "user") -> dict[str, Any]:
    """A request whose only message has these blocks."""
    return body(messages=[{"role": role, "content": list(blocks)}])


def turns(*messages: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    """A request with these messages."""
    return body(messages=[{"role": role, "content": content} for role, content in messages], **fields)


def text(said: str) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": said}


def use(call_id: str = "t1", **fields: Any) -> dict[str, Any]:
    """A tool call."""
    return {"type": "tool_use", "id": call_id, "name": "get_weather", "input": {}, **fields}


def result(name: str = "t1", **fields: Any) -> dict[str, Any]:
    """A tool result."""
    return {"type": "tool_result", "tool_use_id": name, "content": "sunny", **fields}


def image(**source: Any) -> dict[str, Any]:
    """An image block."""
    return {"type": "image", "source": source}


def document(**source: Any) -> dict[str, Any]:
    """A document block."""
    return {"type": "document", "source": source}


def tool(**fields: Any) -> dict[str, Any]:
    """A request with one tool."""
    return body(tools=[{**TOOL, **fields}])


def schema(**fields: Any) -> dict[str, Any]:
    """A request for JSON of a schema."""
    return body(output_config={"format": {"type": "json_schema", "schema": fields}})


def mark(ttl: str | None = None) -> dict[str, Any]:
    """A text block with a cache mark."""
    return {**text("x"), "cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}}


THINKING = {"type": "thinking", "thinking": "hm", "signature": "sig1"}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    # the whole
    "no-model": (body(model=...), "model: Field required"),
    "no-messages": (body(messages=...), "messages: Field required"),
    "no-max-tokens": (body(max_tokens=...), "max_tokens: Field required"),
    "max-tokens-text": (body(max_tokens="5"), "max_tokens: Input should be a valid integer"),
    "max-tokens-bool": (body(max_tokens=True), "max_tokens: Input should be a valid integer"),
    "max-tokens-0": (body(max_tokens=0), "max_tokens: Input should be greater than or equal to 1"),
    "max-tokens-over": (
        body(max_tokens=200_000),
        "max_tokens: 200000 > 128000, which is the maximum allowed number of output tokens for claude-sonnet-5-5",
    ),
    "unknown-field": (body(seed=1), "seed: Extra inputs are not permitted"),
    "stream-text": (body(stream="yes"), "stream: Input should be a valid boolean"),
    "service-tier": (body(service_tier="flex"), "service_tier: Input should be 'auto' or 'standard_only'"),
    "thread": (body(thread={"type": "create"}), "thread: Threads are not supported"),
    # sampling
    "temperature-range": (body(model=MIDDLE, temperature=1.5), "temperature: range: 0..1"),
    "temperature-text": (body(temperature="hot"), "temperature: Input should be a valid number"),
    "top-p-range": (body(model=MIDDLE, top_p=-0.1), "top_p: range: 0..1"),
    "top-k-range": (body(model=MIDDLE, top_k=-1), "top_k: Input should be greater than or equal to 0"),
    "temperature-today": (body(temperature=0.5), "`temperature` may only be set to 1 when thinking is enabled"),
    "top-p-today": (body(top_p=0.9), "`top_p` must be greater than or equal to 0.95 or unset"),
    "top-k-today": (body(top_k=5), "`top_k` must be unset when thinking is enabled"),
    "temperature-and-thinking": (
        body(model=MIDDLE, temperature=0, thinking={"type": "adaptive"}),
        "`temperature` may only be set to 1",
    ),
    "temperature-and-top-p": (
        body(model=OLDER, temperature=1, top_p=1),
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
    ),
    "blank-stop": (body(stop_sequences=[" "]), "stop_sequences: each stop sequence must contain non-whitespace"),
    "stop-number": (body(stop_sequences=[1]), "stop_sequences.0: Input should be a valid string"),
    # thinking, output, metadata
    "thinking-unknown": (body(thinking={"type": "x"}), "thinking: Input tag 'x' found using 'type'"),
    "thinking-untyped": (body(thinking={}), "thinking.type: Field required"),
    "thinking-off-today": (body(thinking={"type": "disabled"}), "Thinking may not be disabled for this model"),
    "adaptive-older": (
        body(model=OLDER, thinking={"type": "adaptive"}),
        "adaptive thinking is not supported on this model",
    ),
    "budget-missing": (body(thinking={"type": "enabled"}), "thinking.enabled.budget_tokens: Field required"),
    "budget-small": (
        body(thinking={"type": "enabled", "budget_tokens": 1000}),
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    "budget-over": (
        body(max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 2000}),
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
    "display": (
        body(thinking={"type": "adaptive", "display": "all"}),
        "thinking.adaptive.display: Input should be 'summarized' or 'omitted'",
    ),
    "effort": (
        body(output_config={"effort": "minimal"}),
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
    ),
    "effort-older": (
        body(model=OLDER, output_config={"effort": "low"}),
        "output_config.effort: This model does not support the effort parameter.",
    ),
    "format-type": (body(output_config={"format": {"type": "json_object"}}), "output_config.format: Input tag"),
    "format-name": (
        body(output_config={"format": {"type": "json_schema", "schema": {}, "name": "x"}}),
        "output_config.format.name: Extra inputs are not permitted",
    ),
    "schema-open": (schema(type="object"), "For 'object' type, 'additionalProperties' must be explicitly set to false"),
    "schema-open-within": (
        schema(type="array", items={"properties": {"a": {"type": "null"}}}),
        "'additionalProperties' must be explicitly set to false",
    ),
    "schema-minimum": (
        schema(type=["integer", "null"], minimum=1),
        "For 'integer' type, property 'minimum' is not supported",
    ),
    "schema-length": (
        schema(anyOf=[{"type": "string", "maxLength": 3}]),
        "For 'string' type, property 'maxLength' is not supported",
    ),
    "schema-min-items": (schema(type="array", minItems=2), "'minItems' values other than 0 or 1 are not supported"),
    "schema-external": (schema(**{"$ref": "https://x/y"}), "External $ref is not supported"),
    "schema-type": (schema(type="str"), "JSON schema is invalid"),
    "metadata-extra": (body(metadata={"a": "b"}), "metadata.a: Extra inputs are not permitted"),
    "user-id-number": (body(metadata={"user_id": 5}), "metadata.user_id: Input should be a valid string"),
    "user-id-email": (
        body(metadata={"user_id": "me@example.com"}),
        "metadata.user_id: user_id appears to contain an email address",
    ),
    # tools
    "tools-object": (body(tools={}), "tools: Input should be a valid list"),
    "tool-text": (body(tools=["x"]), "tools.0: Input should be a valid dictionary"),
    "tool-function": (body(tools=[{"type": "function"}]), "tools.0: Input tag 'function' found using 'type'"),
    "tool-unnamed": (body(tools=[{"input_schema": {}}]), "tools.0.custom.name: Field required"),
    "tool-name": (
        tool(name="get weather"),
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    "tool-name-long": (tool(name="x" * 129), "tools.0.custom.name: String should match pattern"),
    "tool-extra": (tool(parameters={}), "tools.0.custom.parameters: Extra inputs are not permitted"),
    "tool-twice": (body(tools=[TOOL, TOOL]), "tools: Tool names must be unique."),
    "tool-schema-text": (tool(input_schema="x"), "tools.0.custom.input_schema: Input should be a valid dictionary"),
    "tool-schema-untyped": (tool(input_schema={}), "tools.0.custom.input_schema.type: Field required"),
    "tool-schema-string": (
        tool(input_schema={"type": "string"}),
        "tools.0.custom.input_schema.type: Input should be 'object'",
    ),
    "tool-schema-any-of": (
        tool(input_schema={"type": "object", "anyOf": []}),
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
    ),
    "tool-schema-inner": (
        tool(input_schema={"type": "object", "properties": {"a": 5}}),
        "tools.0.custom.input_schema: JSON schema is invalid",
    ),
    "tool-schema-required": (
        tool(input_schema={"type": "object", "required": "a"}),
        "tools.0.custom.input_schema: JSON schema is invalid",
    ),
    "tool-schema-key": (
        tool(input_schema={"type": "object", "properties": {"a b": {}}}),
        "tools.0.custom.input_schema.properties: Property keys should match pattern",
    ),
    "tool-strict": (tool(strict=True), "tools.0.custom: For 'object' type, 'additionalProperties'"),
    "choice-no-tools": (
        body(tool_choice={"type": "auto"}),
        "tool_choice: tool_choice may only be specified while providing tools.",
    ),
    "choice-unknown": (body(tools=[TOOL], tool_choice={"type": "required"}), "tool_choice: Input tag 'required'"),
    "choice-name": (
        body(model=MIDDLE, tools=[TOOL], tool_choice={"type": "tool", "name": "x"}),
        "tool_choice: Tool 'x' not found in provided tools",
    ),
    "choice-forced-today": (
        body(tools=[TOOL], tool_choice={"type": "any"}),
        "tool_choice: Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "choice-none-parallel": (
        body(tools=[TOOL], tool_choice={"type": "none", "disable_parallel_tool_use": True}),
        "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted",
    ),
    # messages
    "empty": (body(messages=[]), "messages: at least one message is required"),
    "message-text": (body(messages=["hi"]), "messages.0: Input should be a valid dictionary"),
    "role": (turns(("tool", "x")), "messages.0.role: Input should be 'user', 'assistant' or 'system'"),
    "message-extra": (body(messages=[{**USER, "name": "me"}]), "messages.0.name: Extra inputs are not permitted"),
    "content-null": (turns(("user", None)), "messages.0.content: Input should be a valid list"),
    "content-empty": (turns(("user", "")), "messages.0: all messages must have non-empty content"),
    "content-no-blocks": (turns(("user", []), ("user", "x")), "messages.0: all messages must have non-empty content"),
    "assistant-empty": (
        turns(("user", "a"), ("assistant", []), ("user", "b")),
        "messages.1: all messages must have non-empty content",
    ),
    "content-blank": (turns(("user", " \n")), "messages.0.content: text content blocks must contain non-whitespace"),
    "block-text": (says("hi"), "messages.0.content.0: Input should be a valid dictionary"),
    "block-untyped": (says({"text": "x"}), "messages.0.content.0.type: Field required"),
    "block-unknown": (says({"type": "image_url"}), "messages.0.content.0: Input tag 'image_url' found using 'type'"),
    "block-extra": (says({**text("x"), "id": 1}), "messages.0.content.0.text.id: Extra inputs are not permitted"),
    "text-empty": (says(text("")), "messages.0.content.0.text: text content blocks must be non-empty"),
    "text-blank": (says(text(" ")), "messages.0.content.0.text: text content blocks must contain non-whitespace text"),
    "system-early": (turns(("system", "x"), ("user", "y")), "messages.0: a message with role `system` must come after"),
    "system-image": (
        turns(("user", "x"), ("system", [image(type="url", url="https://x/y")])),
        "messages.1.content.0: `image` blocks can only be in `user` messages",
    ),
    "system-blocks": (body(system=[image()]), "system.0: Input tag 'image' found using 'type'"),
    "system-empty-block": (body(system=[text("")]), "system.0: text content blocks must be non-empty"),
    "system-number": (body(system=5), "system: Input should be a valid list"),
    "prefill": (
        turns(("user", "x"), ("assistant", "y")),
        "This model does not support assistant message prefill. The conversation must end with a user message.",
    ),
    "prefill-before-system": (
        turns(("user", "x"), ("assistant", "y"), ("system", "z")),
        "This model does not support assistant message prefill",
    ),
    "prefill-thinking": (
        turns(
            ("user", "x"),
            ("assistant", "y"),
            model=OLDER,
            max_tokens=2000,
            thinking={"type": "enabled", "budget_tokens": 1024},
        ),
        "This model does not support assistant message prefill",
    ),
    "prefill-blank-end": (
        turns(("user", "x"), ("assistant", "y "), model=OLDER),
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    "use-by-user": (says(use()), "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages"),
    "result-by-assistant": (
        turns(("assistant", [result()]), ("user", "x")),
        "messages.0.content.0: `tool_result` blocks can only be in `user` messages",
    ),
    "use-id": (
        turns(("assistant", [use("a b")]), ("user", "x")),
        "messages.0.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    "use-name": (
        turns(("assistant", [use(name="a b")]), ("user", "x")),
        "messages.0.content.0.tool_use.name: String should match pattern",
    ),
    "use-input": (
        turns(("assistant", [use(input="{}")]), ("user", "x")),
        "messages.0.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    "use-twice": (
        turns(("assistant", [use()]), ("user", [result()]), ("assistant", [use()]), ("user", [result()])),
        "messages.2.content.0: `tool_use` ids must be unique",
    ),
    "use-unanswered": (
        turns(("user", "x"), ("assistant", [use("a"), use("b")]), ("user", [result("a")])),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: b.",
    ),
    "use-last": (
        turns(("user", "x"), ("assistant", [use()]), model=OLDER),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1.",
    ),
    "result-not-first": (
        turns(("assistant", [use()]), ("user", [text("x"), result()])),
        "messages.0: `tool_use` ids were found without `tool_result` blocks immediately after: t1.",
    ),
    "result-unknown": (
        turns(("user", [result("nobody")])),
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: nobody.",
    ),
    "result-late": (
        turns(("assistant", [use()]), ("user", [result()]), ("assistant", "x"), ("user", [result()])),
        "messages.3.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1.",
    ),
    "result-twice": (
        turns(("assistant", [use()]), ("user", [result(), result()])),
        "messages.1.content.1: each tool_use must have a single result.",
    ),
    "result-content": (
        turns(("assistant", [use()]), ("user", [result(content=5)])),
        "messages.1.content.0.tool_result.content: Input should be a valid list",
    ),
    "result-inner": (
        turns(("assistant", [use()]), ("user", [result(content=[use()])])),
        "messages.1.content.0.tool_result.content.0: Input tag 'tool_use' found using 'type'",
    ),
    "result-inner-text": (
        turns(("assistant", [use()]), ("user", [result(content=[text("")])])),
        "messages.1.content.0.tool_result.content.0.text: text content blocks must be non-empty",
    ),
    "thinking-unsigned": (
        turns(("assistant", [{**THINKING, "signature": ""}]), ("user", "x")),
        "messages.0.content.0: Invalid `signature` in `thinking` block",
    ),
    "thinking-foreign": (
        turns(("assistant", [{**THINKING, "signature": "abc"}]), ("user", "x")),
        "messages.0.content.0: Invalid `signature` in `thinking` block",
    ),
    "thinking-by-user": (says(THINKING), "messages.0.content.0: `thinking` blocks can only be in `assistant` messages"),
    # media
    "image-base64": (
        says(image(type="base64", media_type="image/png", data="no!")),
        "messages.0.content.0.image.source.base64.data: Invalid base64 data",
    ),
    "image-empty": (
        says(image(type="base64", media_type="image/png", data="")),
        "messages.0.content.0.image.source.base64.data: cannot be empty",
    ),
    "image-type": (
        says(image(type="base64", media_type="image/bmp", data=PNG)),
        "source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
    ),
    "image-mislabelled": (
        says(image(type="base64", media_type="image/jpeg", data=PNG)),
        "the image appears to be a image/png image",
    ),
    "image-large": (
        says(image(type="base64", media_type="image/png", data="A" * (6 << 20))),
        "image exceeds 5 MB maximum",
    ),
    "image-url": (
        says(image(type="url", url="file:///etc/hostname")),
        "messages.0.content.0.image.source.url.url: Input should be a valid URL",
    ),
    "image-source": (says(image(type="path")), "messages.0.content.0.image.source: Input tag 'path'"),
    "image-in-result": (
        turns(
            ("assistant", [use()]),
            ("user", [result(content=[image(type="base64", media_type="image/png", data="no!")])]),
        ),
        "messages.1.content.0.tool_result.content.0.image.source.base64.data: Invalid base64 data",
    ),
    "pdf-type": (
        says(document(type="base64", media_type="text/csv", data=PDF)),
        "document.source.base64.media_type: Input should be 'application/pdf'",
    ),
    "document-text-type": (
        says(document(type="text", media_type="text/html", data="x")),
        "document.source.text.media_type: Input should be 'text/plain'",
    ),
    "document-empty": (
        says(document(type="text", media_type="text/plain", data="")),
        "document.source.text.data: text content blocks must be non-empty",
    ),
    # caching
    "marks-5": (
        says(*[mark()] * 5),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "mark-5-on-top": (
        body(system=[mark()] * 4, cache_control={"type": "ephemeral"}),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "mark-ttl": (says(mark("2h")), "messages.0.content.0.cache_control.ttl: Input should be '5m' or '1h'"),
    "mark-type": (
        says({**text("x"), "cache_control": {"type": "forever"}}),
        "messages.0.content.0.cache_control.type: Input should be 'ephemeral'",
    ),
    "mark-order": (
        body(system=[mark()], messages=[{"role": "user", "content": [mark("1h")]}]),
        "messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after",
    ),
    "mark-in-result": (
        turns(("assistant", [use()]), ("user", [result(content=[mark()]), mark("1h")])),
        "messages.1.content.1.cache_control.ttl: a ttl='1h' cache_control block must not come after",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """What the real API refuses is a 400 in its words, with the path."""
    request, message = REFUSED[case]
    with pytest.raises(ProxyError) as caught:
        check(request, MODELS)
    assert (caught.value.status, caught.value.kind) == (400, "invalid_request_error")
    assert message in caught.value.message


PASSES: dict[str, dict[str, Any]] = {
    "plain": body(),
    "nulls": body(temperature=None, system=None, tools=None, thinking=None, stop_sequences=None, tool_choice=None),
    "temperature-1": body(temperature=1, top_p=0.95),
    "middle-forced": body(
        model=MIDDLE, temperature=0.3, tools=[TOOL], tool_choice={"type": "tool", "name": TOOL["name"]}
    ),
    "middle-off": body(model=MIDDLE, thinking={"type": "disabled"}, top_k=5, output_config={"effort": "max"}),
    "budget": body(max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024, "display": "omitted"}),
    "adaptive": body(thinking={"type": "adaptive", "display": "summarized"}, output_config={"effort": "low"}),
    "prefill-older": turns(("user", "x"), ("assistant", "y"), model=OLDER),
    "prefill-older-empty": turns(("user", "x"), ("assistant", []), model=OLDER),
    "assistant-first": turns(("assistant", "x"), ("user", "y")),
    "same-role": turns(("user", "x"), ("user", "y")),
    "system-last": turns(("user", "x"), ("system", "# Environment")),
    "system-empty": turns(("user", "x"), ("system", ""), ("user", "y")),
    "only-system-and-user": body(system="be brief"),
    "system-between-call-and-result": turns(
        ("user", "x"), ("assistant", [use()]), ("system", "x"), ("user", [result()])
    ),
    "results-in-two-messages": turns(
        ("assistant", [use("a"), use("b")]), ("user", [result("b")]), ("user", [result("a"), text("x")])
    ),
    "result-without-content": turns(("assistant", [use()]), ("user", [{"type": "tool_result", "tool_use_id": "t1"}])),
    "result-reference": turns(
        ("assistant", [use()]), ("user", [result(content=[{"type": "tool_reference", "tool_name": "x"}])])
    ),
    "thinking": turns(("assistant", [THINKING, {"type": "redacted_thinking", "data": "x"}]), ("user", "x")),
    "server-blocks": turns(
        (
            "assistant",
            [{"type": "server_tool_use", "id": "s"}, {"type": "web_search_tool_result", "tool_use_id": "s"}],
        ),
        ("user", "x"),
    ),
    "media": says(
        image(type="base64", media_type="image/png", data=PNG),
        image(type="url", url="http://x/y.png"),
        image(type="file", file_id="file_1"),
        document(type="base64", media_type="application/pdf", data=PDF),
        document(type="text", media_type="text/plain", data="x"),
        document(type="content", content="x"),
    ),
    "server-tools": body(tools=[{"type": "web_search_20250305", "name": "web_search"}, {"type": "mcp_toolset"}, TOOL]),
    "tool-null-lists": tool(input_schema={"type": "object", "properties": None, "required": None}),
    "tool-odd-schema": tool(
        input_schema={"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": True}}
    ),
    "tool-strict": tool(strict=True, input_schema={"type": "object", "additionalProperties": False}),
    "schema": schema(
        type="object",
        properties={"a": {"$ref": "#/$defs/b"}, "c": {"type": "array", "minItems": 1, "items": {"type": "number"}}},
        additionalProperties=False,
        **{"$defs": {"b": {"enum": ["x"]}}},
    ),
    "marks": body(system=[mark("1h")], messages=[{"role": "user", "content": [mark("1h"), mark()]}]),
    "user-id": body(metadata={"user_id": '{"device_id":"x"}'}),
    "tier": body(service_tier="auto"),
    "stop": body(stop_sequences=["END", "STOP"]),
}


@pytest.mark.parametrize("case", PASSES)
def test_passes(case: str) -> None:
    """What the real API takes passes."""
    check(PASSES[case], MODELS)


def test_issued_signature_is_taken_again() -> None:
    """A thinking signature that the simulator gave out itself is valid, whatever it looks like."""
    request = turns(("assistant", [{**THINKING, "signature": "abc"}]), ("user", "x"))
    check(request, MODELS, {"abc"})


@pytest.mark.parametrize("model", ["claude-sonnet-4", "gpt-4o", ""])
def test_unknown_model_is_404(model: str) -> None:
    """A model that isn't there is a 404 which names it."""
    with pytest.raises(NotFound, match=f"^model: {model}$"):
        check(body(model=model), MODELS)


def test_prompt_over_the_context_is_refused() -> None:
    """A prompt of more tokens than the context holds is refused with both numbers."""
    with pytest.raises(ContextTooLong, match="prompt is too long: 6 tokens > 5 maximum"):
        check(turns(("user", "one two three four five six")) | {"model": "m"}, {"m": ModelRules("M", "", context=5)})


def test_counting_needs_no_max_tokens() -> None:
    """``count_tokens`` takes a request without ``max_tokens``, a thinking budget included."""
    request = body(max_tokens=..., thinking={"type": "enabled", "budget_tokens": 5000})
    check(request, MODELS, counting=True)


def test_counting_refuses_what_only_messages_take() -> None:
    """``count_tokens`` refuses sampling parameters."""
    with pytest.raises(ProxyError, match="max_tokens: Extra inputs are not permitted"):
        check(body(), MODELS, counting=True)
