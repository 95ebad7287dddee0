"""The ways in which a Chat Completions client asks for reasoning."""

from __future__ import annotations

from typing import Any

import pytest
from chat_asking import ask, refused

from claude_proxy.canon.request import Reasoning

OFF = Reasoning(mode="off")


def on(**fields: Any) -> Reasoning:
    """Give reasoning that is asked for, and shown unless said otherwise."""
    return Reasoning(mode="on", **{"visible": True, **fields})


@pytest.mark.parametrize(
    ("effort", "expected"),
    [
        ("none", OFF),
        ("minimal", on(effort="low")),
        ("low", on(effort="low")),
        ("medium", on(effort="medium")),
        ("high", on(effort="high")),
        ("xhigh", on(effort="xhigh")),
        ("max", on(effort="max")),
    ],
)
def test_c14_reasoning_effort(effort: str, expected: Reasoning) -> None:
    """C14: each level has its own; none turns it off."""
    assert ask(reasoning_effort=effort).request.reasoning == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reasoning": {"effort": "high"}}, on(effort="high")),
        ({"reasoning": {"max_tokens": 2000}}, on(budget_tokens=2000)),
        ({"reasoning": {"effort": "low", "max_tokens": 2000}}, on(effort="low", budget_tokens=2000)),
        ({"reasoning": {"enabled": True}}, on()),
        ({"reasoning": {"enabled": True, "exclude": True}}, on(visible=False)),
        ({"reasoning": {"effort": "high", "exclude": True}}, on(effort="high", visible=False)),
        ({"reasoning": {"enabled": False, "effort": "high"}}, OFF),
        ({"reasoning": {"effort": "none", "max_tokens": 5}}, OFF),
        ({"reasoning": {"exclude": True}}, Reasoning()),
        ({"reasoning": {}}, Reasoning()),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, on(budget_tokens=1024)),
        ({"thinking": {"type": "adaptive"}}, on()),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, on(visible=False)),
        ({"thinking": {"type": "disabled"}}, OFF),
        ({}, Reasoning()),
    ],
)
def test_c38_the_other_ways(fields: dict[str, Any], expected: Reasoning) -> None:
    """C38: OpenRouter's and the Messages API's; what nobody asked for is never visible."""
    assert ask(**fields).request.reasoning == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"reasoning_effort": "high", "thinking": {"type": "enabled", "budget_tokens": 9}},
            on(effort="high", budget_tokens=9),
        ),
        ({"reasoning_effort": "high", "reasoning": {"exclude": True}}, on(effort="high", visible=False)),
        ({"reasoning_effort": "none", "thinking": {"type": "adaptive"}}, OFF),
        ({"reasoning": {"effort": "low"}, "thinking": {"type": "disabled"}}, on(effort="low")),
    ],
)
def test_several_ways_at_once(fields: dict[str, Any], expected: Reasoning) -> None:
    """The first that says whether decides; how much is taken from whoever says it."""
    assert ask(**fields).request.reasoning == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning_effort": ""}, "reasoning_effort"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": 0}}, "reasoning.max_tokens"),
        ({"reasoning": {"enabled": "yes"}}, "reasoning.enabled"),
        ({"reasoning": "high"}, "reasoning"),
        ({"thinking": {"type": "sometimes"}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens"),
        ({"thinking": {"budget_tokens": 5}}, "thinking"),
    ],
)
def test_c14_what_makes_no_sense_is_refused(fields: dict[str, Any], param: str) -> None:
    """C14: by the path of what is wrong."""
    assert refused(**fields).param == param
