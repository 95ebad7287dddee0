"""What another version of the configuration changes in a server that runs."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from claude_proxy.config.changes import LIVE, RESTART, Changes, compare, foundations
from claude_proxy.config.keys import keys
from claude_proxy.config.schema import (
    ApiKeyEntry,
    ClaudeApiKey,
    ClaudeCliConfig,
    Config,
    OpenAICompatibility,
    Profile,
    Routing,
    Streaming,
    Tls,
)
from claude_proxy.credentials import Secret

CLI, KEY, OTHER = "claude-cli", "claude-api-key", "openai-compatibility"
PROFILES = {name: Profile(config_dir=f"~/{name}") for name in ("work", "home")}
EVERYTHING = Config(
    api_keys=(Secret("one"),),
    claude_cli=ClaudeCliConfig(profiles=PROFILES),
    claude_api_key=(ClaudeApiKey(api_key="k"),),
    openai_compatibility=(OpenAICompatibility(name="o", base_url="http://127.0.0.1/v1"),),
)
ALL = frozenset({CLI, "claude-cli/work", "claude-cli/home", KEY, OTHER})


def changed(**fields: Any) -> Changes:
    """Compare everything with a version in which some keys are different."""
    return compare(EVERYTHING, replace(EVERYTHING, **fields))


def cli(**fields: Any) -> Changes:
    """Compare everything with a version in which some keys of the CLI are different."""
    return changed(claude_cli=replace(EVERYTHING.claude_cli, **fields))


def test_every_key_takes_effect_at_once_or_takes_a_restart() -> None:
    """A new key has to be put in one of the two tables; what is inside a list or a mapping goes with it."""
    every = {key.name for key in keys() if not re.search(r"\[]|<", key.name)}
    sections = {name.rpartition(".")[0] for name in every} - {""}

    assert every - sections == RESTART | LIVE.keys()
    assert not RESTART & LIVE.keys()


def test_the_documentation_says_which_keys_take_a_restart() -> None:
    """It does so in the meaning of exactly those."""
    told = {key.name for key in keys() if "A change needs a restart." in key.meaning}

    assert told == RESTART


@pytest.mark.parametrize("name", sorted(LIVE))
def test_a_key_replaces_only_what_stands_on_it(name: str) -> None:
    """For every key there is: the backends of the kinds that its row names are other ones, and no others."""
    section, _, leaf = name.replace("-", "_").rpartition(".")
    holder = getattr(EVERYTHING, section) if section else EVERYTHING
    value = getattr(holder, leaf)
    if isinstance(value, dict):
        value = {**value, "new": Profile(config_dir="~/new") if leaf == "profiles" else "x"}
    elif name in {KEY, OTHER}:
        value *= 2
    else:
        value = (*value, "x") if isinstance(value, tuple) else {bool: not value, str: "x"}.get(type(value), 7)
    other = replace(holder, **{leaf: value})
    found = changed(**{section: other}) if section else compare(EVERYTHING, other)

    gone = {backend for backend in ALL if backend.partition("/")[0] in LIVE[name]}
    if name == "claude-cli.enabled":
        gone = {backend for backend in ALL if backend.startswith(CLI)}
    assert found.kept == ALL - gone
    assert (found.changed, found.restart) == ((name,), ())


def test_nothing_changed() -> None:
    """All stays."""
    assert changed() == Changes(EVERYTHING, (), (), ALL)


def test_what_takes_a_restart_stays_as_it_was() -> None:
    """The server goes on with its own address, and knows that it does."""
    found = changed(host="localhost", port=1, tls=Tls(cert="a", key="b"), strict=True)

    assert found.restart == ("host", "port", "tls.cert", "tls.key")
    assert found.changed == ("strict",)
    assert found.config == replace(EVERYTHING, strict=True)


def test_what_is_closed_does_not_open() -> None:
    """Half of a file is often a valid one: without its keys, the server keeps those that it had."""
    found = changed(api_keys=(), strict=True)

    assert (found.restart, found.changed) == (("api-keys",), ("strict",))
    assert found.config.api_keys == ("one",)


@pytest.mark.parametrize("api_keys", [("two",), ("one", "two")])
def test_other_client_keys_take_effect_at_once(api_keys: tuple[str, ...]) -> None:
    """A key that leaked is taken back without a restart."""
    found = changed(api_keys=api_keys)

    assert (found.restart, found.changed, found.config.api_keys) == ((), ("api-keys",), api_keys)


def test_what_is_open_can_be_closed() -> None:
    """The first key takes effect at once, too."""
    assert compare(Config(), Config(api_keys=("one",))).config.api_keys == ("one",)


def test_no_name_holds_a_value() -> None:
    """What is logged of a change is no secret."""
    found = compare(
        EVERYTHING,
        Config(
            api_keys=("sk-1",),
            claude_cli=ClaudeCliConfig(env={"NAME": "sk-2"}),
            claude_api_key=(ClaudeApiKey(api_key="sk-3", headers={"x": "sk-4"}),),
            openai_compatibility=(
                OpenAICompatibility(name="o", base_url="http://o", api_key_entries=(ApiKeyEntry(api_key="sk-5"),)),
            ),
        ),
    )

    assert found.changed == ("api-keys", "claude-cli.env", "claude-cli.profiles", KEY, OTHER)


def test_a_profile_is_a_backend_of_its_own() -> None:
    """A new one, one that goes and one with another folder touch no other."""
    assert cli(profiles={**PROFILES, "new": Profile(config_dir="~/new")}).kept == ALL
    assert cli(profiles={"work": PROFILES["work"]}).kept == ALL - {"claude-cli/home"}
    assert cli(profiles={**PROFILES, "home": Profile(config_dir="~/x")}).kept == ALL - {"claude-cli/home"}


def test_what_a_process_is_started_with_replaces_those_of_all_profiles() -> None:
    """They share the binary and its environment."""
    assert cli(path="/opt/claude").kept == {KEY, OTHER}


def test_rules_and_names_keep_every_backend() -> None:
    """No conversation is lost for an alias."""
    found = changed(
        claude_cli=replace(EVERYTHING.claude_cli, warm=0, max_processes=1, idle_seconds=1, plan_only=False),
        model_aliases={"gpt-4o": "sonnet"},
        routing=Routing(prefer=("openai-compatibility",), strategy="fill-first"),
        streaming=Streaming(keepalive_seconds=1),
        request_retry=0,
    )

    assert found.kept == ALL


def test_a_backend_is_there_only_where_something_stands_for_it() -> None:
    """Without the CLI its profiles aren't there either."""
    assert list(foundations(Config())) == [CLI]
    without = replace(EVERYTHING, claude_cli=replace(EVERYTHING.claude_cli, enabled=False))
    assert list(foundations(without)) == [KEY, OTHER]
