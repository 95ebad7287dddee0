"""``login``: the official CLI signs in, and we say who."""

from pathlib import Path

import pytest
from cli_process import run

# Stands for the official CLI where that would open a browser. It signs in when told so, and notes what it was asked.
SIGNS_IN = """#!/bin/sh
echo "$@" >> "$HOME/asked"
case "$*" in
  --version) echo "9.9.9 (Claude Code)";;
  "auth login"*) echo "Open this page: https://example.test/"; [ -n "$REFUSE" ] || touch "$HOME/signed-in";;
  "auth status"*)
    if [ -f "$HOME/signed-in" ]; then echo '{"loggedIn": true, "email": "me@example.test", "subscriptionType": "max"}'
    else echo '{"loggedIn": false, "authMethod": "none"}'; exit 1; fi;;
esac
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a home whose configuration names the stand-in."""
    binary = tmp_path / "claude"
    binary.write_text(SIGNS_IN)
    binary.chmod(0o700)
    (tmp_path / "config.yaml").write_text(f"claude-cli: {{path: {binary}}}\n")
    return tmp_path


def asked(home: Path) -> list[str]:
    """Give what the CLI was asked, without its version."""
    return [line for line in (home / "asked").read_text().splitlines() if line != "--version"]


def test_login_hands_the_terminal_to_the_cli_and_says_who_is_signed_in(home: Path) -> None:
    """What the CLI writes is seen as it is, and nothing of it is captured."""
    done = run("login", "--config", "config.yaml", home=home)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Open this page: https://example.test/\nSigned in: me@example.test (max) (claude CLI 9.9.9)\n"
    assert asked(home)[0] == "auth login"


def test_login_to_the_console(home: Path) -> None:
    """``--console`` is handed on."""
    assert run("login", "--console", "--config", "config.yaml", home=home).returncode == 0
    assert asked(home)[0] == "auth login --console"


def test_login_that_was_given_up_is_exit_code_3(home: Path) -> None:
    """The CLI's own word counts, asked afterwards."""
    done = run("login", "--config", "config.yaml", home=home, REFUSE="1")

    assert done.returncode == 3
    assert done.stderr == "error: still not signed in; run `claude-proxy login` again when you are ready\n"


def test_login_without_the_cli_says_how_to_install_it(home: Path) -> None:
    """Exit code 1, and one line."""
    (home / "config.yaml").write_text("claude-cli: {path: /nowhere/claude}\n")
    done = run("login", "--config", "config.yaml", home=home)

    assert done.returncode == 1
    assert done.stderr.startswith("error: claude-cli.path: /nowhere/claude isn't a working claude binary")
    assert "pipx install 'claude-proxy[cli]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_login_to_a_profile_uses_its_own_folder_and_no_other(home: Path) -> None:
    """The CLI is told where the profile's sign-in is, for the sign-in and for who is signed in."""
    binary = home / "claude"
    binary.write_text(SIGNS_IN.replace('echo "$@"', 'echo "$CLAUDE_CONFIG_DIR $@"'))
    (home / "config.yaml").write_text(f"claude-cli: {{path: {binary}, profiles: {{work: {{config-dir: ~/.work}}}}}}\n")
    done = run("login", "--profile", "work", "--config", "config.yaml", home=home)

    assert (done.returncode, done.stderr) == (0, "")
    folder = str(home / ".work")
    assert [line for line in asked(home) if "auth" in line] == [f"{folder} auth login", f"{folder} auth status"]


def test_login_to_a_profile_that_was_given_up_says_how_to_try_again(home: Path) -> None:
    """With the profile's name, or it would be another sign-in."""
    with (home / "config.yaml").open("w") as file:
        file.write(f"claude-cli: {{path: {home / 'claude'}, profiles: {{work: {{config-dir: ~/.work}}}}}}\n")
    done = run("login", "--profile", "work", "--config", "config.yaml", home=home, REFUSE="1")

    assert done.returncode == 3
    assert "run `claude-proxy login --profile work` again" in done.stderr


def test_login_to_a_profile_that_is_not_there_is_wrong_usage(home: Path) -> None:
    """Exit code 2, and what there is."""
    done = run("login", "--profile", "wrok", "--config", "config.yaml", home=home)

    assert done.returncode == 2
    assert done.stderr == "error: there is no profile 'wrok' in `claude-cli.profiles`; known: none\n"
