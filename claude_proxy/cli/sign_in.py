"""Who is signed in to the official CLI, asked of the CLI itself, without a server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass

from claude_proxy.backends.claude_cli.account import config_dir, read_account
from claude_proxy.backends.claude_cli.argv import account_environment
from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.errors import ProxyError


@dataclass(frozen=True, slots=True)
class SignIn:
    """One of the user's sign-ins; ``profile`` is empty for the default one. ``detail`` is one line for people."""

    profile: str
    account: str | None
    detail: str
    version: str | None = None


async def sign_ins(config: ClaudeCliConfig) -> Sequence[SignIn]:
    """Ask for each profile, as the server asks: an API key in this shell is no sign-in for its processes."""
    if not config.enabled:
        return ()
    profiles = ("", *config.profiles)
    try:
        binary = await asyncio.to_thread(find_binary, config.path)
    except ProxyError as error:
        return [SignIn(profile, None, error.message) for profile in profiles]
    return await asyncio.gather(*(_ask(config, profile, binary.path, binary.version) for profile in profiles))


async def _ask(config: ClaudeCliConfig, profile: str, path: str, version: str) -> SignIn:
    folder = config_dir(config, profile)
    env = account_environment(os.environ, config.env, base_url=config.base_url, config_dir=folder)
    account = await read_account(path, env)
    if account.signed_in:
        return SignIn(profile, account.label, f"claude CLI {version}", version)
    return SignIn(profile, None, f"not signed in: {advice(profile)}", version)


def advice(profile: str) -> str:
    """Say how to sign in."""
    return f"run `claude-proxy login --profile {profile}`" if profile else "run `claude-proxy login`"
