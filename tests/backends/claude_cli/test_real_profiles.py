"""Profiles on the real CLI: several sign-ins of one person beside each other, each with processes of its own."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from real_cli import user

from claude_proxy.backends.base import Call
from claude_proxy.backends.claude_cli.backend import ClaudeCli
from claude_proxy.canon.collect import collect
from claude_proxy.canon.request import Request
from claude_proxy.config.schema import ClaudeCliConfig, Profile
from claude_proxy.errors import NotSignedIn
from claude_proxy.simulator import Simulator

TOKENS = {"": "dummy-default", "work": "dummy-work"}

MakeProfile = Callable[..., Any]


def sign_in(folder: Path, token: str) -> None:
    """Do what the CLI does when somebody signs in to a plan."""
    folder.mkdir(parents=True, exist_ok=True)
    oauth = {
        "accessToken": token,
        "refreshToken": "none",
        "expiresAt": 4_000_000_000_000,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }
    (folder / ".credentials.json").write_text(json.dumps({"claudeAiOauth": oauth}))


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Give the upstream of all profiles."""
    async with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def make_profile(tmp_path: Path, simulator: Simulator) -> AsyncIterator[MakeProfile]:
    """Make backends that differ only in their profile."""
    for name in ("home/.claude-work", "home/.claude", "cwd"):
        (tmp_path / name).mkdir(parents=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith("CLAUDE")}
    async with AsyncExitStack() as stack:

        async def make(profile: str, *, signed_in: bool = True, **config: Any) -> ClaudeCli:
            folder = tmp_path / ("home/.claude-work" if profile else "home/.claude")
            if signed_in:
                sign_in(folder, TOKENS[profile])
            profiles = {"work": Profile(config_dir=str(tmp_path / "home/.claude-work"))}
            settings = {"warm": 0, "base_url": simulator.base_url, "profiles": profiles, **config}
            backend = ClaudeCli(
                ClaudeCliConfig(**settings),
                extra_env={"HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"},
                environment=own,
                workdir=tmp_path / "cwd",
                profile=profile,
            )
            await backend.start()
            stack.push_async_callback(backend.close)
            return backend

        yield make


async def ask(backend: ClaudeCli) -> Any:
    """Run one turn to its end."""
    async with backend.turn(Call(Request(model="sonnet", messages=(user("hi"),)))) as turn:
        return collect([event async for event in turn.events])


async def test_each_profile_asks_with_its_own_sign_in(make_profile: MakeProfile, simulator: Simulator) -> None:
    """Two backends, two plans: what is asked of one is never paid by the other."""
    for profile in ("", "work"):
        await ask(await make_profile(profile))
    assert [seen.headers["authorization"] for seen in simulator.seen] == ["Bearer dummy-default", "Bearer dummy-work"]


async def test_a_profile_has_a_name_and_its_models_a_prefix(make_profile: MakeProfile) -> None:
    """``work/sonnet`` is how it is asked for; the default's models carry no prefix."""
    work, default = await make_profile("work"), await make_profile("")
    assert (work.name, work.kind) == ("claude-cli/work", "claude-cli")
    assert (default.name, default.kind) == ("claude-cli", "claude-cli")
    assert {model.prefix for model in await work.models()} == {"work"}
    assert {model.prefix for model in await default.models()} == {""}
    assert {model.id for model in await work.models()} == {model.id for model in await default.models()}


async def test_a_profile_nobody_signed_in_to_says_which(make_profile: MakeProfile) -> None:
    """K10: the command in the message signs in to this profile, not to the default one."""
    work = await make_profile("work", signed_in=False)
    with pytest.raises(NotSignedIn, match=r"claude-proxy login --profile work"):
        await ask(work)
    health = await work.health()
    assert not health.ready
    assert "claude-proxy login --profile work" in health.detail


async def test_signing_in_to_the_default_signs_in_no_profile(make_profile: MakeProfile) -> None:
    """Nor does a token of the default sign-in reach another profile's processes."""
    await make_profile("")
    work = await make_profile("work", signed_in=False, env={"CLAUDE_CODE_OAUTH_TOKEN": "dummy-default"})
    assert not (await work.health()).ready
    with pytest.raises(NotSignedIn):
        await ask(work)


async def test_the_account_of_each_profile_is_its_own(make_profile: MakeProfile) -> None:
    """``health`` of a signed-in profile is ready and shows who."""
    health = await (await make_profile("work")).health()
    assert health.ready
    assert "max" in (health.account or "")


async def test_no_process_of_a_profile_starts_before_it_is_asked(make_profile: MakeProfile) -> None:
    """A process takes 150 MB: a profile that isn't used costs nothing."""
    work = await make_profile("work", warm=1)
    default = await make_profile("", warm=1)
    assert (work._pool.counts()["warm"], default._pool.counts()["warm"]) == (0, 1)


def test_a_profiles_folder_is_absolute_and_the_default_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``~`` is the home; the same folder always has the same name, as the CLI's own store goes by it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    config = ClaudeCliConfig(profiles={"work": Profile(config_dir="~/.claude-work")})
    backend = ClaudeCli(config, environment={"CLAUDE_CONFIG_DIR": "/default"}, profile="work")
    assert backend._account_environment()["CLAUDE_CONFIG_DIR"] == str(tmp_path / ".claude-work")
    default = ClaudeCli(config, environment={})
    assert "CLAUDE_CONFIG_DIR" not in default._account_environment()
