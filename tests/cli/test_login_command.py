"""``login`` as a command: the official CLI signs in, and we say who; keys are asked for without echo."""

import contextlib
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cli_command import Command
from cli_process import COMMAND, environment, run

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


def test_login_to_the_console(command: Command, home: Path) -> None:
    """``--console`` is handed on."""
    assert command("login", "--console", "--config", "config.yaml").code == 0
    assert asked(home)[0] == "auth login --console"


def test_login_without_a_browser_keeps_the_real_cli_from_opening_one(tmp_path: Path) -> None:
    """It runs what we say in a browser's place, prints the address, and Ctrl-C at its prompt is no sign-in."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("true", "xdg-open", "open"):
        (folder / name).write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened-by-{name}\n')
        (folder / name).chmod(0o700)
    process = subprocess.Popen(
        [*COMMAND, "login", "claude", "--no-browser"],
        env=environment(tmp_path, PATH=f"{folder}:{os.environ['PATH']}", DISPLAY=":0", BROWSER="xdg-open"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )
    until((tmp_path / "opened-by-true").exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 3
    assert output.startswith("note: no browser is opened; open the address below on any device")
    assert "https://" in output
    assert output.endswith("\nerror: still not signed in; run `claude-proxy login` again when you are ready\n")
    assert sorted(path.name for path in tmp_path.glob("opened-by-*")) == ["opened-by-true"]


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_sign_in_that_was_stopped_does_not_claim_who_was_signed_in_before(command: Command, home: Path) -> None:
    """Exit code 1: nothing has changed."""
    (home / "signed-in").touch()
    (home / "claude").write_text(SIGNS_IN.replace('touch "$HOME/signed-in"', "exit 1"))
    done = command("login", "--config", "config.yaml")

    assert done.code == 1
    assert done.err == ("error: this sign-in didn't come to its end; signed in is, as before: me@example.test (max)\n")


def test_login_that_was_given_up_is_exit_code_3(command: Command, home: Path) -> None:
    """The CLI's own word counts, asked afterwards."""
    done = command("login", "--config", "config.yaml", REFUSE="1")

    assert done.code == 3
    assert done.err == "error: still not signed in; run `claude-proxy login` again when you are ready\n"


def test_login_without_the_cli_says_how_to_install_it(command: Command, home: Path) -> None:
    """Exit code 1, and one line."""
    (home / "config.yaml").write_text("claude-cli: {path: /nowhere/claude}\n")
    done = command("login", "--config", "config.yaml")

    assert done.code == 1
    assert done.err.startswith("error: claude-cli.path: /nowhere/claude isn't a working claude binary")
    assert "pipx install 'claude-proxy[cli]'" in done.err
    assert done.err.count("\n") == 1


def test_login_to_a_profile_uses_its_own_folder_and_no_other(command: Command, home: Path) -> None:
    """The CLI is told where the profile's sign-in is, for the sign-in and for who is signed in."""
    binary = home / "claude"
    binary.write_text(SIGNS_IN.replace('echo "$@"', 'echo "$CLAUDE_CONFIG_DIR $@"'))
    (home / "config.yaml").write_text(f"claude-cli: {{path: {binary}, profiles: {{work: {{config-dir: ~/.work}}}}}}\n")
    done = command("login", "--profile", "work", "--config", "config.yaml")

    assert (done.code, done.err) == (0, "")
    folder = str(home / ".work")
    assert [line for line in asked(home) if "auth" in line] == [f"{folder} auth login", f"{folder} auth status"]


def test_login_to_a_profile_that_was_given_up_says_how_to_try_again(command: Command, home: Path) -> None:
    """With the profile's name, or it would be another sign-in."""
    with (home / "config.yaml").open("w") as file:
        file.write(f"claude-cli: {{path: {home / 'claude'}, profiles: {{work: {{config-dir: ~/.work}}}}}}\n")
    done = command("login", "--profile", "work", "--config", "config.yaml", REFUSE="1")

    assert done.code == 3
    assert "run `claude-proxy login --profile work` again" in done.err


def test_login_to_a_profile_that_is_not_there_is_wrong_usage(command: Command, home: Path) -> None:
    """Exit code 2, and what there is."""
    done = command("login", "--profile", "wrok", "--config", "config.yaml")

    assert done.code == 2
    assert done.err == "error: there is no profile 'wrok' in `claude-cli.profiles`; known: none\n"


# -- API keys ----------------------------------------------------------------------------------------------------------

IN_A_FILE = "keyrings.alt.file.PlaintextKeyring"
NONE = "keyring.backends.fail.Keyring"


def test_a_key_is_kept_listed_and_taken_out_again(home: Path) -> None:
    """Each in a process of its own, with a keyring that the environment names; no output holds the key."""
    arguments = ("login", "console", "--key-stdin", "--no-check", "--config", "config.yaml")
    kept = run(*arguments, home=home, given="sk-hidden", PYTHON_KEYRING_BACKEND=IN_A_FILE)
    listed = run("login", "--list", "--json", "--config", "config.yaml", home=home, PYTHON_KEYRING_BACKEND=IN_A_FILE)
    removed = run("login", "--remove", "console", home=home, PYTHON_KEYRING_BACKEND=IN_A_FILE)
    again = run("login", "--remove", "console", home=home, PYTHON_KEYRING_BACKEND=IN_A_FILE)

    assert [done.returncode for done in (kept, listed, removed, again)] == [0, 0, 0, 1]
    assert "keyring:console" in kept.stdout
    assert [(one["kind"], one["name"]) for one in msgspec.json.decode(listed.stdout)] == [
        ("api-key", "console"),
        ("sign-in", "claude"),
    ]
    assert again.stderr == "error: there is no key 'console'; known: none\n"
    assert not [done for done in (kept, listed, removed, again) if "hidden" in done.stdout + done.stderr]


def test_without_a_keyring_the_other_way_is_told(home: Path) -> None:
    """Exit code 1, and one line."""
    done = run("login", "console", "--key-stdin", home=home, given="sk-hidden", PYTHON_KEYRING_BACKEND=NONE)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: this machine has no keyring, so nothing was kept. Put the key into an")
    assert "env:CONSOLE_API_KEY" in done.stderr
    assert done.stderr.count("\n") == 1


def test_options_that_do_not_go_together_are_wrong_usage(command: Command, home: Path) -> None:
    """Exit code 2, and where the help is; a key behind its name isn't repeated."""
    done = command("login", "console", "sk-hidden", "--api-key")

    assert done.code == 2
    assert done.err == (
        "error: Give one name and no key: that is asked for, since others can see what stands here. "
        "See `claude-proxy login --help`.\n"
    )


@pytest.mark.parametrize(
    ("typed", "code", "answer"),
    [
        (b"sk-ant-hidden\n", 0, b"- api-key: keyring:console"),
        (b"\x04", 1, b"no key was given; nothing was kept"),
        (b"sk-ant-oat01-hidden\n", 2, b"This is no API key: it is a subscription's token"),
    ],
)
def test_a_key_is_asked_for_without_echo(home: Path, typed: bytes, code: int, answer: bytes) -> None:
    """On a real terminal, which shows everything that isn't kept from it; Ctrl-D gives up."""
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "login", "console", "--api-key", "--no-check"],
        env=environment(home, PYTHON_KEYRING_BACKEND=IN_A_FILE),
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        start_new_session=True,
    )
    os.close(its_end)
    shown = b""
    try:
        while b"(not shown): " not in shown:
            shown += os.read(terminal, 4096)
        os.write(terminal, typed)
        with contextlib.suppress(OSError):  # how a terminal ends, on Linux
            while part := os.read(terminal, 4096):
                shown += part
    finally:
        os.close(terminal)

    assert process.wait(60) == code
    assert answer in shown
    assert b"hidden" not in shown
