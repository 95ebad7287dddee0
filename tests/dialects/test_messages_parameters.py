"""How a Messages client asks for reasoning and for a format."""

from __future__ import annotations

from typing import Any

import pytest
from messages_asking import ask, refused

from claude_proxy.canon.request import Reasoning
from claude_proxy.dialects.messages import MESSAGES

SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}}


@pytest.mark.parametrize(
    ("fields", "reasoning", "shown"),
    [
        ({}, Reasoning(), "hidden"),
        ({"thinking": None, "output_config": None}, Reasoning(), "hidden"),
        ({"thinking": {"type": "disabled"}}, Reasoning(mode="off"), "hidden"),
        ({"thinking": {"type": "adaptive"}}, Reasoning(mode="on", visible=True), "shown"),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
            Reasoning(mode="on", effort="max", visible=True),
            "shown",
        ),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(mode="on"), "omitted"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            Reasoning(mode="on", budget_tokens=1024, visible=True),
            "shown",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
            Reasoning(mode="on", budget_tokens=2000),
            "omitted",
        ),
        ({"output_config": {"effort": "low"}}, Reasoning(mode="on", effort="low"), "hidden"),
    ],
)
def test_reasoning_is_asked_for(fields: dict[str, Any], reasoning: Reasoning, shown: str) -> None:
    """C38: how much, and whether the client gets to see it; an effort alone shows nothing."""
    parsed = ask(**fields)
    assert parsed.request.reasoning == reasoning
    assert parsed.options.thinking == shown
    assert parsed.losses == ()


@pytest.mark.parametrize(
    ("fields", "losses"),
    [
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, ("output_config.effort",)),
        ({"thinking": {"type": "between_tools"}}, ("thinking.type",)),
        ({"thinking": {"type": "adaptive", "display": "updates"}}, ("thinking.display",)),
    ],
)
def test_what_of_it_can_not_be_honoured_is_named(fields: dict[str, Any], losses: tuple[str, ...]) -> None:
    """An effort without thinking, and thinking between calls only."""
    assert ask(**fields).losses == losses


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"thinking": {}}, "thinking.type: Field required"),
        (
            {"thinking": {"type": "auto"}},
            "thinking.type: Input should be 'enabled', 'adaptive', 'disabled' or 'between_tools'",
        ),
        ({"thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 1023}},
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 4096}},
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
        ),
        (
            {"thinking": {"type": "adaptive", "display": "full"}},
            "thinking.adaptive.display: Input should be 'summarized', 'omitted' or 'updates'",
        ),
        (
            {"output_config": {"effort": "minimal"}},
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        ),
        (
            {"output_config": {"format": {"type": "json_object"}}},
            "output_config.format.type: Input should be 'json_schema'",
        ),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema: Field required"),
    ],
)
def test_what_the_api_refuses_is_refused(fields: dict[str, Any], told: str) -> None:
    """In its words."""
    assert refused(**fields).message == told


def test_a_budget_can_be_counted_without_max_tokens() -> None:
    """Nothing is there that it would have to be less than."""
    counted = MESSAGES.parse_count(
        b'{"model":"m","messages":[{"role":"user","content":"hi"}],"thinking":{"type":"enabled","budget_tokens":9000}}'
    )
    assert counted.request.reasoning.budget_tokens == 9000


@pytest.mark.parametrize(
    "fields",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
        {
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
            "output_format": {"type": "json_schema", "schema": {}},
        },
    ],
)
def test_a_format_is_a_schema_in_either_place(fields: dict[str, Any]) -> None:
    """The newer place counts; the schema is the client's own, for the upstream to judge."""
    assert ask(**fields).request.output_schema == SCHEMA


def test_an_effort_is_no_format() -> None:
    """``output_config`` may hold the one without the other."""
    assert ask(output_config={"effort": "low"}).request.output_schema is None
