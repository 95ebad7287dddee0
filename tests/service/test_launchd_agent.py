"""The LaunchAgent, as text."""

import plistlib

import pytest

from claude_proxy.errors import ConfigError
from claude_proxy.service import launchd
from claude_proxy.service.definition import MARK, Service

SERVICE = Service(
    command=("/opt/venv/bin/python", "-m", "claude_proxy", "--config", "/Users/me/a & <b>.yaml", "serve"),
    environment={"HOME": "/Users/me", "PATH": "/usr/bin:/bin"},
    home="/Users/me",
    secrets_file="",
    log_file="/Users/me/Library/Logs/claude-proxy/service.log",
    stop_seconds=90,
)


def test_an_agent_starts_the_server_and_starts_it_again() -> None:
    """At sign-in and after a failure; with absolute paths, a log, and time for open streams to end."""
    assert plistlib.loads(launchd.render(SERVICE).encode()) == {
        "Label": "local.claude-proxy",
        "ProgramArguments": list(SERVICE.command),
        "EnvironmentVariables": {"HOME": "/Users/me", "PATH": "/usr/bin:/bin"},
        "WorkingDirectory": "/Users/me",
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": 100,
        "Umask": 0o077,
        "SoftResourceLimits": {"NumberOfFiles": 4096},
        "StandardOutPath": "/Users/me/Library/Logs/claude-proxy/service.log",
        "StandardErrorPath": "/Users/me/Library/Logs/claude-proxy/service.log",
    }


def test_an_agent_says_who_wrote_it() -> None:
    """So that nobody else's is overwritten."""
    assert f"<!-- {MARK} -->" in launchd.render(SERVICE)


def test_a_control_character_is_refused() -> None:
    """A property list can't hold it."""
    with pytest.raises(ConfigError, match="the command holds a line break"):
        launchd.render(Service(command=("/a\nb",), environment={}, home="/", secrets_file="", log_file="/l"))
