"""Model names and where they lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.base import Model
from claude_proxy.errors import UnknownModel
from claude_proxy.routing import PREFIXES, Resolved, family, known_names, resolve

CLI = (
    Model("claude-sonnet-5-5", "Sonnet", aliases=("default", "sonnet")),
    Model("claude-opus-5-5", "Opus", aliases=("opus",)),
    Model("claude-haiku-5-5", "Haiku", aliases=("haiku",)),
)
API = (
    Model("claude-sonnet-5-5", "Sonnet 5.5"),
    Model("claude-fable-5-2", "Fable 5.2"),
    Model("claude-fable-4-0", "Fable 4"),
    Model("claude-3-5-relic-20241022", "Relic"),
)
OTHER = (Model("openai/gpt-oss", "GPT OSS"), Model("claude", "No family"))
MODELS = {"cli": CLI, "api": API, "other": OTHER}


@pytest.mark.parametrize(
    ("name", "model_id", "backend"),
    [
        ("sonnet", "claude-sonnet-5-5", "cli"),
        ("default", "claude-sonnet-5-5", "cli"),
        ("claude-opus-5-5", "claude-opus-5-5", "cli"),
        ("OPUS", "claude-opus-5-5", "cli"),
        ("  haiku ", "claude-haiku-5-5", "cli"),
        ("claude-max/opus", "claude-opus-5-5", "cli"),
        ("claude-code-cli/sonnet", "claude-sonnet-5-5", "cli"),
        ("openai/claude-opus-5-5", "claude-opus-5-5", "cli"),
        ("anthropic/claude-sonnet-4.6", "claude-sonnet-4-6", "cli"),
        ("openai/claude-max/opus", "claude-opus-5-5", "cli"),
        ("opus-max", "claude-opus-5-5", "cli"),
        ("claude-max/sonnet-max", "claude-sonnet-5-5", "cli"),
        ("fable", "claude-fable-5-2", "api"),
        ("relic", "claude-3-5-relic-20241022", "api"),
        ("fable-4.0", "claude-fable-4-0", "api"),
        ("sonnet-4-7", "claude-sonnet-4-7", "cli"),
        ("sonnet-4.6", "claude-sonnet-4-6", "cli"),
        ("claude-sonnet-4", "claude-sonnet-4", "cli"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20250929", "cli"),
        ("claude-fable-latest", "claude-fable-latest", "api"),
        ("openai/gpt-oss", "openai/gpt-oss", "other"),
    ],
)
def test_l02_names_resolve(name: str, model_id: str, backend: str) -> None:
    """L02: families, versions and prefixes all lead to the exact id on the first backend that has it."""
    assert resolve(name, MODELS, {}, "sonnet") == Resolved(model_id, backend)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o",
        "claude-nothing-4",
        "nothing-4-5",
        "some/sonnet",
        "claude-sonnet-",
        "claude-sonnet-4;rm",
        "claude-3-5-sonnet-20241022",
        "sonnet--max",
        "-max",
    ],
)
def test_l01_an_unknown_name_is_404(name: str) -> None:
    """L01: what nobody has is an error that names the field, never another model."""
    with pytest.raises(UnknownModel) as caught:
        resolve(name, MODELS, {}, "sonnet")
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")


def test_l01_an_unknown_name_gets_the_nearest_ones() -> None:
    """L01: a typing error is answered with what was meant."""
    with pytest.raises(UnknownModel, match=r"no model 'sonet'; the nearest names are sonnet"):
        resolve("sonet", MODELS, {}, "sonnet")


def test_a_name_like_no_other_gets_all_known_ones() -> None:
    """Where nothing is near, the known names and the way to map one are told."""
    with pytest.raises(UnknownModel, match=r"known are .*haiku.*model-aliases"):
        resolve("zzzzzzzzzz", MODELS, {}, "sonnet")


def test_without_any_model_the_error_says_so() -> None:
    """An empty list of models is named as the reason."""
    with pytest.raises(UnknownModel, match="no backend offers any model"):
        resolve("sonnet", {}, {}, "sonnet")


def test_a_huge_name_is_shown_cut_and_in_ascii() -> None:
    """An error message can neither be flooded nor carry what can't be encoded."""
    with pytest.raises(UnknownModel) as caught:
        resolve("\ud800\n" + "x" * 10_000, MODELS, {}, "sonnet")
    assert len(caught.value.message) < 800
    assert caught.value.message.isascii()
    assert "\n" not in caught.value.message


def test_aliases_map_names_in_any_case_and_behind_prefixes() -> None:
    """``model-aliases`` maps other vendors' names."""
    aliases = {"GPT-4o": "sonnet", "smart": "opus"}
    assert resolve("gpt-4o", MODELS, aliases, "sonnet").model_id == "claude-sonnet-5-5"
    assert resolve("openai/gpt-4o", MODELS, aliases, "sonnet").model_id == "claude-sonnet-5-5"


def test_no_name_means_the_default_which_may_be_an_alias() -> None:
    """A request without a model gets ``default-model``."""
    assert resolve("", MODELS, {}, "haiku").model_id == "claude-haiku-5-5"
    assert resolve("  ", MODELS, {"fast": "haiku"}, "fast").model_id == "claude-haiku-5-5"


def test_an_alias_can_go_before_a_listed_name() -> None:
    """What the user configured wins over what an upstream calls the same."""
    assert resolve("opus", MODELS, {"opus": "haiku"}, "sonnet").model_id == "claude-haiku-5-5"


def test_an_id_goes_before_an_alias_of_an_earlier_backend() -> None:
    """An exact id is never shadowed by another model's alias."""
    models = {"one": (Model("a", "A", aliases=("b",)),), "two": (Model("b", "B"),)}
    assert resolve("b", models, {}, "a") == Resolved("b", "two")


def test_known_names_are_listed_once_in_order() -> None:
    """Ids and aliases of all backends, without repetition."""
    assert known_names({"cli": CLI[:1], "api": API[:2]}) == [
        "claude-sonnet-5-5",
        "default",
        "sonnet",
        "claude-fable-5-2",
    ]


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [("claude-sonnet-5-5", "sonnet"), ("claude-3-5-haiku-20241022", "haiku"), ("gpt-oss", None), ("claude", None)],
)
def test_family_is_read_from_the_id(model_id: str, expected: str | None) -> None:
    """No list of families is hard-coded."""
    assert family(Model(model_id, "x")) == expected


@given(st.text(max_size=40), st.sampled_from(PREFIXES))
def test_any_name_resolves_or_is_unknown(name: str, prefix: str) -> None:
    """Whatever a client sends, it is a listed model, a version of a known family, or 404."""
    try:
        found = resolve(prefix + name, MODELS, {}, "sonnet")
    except UnknownModel:
        return
    listed = {model.id for models in MODELS.values() for model in models}
    assert found.model_id in listed or found.model_id.startswith("claude-")
