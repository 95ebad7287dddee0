"""Who is signed in, as the CLI itself says. We never look at credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from claude_proxy.config.schema import ClaudeCliConfig

_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Account:
    """An answer of ``claude auth status``. ``label`` is for people: the address or the way, and the plan.

    ``problem`` is why it can't be known.
    """

    signed_in: bool
    label: str | None = None
    problem: str | None = None


def config_dir(config: ClaudeCliConfig, profile: str) -> str | None:
    """Give a profile's own ``CLAUDE_CONFIG_DIR``; the default sign-in, which has no name, leaves it as the user has it.

    Always the same absolute path: on macOS the name of the keychain's entry depends on it.
    """
    return str(Path(config.profiles[profile].config_dir).expanduser().absolute()) if profile else None


def parse_account(output: bytes) -> Account:
    """Read what ``claude auth status`` printed; what can't be read counts as not signed in."""
    try:
        status = msgspec.json.decode(output)
    except (msgspec.DecodeError, ValueError):  # not JSON, not UTF-8
        return Account(signed_in=False)
    if not isinstance(status, dict) or status.get("loggedIn") is not True:
        return Account(signed_in=False)
    who = status.get("email") or status.get("authMethod") or "signed in"
    plan = status.get("subscriptionType")
    return Account(signed_in=True, label=f"{who} ({plan})" if plan else str(who))


async def read_account(binary: str, env: Mapping[str, str]) -> Account:
    """Ask the CLI who is signed in; with a CLI that hangs or can't be run that is a problem of its own."""
    try:
        process = await asyncio.create_subprocess_exec(
            binary,
            "auth",
            "status",
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        return Account(signed_in=False, problem=f"the claude CLI can't be asked who is signed in: {error.strerror}")
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        return Account(signed_in=False, problem=f"the claude CLI doesn't say within {_SECONDS:g} s who is signed in")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return parse_account(output)
