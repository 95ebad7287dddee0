"""Model names and where they lead, and when a request goes on to somebody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_proxy.backends.base import Model
from claude_proxy.errors import (
    BadRequest,
    Forbidden,
    NotFound,
    NotSignedIn,
    Overloaded,
    ProxyError,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnknownModel,
    UpstreamError,
    UpstreamTimeout,
    from_status,
)
from claude_proxy.routing import CLI as PLAN
from claude_proxy.routing import PREFIXES, Names, Resolved, costs_unasked, family, goes_on, known_names, resolve

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
    assert resolve(name, MODELS, {}, "sonnet")[0] == Resolved(model_id, backend)


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


def test_a_version_as_long_as_a_book_is_none() -> None:
    """It would be asked of the CLI on its command line, which then couldn't be started, for nobody."""
    for name in ("claude-sonnet-" + "9" * 200_000, "sonnet-" + "4" * 300):
        with pytest.raises(UnknownModel):
            resolve(name, MODELS, {}, "sonnet")


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
    assert resolve("gpt-4o", MODELS, aliases, "sonnet")[0].model_id == "claude-sonnet-5-5"
    assert resolve("openai/gpt-4o", MODELS, aliases, "sonnet")[0].model_id == "claude-sonnet-5-5"


def test_no_name_means_the_default_which_may_be_an_alias() -> None:
    """A request without a model gets ``default-model``."""
    assert resolve("", MODELS, {}, "haiku")[0].model_id == "claude-haiku-5-5"
    assert resolve("  ", MODELS, {"fast": "haiku"}, "fast")[0].model_id == "claude-haiku-5-5"


def test_an_alias_can_go_before_a_listed_name() -> None:
    """What the user configured wins over what an upstream calls the same."""
    assert resolve("opus", MODELS, {"opus": "haiku"}, "sonnet")[0].model_id == "claude-haiku-5-5"


def test_an_id_goes_before_an_alias_of_an_earlier_backend() -> None:
    """An exact id is never shadowed by another model's alias."""
    models = {"one": (Model("a", "A", aliases=("b",)),), "two": (Model("b", "B"),)}
    assert resolve("b", models, {}, "a") == (Resolved("b", "two"),)


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
        found = resolve(prefix + name, MODELS, {}, "sonnet")[0]
    except UnknownModel:
        return
    listed = {model.id for models in MODELS.values() for model in models}
    assert found.model_id in listed or found.model_id.startswith("claude-")


# -- who else has it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-sonnet-5-5", ["cli:claude-sonnet-5-5", "api:claude-sonnet-5-5"]),
        ("sonnet", ["cli:claude-sonnet-5-5", "api:claude-sonnet-5-5"]),
        ("default", ["cli:claude-sonnet-5-5", "api:claude-sonnet-5-5"]),
        ("opus", ["cli:claude-opus-5-5"]),
        ("fable", ["api:claude-fable-5-2"]),
        ("claude-fable-4-0", ["api:claude-fable-4-0"]),
        ("sonnet-4-7", ["cli:claude-sonnet-4-7", "api:claude-sonnet-4-7"]),
    ],
)
def test_the_others_that_have_it_come_after_the_first(name: str, expected: list[str]) -> None:
    """Each backend that has the same model is there once, the preferred one first."""
    found = resolve(name, MODELS, {}, "sonnet")
    assert [f"{one.backend}:{one.model_id}" for one in found] == expected


def test_a_family_is_each_backend_s_own_current_model() -> None:
    """Where a family is asked for, another backend's current model of it will do; where an id is, it won't."""
    models = {"cli": CLI, "old": (Model("claude-sonnet-4-5", "4.5"), Model("claude-sonnet-4-0", "4"))}
    assert resolve("sonnet", models, {}, "x")[1:] == (Resolved("claude-sonnet-4-5", "old"),)
    assert resolve("claude-sonnet-5-5", models, {}, "x")[1:] == ()


def test_an_alias_that_two_upstreams_were_given_means_both() -> None:
    """The user named them alike, so one stands in for the other."""
    models = {"one": (Model("a-1", "A", aliases=("writer",)),), "two": (Model("b-1", "B", aliases=("Writer",)),)}
    assert resolve("writer", models, {}, "x") == (Resolved("a-1", "one"), Resolved("b-1", "two"))


def test_the_order_of_the_backends_is_the_order_of_preference() -> None:
    """Who is passed first is asked first."""
    models = {"api": API, "cli": CLI}
    assert [one.backend for one in resolve("claude-sonnet-5-5", models, {}, "x")] == ["api", "cli"]


# -- prefixes ----------------------------------------------------------------------------------------------------------

PREFIXED = {
    "cli": CLI,
    "cli/work": tuple(Model(model.id, "W", aliases=model.aliases, prefix="work") for model in CLI),
    "api": (Model("claude-sonnet-5-5", "A", prefix="Console"), Model("claude-fable-5-2", "F", prefix="Console")),
    "other": (Model("work/horse", "Horse"), Model("large", "L", prefix="openai"), Model("small", "S", prefix="a/b")),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("work/sonnet", ("claude-sonnet-5-5", "cli/work", "work")),
        ("WORK/Opus", ("claude-opus-5-5", "cli/work", "work")),
        ("work/opus-max", ("claude-opus-5-5", "cli/work", "work")),
        ("work/sonnet-4.6", ("claude-sonnet-4-6", "cli/work", "work")),
        ("work/anthropic/claude-opus-5-5", ("claude-opus-5-5", "cli/work", "work")),
        ("claude-max/work/opus", ("claude-opus-5-5", "cli/work", "work")),
        ("work/gpt-4o", ("claude-sonnet-5-5", "cli/work", "work")),
        ("console/claude-sonnet-5-5", ("claude-sonnet-5-5", "api", "Console")),
        ("console/fable", ("claude-fable-5-2", "api", "Console")),
        ("console/claude-sonnet-4-6", ("claude-sonnet-4-6", "api", "Console")),
        ("fast", ("claude-fable-5-2", "api", "Console")),
        ("openai/large", ("large", "other", "openai")),
        ("a/b/small", ("small", "other", "a/b")),
        ("work/horse", ("work/horse", "other", "")),
        ("sonnet", ("claude-sonnet-5-5", "cli", "")),
        ("openai/sonnet-4.6", None),
        ("fable", None),
        ("console/opus", None),
        ("console/work/sonnet", None),
        ("work/", None),
    ],
)
def test_l02_a_prefix_reaches_its_own_and_no_other(name: str, expected: tuple[str, str, str] | None) -> None:
    """L02: a model below a prefix is reached with it only, whatever kind of name comes after it."""
    aliases = {"gpt-4o": "sonnet", "fast": "console/fable"}
    if expected is None:
        with pytest.raises(UnknownModel):
            resolve(name, PREFIXED, aliases, "sonnet")
    else:
        assert resolve(name, PREFIXED, aliases, "sonnet") == (Resolved(*expected),)


def test_the_default_may_have_a_prefix() -> None:
    """``default-model`` is a name like any other."""
    assert resolve("", PREFIXED, {}, "work/haiku")[0] == Resolved("claude-haiku-5-5", "cli/work", "work")


def test_the_longest_prefix_counts() -> None:
    """One prefix may begin like another."""
    models = {"x": (Model("m", "1", prefix="a"), Model("m", "2", prefix="a/b"))}
    assert resolve("a/b/m", models, {}, "x")[0].prefix == "a/b"
    assert resolve("a/m", models, {}, "x")[0].prefix == "a"


def test_l01_suggestions_have_their_prefix() -> None:
    """L01: what is suggested can be asked for as it stands there."""
    with pytest.raises(UnknownModel, match="Console/claude-fable-5-2"):
        resolve("console/claude-fabel-5", {"api": PREFIXED["api"]}, {}, "x")
    with pytest.raises(UnknownModel, match=r"the nearest names are Console/fable$"):
        resolve("fable", PREFIXED, {}, "x")
    assert "work/sonnet" in known_names(PREFIXED)


_WORD = st.sampled_from(["sonnet", "opus", "claude-sonnet-5-5", "claude-opus-4-1", "x", "work", "a/b", "openai/gpt"])
_MODELS = st.builds(
    lambda model_id, aliases, prefix: Model(model_id, "", aliases=tuple(aliases), prefix=prefix),
    _WORD,
    st.lists(_WORD, max_size=2),
    st.sampled_from(["", "", "work", "a", "a/b"]),
)
_OFFERS = st.dictionaries(st.sampled_from(["one", "two", "three"]), st.lists(_MODELS, max_size=4), max_size=3)
_NAMES = st.lists(st.one_of(_WORD, st.text(max_size=5)), min_size=1, max_size=3).map("/".join)


@given(_NAMES, _OFFERS, st.dictionaries(_WORD, _NAMES, max_size=2))
def test_candidates_are_one_a_backend_and_all_below_one_prefix(
    name: str, offers: dict[str, list[Model]], aliases: dict[str, str]
) -> None:
    """Whatever is asked of whomever: nobody is asked twice, and nobody who isn't meant."""
    try:
        found = resolve(name, offers, aliases, "sonnet")
    except UnknownModel:
        return
    backends = [one.backend for one in found]
    assert len(set(backends)) == len(backends) > 0
    assert len({one.prefix for one in found}) == 1
    assert all(any(model.prefix == one.prefix for model in offers[one.backend]) for one in found)
    rest = [backend for backend in offers if backend in backends[1:]]
    assert backends[1:] == rest


@given(_OFFERS)
def test_every_id_that_is_listed_can_be_asked_for(offers: dict[str, list[Model]]) -> None:
    """A name from the list of models is never unknown, and leads to that id."""
    for model in (model for offered in offers.values() for model in offered):
        name = f"{model.prefix}/{model.id}" if model.prefix else model.id
        assert resolve(name, offers, {}, "sonnet")


# -- names that are asked for again ------------------------------------------------------------------------------------


def test_a_name_is_looked_up_once_until_the_lists_change() -> None:
    """The answer is the same object, and a new list gives a new answer."""
    names = Names()
    first = names.find("sonnet", {"cli": CLI}, {}, "x")
    assert names.find("sonnet", {"cli": CLI[:1] + CLI[1:]}, {}, "x") is first
    assert names.find("sonnet", {"api": API}, {}, "x") == (Resolved("claude-sonnet-5-5", "api"),)
    assert names.find("sonnet", {"api": API}, {"sonnet": "fable"}, "x") == (Resolved("claude-fable-5-2", "api"),)


def test_names_that_clients_make_up_do_not_pile_up() -> None:
    """Any version of a family is a name."""
    names = Names()
    for version in range(1000):
        names.find(f"sonnet-{version}", MODELS, {}, "x")
    assert len(names._found) <= 256


# -- after a failure ---------------------------------------------------------------------------------------------------

KEY, OTHER_KEY = "claude-api-key", "openai-compatibility"


@pytest.mark.parametrize("error", [RateLimited("plan"), NotSignedIn("who"), Unavailable("no CLI")])
def test_the_plan_s_end_goes_on_with_a_key_only_where_that_is_wanted(error: ProxyError) -> None:
    """It costs money."""
    assert goes_on(error, PLAN, KEY, fall_back_to_api_key=True)
    assert not goes_on(error, PLAN, KEY, fall_back_to_api_key=False)


@pytest.mark.parametrize(
    "error", [BadRequest("x"), UnknownModel("x"), TooLarge("x"), UpstreamError("x"), Overloaded("x")]
)
def test_other_failures_of_the_plan_stay_its_own(error: ProxyError) -> None:
    """Only that the plan can't be used is a reason to pay."""
    assert not goes_on(error, PLAN, KEY, fall_back_to_api_key=True)


@pytest.mark.parametrize(
    "error",
    [
        Unauthorized("x"),
        Forbidden("x"),
        from_status(408, "x"),
        RateLimited("x"),
        UpstreamError("x"),
        Unavailable("x"),
        UpstreamTimeout("x"),
        Overloaded("x"),
    ],
)
@pytest.mark.parametrize("fall_back", [False, True])
def test_a_key_that_fails_goes_on_to_another_s(error: ProxyError, *, fall_back: bool) -> None:
    """Where another upstream may well answer."""
    assert goes_on(error, KEY, OTHER_KEY, fall_back_to_api_key=fall_back)


@pytest.mark.parametrize("error", [BadRequest("x"), NotFound("x"), TooLarge("x")])
def test_a_request_at_fault_goes_nowhere(error: ProxyError) -> None:
    """It would fail there just the same."""
    assert not goes_on(error, KEY, OTHER_KEY, fall_back_to_api_key=True)


@pytest.mark.parametrize("here", [KEY, OTHER_KEY, PLAN])
def test_nothing_goes_on_to_the_plan(here: str) -> None:
    """Who prefers a key has chosen whom the request is for."""
    assert not goes_on(RateLimited("x"), here, PLAN, fall_back_to_api_key=True)


@pytest.mark.parametrize(
    ("found", "kind", "silent", "allowed"),
    [
        (Resolved("claude-sonnet-5-5", "key", ""), KEY, {PLAN}, False),
        (Resolved("claude-sonnet-5-5", "key", ""), KEY, {PLAN}, True),
        (Resolved("claude-sonnet-5-5", "key", ""), KEY, {KEY}, False),
        (Resolved("claude-sonnet-5-5", "key", ""), KEY, set(), False),
        (Resolved("claude-sonnet-5-5", "key", "team"), KEY, {PLAN}, False),
        (Resolved("gpt-9", "key", ""), KEY, {PLAN}, False),
        (Resolved("claude-sonnet-5-5", "plan", ""), PLAN, {PLAN}, False),
    ],
)
def test_what_the_plan_may_have_is_not_paid_for_unasked(
    found: Resolved, kind: str, silent: set[str], *, allowed: bool
) -> None:
    """Only where the plan's CLI is silent, the model is one of its own, and nobody has said that it may cost money."""
    wanted = (found.model_id, found.prefix, kind, silent, allowed) == ("claude-sonnet-5-5", "", KEY, {PLAN}, False)
    assert costs_unasked(found, kind, silent, fall_back_to_api_key=allowed) is wanted
