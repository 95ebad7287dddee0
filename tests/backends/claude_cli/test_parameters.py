"""What of a request's parameters is sent, and what is named as lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.claude_cli.failures import refused_parameters
from claude_proxy.backends.claude_cli.parameters import BESIDE_TEMPERATURE, Abilities, Plan, plan
from claude_proxy.canon.blocks import Text
from claude_proxy.canon.request import Effort, Message, Reasoning, Request, Tool, ToolChoice
from claude_proxy.errors import BadRequest

USER = Message(role="user", content=(Text(text="hi"),))
TOOL = Tool(name="get_weather")
TODAY = Abilities(thinking_off=False, adaptive=True, efforts=("low", "medium", "high"))
OLDER = Abilities(thinking_off=True, adaptive=False, efforts=())
UNKNOWN = Abilities()


def planned(abilities: Abilities = UNKNOWN, **asked: Any) -> Plan:
    """Plan a request that asks for ``asked``, on a plan login."""
    return plan(Request(model="m", messages=(USER,), **asked), abilities, plan_login=True)


def body(done: Plan) -> Any:
    """Give what is merged into the upstream request."""
    return json.loads(done.settings["env"]["CLAUDE_CODE_EXTRA_BODY"])


def max_tokens(done: Plan) -> int:
    """Give the limit that the CLI is told."""
    return int(done.settings["env"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"])


def test_a_plain_request_loses_nothing() -> None:
    """The full set is sent all the same: it takes back what the last turn set."""
    done = planned(TODAY)
    assert (done.losses, done.system_notes, done.sent) == ((), (), frozenset())
    assert done.settings["effortLevel"] is None
    assert body(done) == {}


@pytest.mark.parametrize(("asked", "most"), [(777, None), (32_000, None), (100_000, 128_000)])
def test_the_clients_max_tokens_is_sent_in_the_body(asked: int, most: int | None) -> None:
    """C15: there it holds for the one request; the CLI's own limit holds for all of a tool loop."""
    done = planned(Abilities(max_output=most), max_tokens=asked)
    assert body(done)["max_tokens"] == asked
    assert max_tokens(done) > 500_000


@pytest.mark.parametrize("asked", [32_001, 128_000])
def test_a_huge_max_tokens_is_left_to_the_cli_to_clamp(asked: int) -> None:
    """C39: it goes as CLI setting, which is lowered to the model's own, and not into the body, which would be a 400."""
    done = planned(max_tokens=asked)
    assert max_tokens(done) == asked
    assert "max_tokens" not in body(done)


def test_no_max_tokens_is_the_models_maximum() -> None:
    """C15: a number above every model's, for the CLI to lower."""
    assert max_tokens(planned()) > 500_000


def test_stop_sequences_are_sent() -> None:
    """C17: they reach the upstream, which cuts the text."""
    assert body(planned(stop_sequences=("END", "\n\n")))["stop_sequences"] == ["END", "\n\n"]


def test_structured_output_is_native() -> None:
    """C18: as the API's own format."""
    schema = {"type": "object", "properties": {"名": {"type": "string"}}}
    assert body(planned(output_schema=schema))["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


def test_the_user_is_lost_on_a_plan() -> None:
    """C20: there the CLI's own identity is in ``metadata``."""
    done = planned(user_id="u")
    assert done.losses == ("user_id",)
    assert "metadata" not in body(done)


def test_the_user_is_sent_with_a_key() -> None:
    """C20: nothing of the CLI's is in the way."""
    done = plan(Request(model="m", messages=(USER,), user_id="u"), UNKNOWN, plan_login=False)
    assert done.losses == ()
    assert body(done)["metadata"] == {"user_id": "u"}


# -- thinking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abilities", [OLDER, UNKNOWN])
@pytest.mark.parametrize("mode", ["default", "off"])
def test_thinking_is_off_unless_asked_for(abilities: Abilities, mode: Any) -> None:
    """C38: nobody waits for thoughts that nobody wants; where it isn't known it is tried."""
    done = planned(abilities, reasoning=Reasoning(mode=mode))
    assert body(done)["thinking"] == {"type": "disabled"}
    assert done.losses == ()
    assert "thinking" in done.sent


@pytest.mark.parametrize("abilities", [TODAY, UNKNOWN.without(frozenset({"thinking"}))])
def test_what_always_thinks_is_let_think(abilities: Abilities) -> None:
    """C09b: a model that refuses the switch isn't sent it, and who asked for nothing loses nothing."""
    done = planned(abilities)
    assert "thinking" not in body(done)
    assert done.losses == ()


def test_thinking_switched_off_in_vain_is_a_named_loss() -> None:
    """C09b: the client said no, and the model does it all the same."""
    assert planned(TODAY, reasoning=Reasoning(mode="off")).losses == ("reasoning",)


@pytest.mark.parametrize("abilities", [TODAY, UNKNOWN])
def test_effort_makes_thinking_adaptive(abilities: Abilities) -> None:
    """C14: today's models think by effort; so is one tried that isn't known."""
    done = planned(abilities, reasoning=Reasoning(mode="on", effort="high"))
    assert body(done)["thinking"] == {"type": "adaptive"}
    assert done.settings["effortLevel"] == "high"
    assert done.sent == {"adaptive", "effort"}


def test_visible_thinking_is_asked_for_as_text() -> None:
    """C34: today's models leave the text out otherwise."""
    done = planned(TODAY, reasoning=Reasoning(mode="on", visible=True))
    assert body(done)["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert done.settings["effortLevel"] is None
    assert done.sent == {"adaptive"}


@pytest.mark.parametrize("mode", ["default", "off"])
def test_an_effort_without_thinking_is_sent_too(mode: Any) -> None:
    """M02: it is about all that the model writes."""
    done = planned(
        Abilities(thinking_off=True, adaptive=True, efforts=("low",)), reasoning=Reasoning(mode=mode, effort="low")
    )
    assert done.settings["effortLevel"] == "low"
    assert body(done)["thinking"] == {"type": "disabled"}
    assert done.losses == ()


@pytest.mark.parametrize(
    ("efforts", "wanted", "level"),
    [(("low", "medium", "high"), "max", "high"), (("low", "high"), "medium", "low"), (("high",), "low", None)],
)
def test_an_effort_that_the_model_lacks_is_the_nearest_below(
    efforts: tuple[str, ...], wanted: Effort, level: str | None
) -> None:
    """C14: never more than was asked for, and the difference is named."""
    abilities = Abilities(thinking_off=False, adaptive=True, efforts=efforts)
    done = planned(abilities, reasoning=Reasoning(mode="on", effort=wanted))
    assert done.settings["effortLevel"] == level
    assert done.losses == ("reasoning",)


@pytest.mark.parametrize("abilities", [Abilities(adaptive=True, efforts=()), UNKNOWN.without(frozenset({"effort"}))])
def test_an_effort_is_not_sent_to_a_model_without(abilities: Abilities) -> None:
    """C09b: known to have none, or having refused one."""
    done = planned(abilities, reasoning=Reasoning(mode="on", effort="low"))
    assert done.settings["effortLevel"] is None
    assert done.losses == ("reasoning",)
    assert done.sent == {"adaptive"}


@pytest.mark.parametrize(("budget", "level"), [(1024, "low"), (8192, "medium"), (16385, "xhigh"), (99_999, "max")])
def test_a_budget_becomes_an_effort_where_the_model_thinks_adaptively(budget: int, level: str) -> None:
    """M02: adaptive models ignore a number, so that is a named loss."""
    done = planned(reasoning=Reasoning(mode="on", budget_tokens=budget))
    assert done.settings["effortLevel"] == level
    assert done.losses == ("reasoning.budget_tokens",)


@pytest.mark.parametrize("abilities", [OLDER, UNKNOWN.without(frozenset({"adaptive"}))])
@pytest.mark.parametrize(
    ("reasoning", "budget"),
    [
        (Reasoning(mode="on", budget_tokens=5000), 5000),
        (Reasoning(mode="on", effort="low"), 2048),
        (Reasoning(mode="on", effort="max"), 31_999),
        (Reasoning(mode="on"), 8192),
    ],
)
def test_other_models_get_a_budget(abilities: Abilities, reasoning: Reasoning, budget: int) -> None:
    """C14: known not to think adaptively, or having refused to."""
    done = planned(abilities, reasoning=reasoning)
    assert body(done)["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert done.settings["effortLevel"] is None
    assert done.losses == ()


def test_a_budget_stays_below_max_tokens() -> None:
    """C14: the API refuses any other."""
    done = planned(OLDER, reasoning=Reasoning(mode="on", effort="max"), max_tokens=4000)
    assert body(done)["thinking"]["budget_tokens"] == 3999


def test_too_little_room_for_thinking_is_a_named_loss() -> None:
    """C14: the API takes no budget under 1,024, so it is switched off."""
    done = planned(OLDER, reasoning=Reasoning(mode="on", effort="low"), max_tokens=1024)
    assert body(done)["thinking"] == {"type": "disabled"}
    assert done.losses == ("reasoning",)
    assert done.sent == {"thinking"}


def test_too_little_room_switches_nothing_off_that_cannot_be() -> None:
    """C09b: a model that always thinks would answer 400."""
    abilities = Abilities(thinking_off=False, adaptive=False)
    done = planned(abilities, reasoning=Reasoning(mode="on", effort="low"), max_tokens=500, temperature=0.2)
    assert "thinking" not in body(done)
    assert done.losses == ("reasoning", "temperature")


# -- sampling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abilities", [OLDER, UNKNOWN])
def test_sampling_is_sent_where_it_may_be_taken(abilities: Abilities) -> None:
    """C16: as asked, zero included."""
    done = planned(abilities, temperature=0.0, top_p=0.5, top_k=3)
    assert {name: body(done)[name] for name in ("temperature", "top_p", "top_k")} == {
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
    }
    assert done.losses == ()
    assert done.sent == {"thinking", "temperature", "top_p", "top_k"}


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.2), ("temperature", 0.0), ("top_p", 0.9), ("top_k", 5)])
def test_sampling_that_a_thinking_model_refuses_is_left_out(name: str, value: float) -> None:
    """C09b: half of all clients send it, and would get a 400."""
    done = planned(TODAY, **{name: value})
    assert name not in body(done)
    assert done.losses == (name,)


@pytest.mark.parametrize(("name", "value"), [("temperature", 1), ("top_p", 0.95), ("top_p", 1.0)])
def test_sampling_that_a_thinking_model_takes_is_sent(name: str, value: float) -> None:
    """Nothing is lost needlessly."""
    done = planned(TODAY, **{name: value})
    assert body(done)[name] == value
    assert done.losses == ()


def test_thinking_that_was_asked_for_outweighs_sampling() -> None:
    """C09b: an older model that thinks refuses a temperature too."""
    assert planned(OLDER, reasoning=Reasoning(mode="on"), temperature=0.2).losses == ("temperature",)


@pytest.mark.parametrize(("name", "value"), [("temperature", 0.2), ("top_p", 0.5), ("top_k", 3)])
def test_a_refusal_is_remembered(name: str, value: float) -> None:
    """C09b: what the model has answered 400 to isn't sent again."""
    done = planned(OLDER.without(frozenset({name})), **{name: value})
    assert name not in body(done)
    assert done.losses == (name,)


def test_of_two_that_exclude_each_other_the_second_is_lost() -> None:
    """C16: the temperature stays."""
    done = planned(OLDER.without(frozenset({BESIDE_TEMPERATURE})), temperature=0.2, top_p=0.5)
    assert body(done)["temperature"] == 0.2
    assert done.losses == ("top_p",)


def test_one_of_two_that_exclude_each_other_is_sent() -> None:
    """C16: alone it is fine."""
    assert body(planned(OLDER.without(frozenset({BESIDE_TEMPERATURE})), top_p=0.5))["top_p"] == 0.5


# -- tool choice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(type="auto"), {"type": "auto"}),
        (ToolChoice(type="none"), {"type": "none"}),
        (ToolChoice(type="any"), {"type": "any"}),
        (ToolChoice(type="tool", name="get_weather"), {"type": "tool", "name": "get_weather"}),
    ],
)
def test_a_tool_choice_is_sent(choice: ToolChoice, sent: dict[str, str]) -> None:
    """C09: as it is, where the model may take it."""
    done = planned(OLDER, tools=(TOOL,), tool_choice=choice)
    assert body(done)["tool_choice"] == sent
    assert done.losses == ()
    assert ("tool_choice" in done.sent) is (choice.type in {"any", "tool"})


@pytest.mark.parametrize("abilities", [TODAY, OLDER.without(frozenset({"tool_choice"}))])
@pytest.mark.parametrize(
    ("choice", "words"),
    [(ToolChoice(type="any"), "one of the tools"), (ToolChoice(type="tool", name="get_weather"), "`get_weather`")],
)
def test_a_forced_tool_becomes_a_sentence(abilities: Abilities, choice: ToolChoice, words: str) -> None:
    """C09b: the model that refuses to be forced is told, and the loss is named."""
    done = planned(abilities, tools=(TOOL,), tool_choice=choice)
    assert body(done)["tool_choice"] == {"type": "auto"}
    assert done.losses == ("tool_choice",)
    assert "tool_choice" not in done.sent
    (note,) = done.system_notes
    assert words in note


@pytest.mark.parametrize(("kind", "kept"), [("auto", True), ("any", True), ("none", False)])
def test_one_call_at_a_time_is_sent_where_there_are_calls(kind: Any, kept: bool) -> None:  # noqa: FBT001  # expected
    """C10: the API refuses it beside ``none``."""
    done = planned(OLDER, tools=(TOOL,), tool_choice=ToolChoice(type=kind, disable_parallel_tool_use=True))
    assert ("disable_parallel_tool_use" in body(done)["tool_choice"]) is kept


def test_one_call_at_a_time_outlives_a_forced_tool() -> None:
    """C10: also where the force is lost."""
    choice = ToolChoice(type="any", disable_parallel_tool_use=True)
    assert body(planned(TODAY, tools=(TOOL,), tool_choice=choice))["tool_choice"] == {
        "type": "auto",
        "disable_parallel_tool_use": True,
    }


@pytest.mark.parametrize(("tools", "choice"), [((), ToolChoice(type="any")), ((TOOL,), None)])
def test_no_choice_without_tools_or_without_asking(tools: tuple[Tool, ...], choice: ToolChoice | None) -> None:
    """The API refuses a choice among none."""
    assert "tool_choice" not in body(planned(tools=tools, tool_choice=choice))


# -- models nobody knows ----------------------------------------------------------------------------------------------

MESSAGES = {
    "temperature": "`temperature` may only be set to 1 when thinking is enabled",
    "top_k": "`top_k` must be unset when thinking is enabled",
    "top_p": "`top_p` must be greater than or equal to 0.95",
    "tool_choice": "Thinking may not be enabled when tool_choice forces tool use",
    "thinking": '"thinking.type.disabled" is not supported for this model',
    "adaptive": "adaptive thinking is not supported on this model",
    "effort": "this model does not support the effort parameter",
}


REASONING = st.builds(
    Reasoning,
    mode=st.sampled_from(["default", "off", "on"]),
    effort=st.sampled_from([None, "low", "max"]),
    budget_tokens=st.none() | st.integers(0, 50_000),
)
ASKED = st.fixed_dictionaries(
    {
        "reasoning": REASONING,
        "max_tokens": st.none() | st.integers(1, 50_000),
        "temperature": st.sampled_from([None, 0.0, 1.0]),
        "top_p": st.sampled_from([None, 0.5, 1.0]),
        "top_k": st.sampled_from([None, 1]),
        "tool_choice": st.sampled_from([None, ToolChoice(), ToolChoice(type="any")]),
    }
)


@given(refuses=st.sets(st.sampled_from(sorted(MESSAGES))), asked=ASKED)
def test_an_unknown_model_is_learnt_from_its_refusals(refuses: set[str], asked: dict[str, Any]) -> None:
    """C09b: each 400 leaves one more out, so that there comes an end, and all that was left out is named."""
    able = UNKNOWN
    done = planned(able, tools=(TOOL,), **asked)
    while left := sorted(done.sent & refuses):
        refused = refused_parameters(BadRequest(MESSAGES[left[0]]), done.sent)
        assert refused
        assert not refused & able.refused
        able = able.without(refused)
        done = planned(able, tools=(TOOL,), **asked)
    for name in ("temperature", "top_p", "top_k"):
        assert asked[name] is None or (name in body(done)) is (name not in done.losses)
