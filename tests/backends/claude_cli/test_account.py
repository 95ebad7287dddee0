"""Who is signed in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from claude_proxy.backends.claude_cli.account import Account, parse_account, read_account


@pytest.mark.parametrize(
    ("status", "label"),
    [
        ({"email": "me@example.org", "subscriptionType": "max", "authMethod": "claude.ai"}, "me@example.org (max)"),
        ({"authMethod": "oauth_token", "subscriptionType": None}, "oauth_token"),
        ({}, "signed in"),
    ],
)
def test_who_is_signed_in_is_shown_as_well_as_known(status: dict[str, Any], label: str) -> None:
    """The address and the plan, or the way, or just that somebody is."""
    assert parse_account(json.dumps({"loggedIn": True, **status}).encode()) == Account(signed_in=True, label=label)


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"Not logged in",
        b"[]",
        b"{}",
        b"\xff",
        b'{"email": "\xff"}',
        b'{"loggedIn": false, "email": "me@example.org"}',
        b'{"loggedIn": "true"}',
    ],
)
def test_all_else_is_not_signed_in(output: bytes) -> None:
    """K10: what can't be read is never taken for a login."""
    assert parse_account(output) == Account(signed_in=False)


async def test_the_cli_is_asked_in_its_own_environment(tmp_path: Path) -> None:
    """Which login it is depends on the child's environment, not on ours."""
    script = tmp_path / "claude"
    script.write_text('#!/bin/sh\n[ "$*" = "auth status" ] && echo "{\\"loggedIn\\": true, \\"email\\": \\"$WHO\\"}"\n')
    script.chmod(0o755)
    account = await read_account(str(script), {"WHO": "me", "PATH": os.environ["PATH"]})
    assert account == Account(signed_in=True, label="me")


async def test_a_cli_that_cannot_be_run_is_not_signed_in(tmp_path: Path) -> None:
    """It is no failure of ours."""
    account = await read_account(str(tmp_path / "none"), {})
    assert not account.signed_in
    assert account.problem == "the claude CLI can't be asked who is signed in: No such file or directory"


async def test_a_cli_that_hangs_is_ended_and_not_signed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question has a deadline, and the process that didn't answer is gone after it."""
    monkeypatch.setattr("claude_proxy.backends.claude_cli.account._SECONDS", 0.3)
    script = tmp_path / "claude"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    script.chmod(0o755)
    account = await read_account(str(script), {"PATH": os.environ["PATH"]})
    assert not account.signed_in
    assert "doesn't say" in (account.problem or "")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
