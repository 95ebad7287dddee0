"""Which backends ``serve`` makes of a configuration, and in which order."""

from pathlib import Path

import pytest

from claude_proxy.backends.base import Backend, Native
from claude_proxy.cli.serve import _makers
from claude_proxy.config.schema import ClaudeApiKey, ClaudeCliConfig, Config, OpenAICompatibility, Profile, Routing
from claude_proxy.errors import ConfigError

KEYS = (ClaudeApiKey(api_key="k"), ClaudeApiKey(api_key="l", prefix="console"))
OTHERS = (OpenAICompatibility(name="local", base_url="http://127.0.0.1:9/v1"),)
EVERYTHING = Config(
    claude_cli=ClaudeCliConfig(profiles={"work": Profile(config_dir="~/.claude-work")}),
    claude_api_key=KEYS,
    openai_compatibility=OTHERS,
)


def made(config: Config, workdir: Path | None = None) -> list[Backend]:
    """Make the backends."""
    return [make() for make in _makers(config, {}, workdir).values()]


def names(config: Config, workdir: Path | None = None) -> list[str]:
    """Give what the backends are called."""
    return [backend.name for backend in made(config, workdir)]


async def test_by_default_there_is_the_cli() -> None:
    """And nothing that costs money."""
    assert names(Config()) == ["claude-cli"]


async def test_each_profile_is_one_and_each_kind_of_key_is_one() -> None:
    """However many entries a kind has."""
    backends = made(EVERYTHING)

    assert [backend.name for backend in backends] == [
        "claude-cli",
        "claude-cli/work",
        "claude-api-key",
        "openai-compatibility",
    ]
    assert [backend.kind for backend in backends] == [
        "claude-cli",
        "claude-cli",
        "claude-api-key",
        "openai-compatibility",
    ]
    assert [backend.speaks for backend in backends if isinstance(backend, Native)] == ["messages", "chat"]


async def test_the_preferred_kind_is_first() -> None:
    """Kinds that aren't named come after those that are."""
    prefer = Routing(prefer=("openai-compatibility",))
    config = Config(claude_api_key=KEYS, openai_compatibility=OTHERS, routing=prefer)

    assert names(config) == ["openai-compatibility", "claude-cli", "claude-api-key"]


async def test_keys_are_enough() -> None:
    """Nobody needs the CLI who has a key."""
    assert names(Config(claude_cli=ClaudeCliConfig(enabled=False), claude_api_key=KEYS)) == ["claude-api-key"]


async def test_without_any_nothing_could_answer() -> None:
    """That is said instead of serving errors."""
    with pytest.raises(ConfigError, match="no backend is set up"):
        _makers(Config(claude_cli=ClaudeCliConfig(enabled=False)), {}, None)


async def test_the_demo_asks_nobody_but_the_simulator(tmp_path: Path) -> None:
    """No profile's sign-in and no key is used, whatever is configured."""
    assert names(EVERYTHING, tmp_path) == ["claude-cli"]
