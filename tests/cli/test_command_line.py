"""The command itself: help, version, options on both sides of the command's name, errors and exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from cli_command import Command
from cli_process import environment, run

from claude_proxy import __version__
from claude_proxy.cli.main import explain
from claude_proxy.errors import ConfigError, NotSignedIn, Unavailable

SLOW = ("aiohttp", "keyring", "yaml", "asyncio", "msgspec", "platformdirs")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_shows_the_commands_and_examples(command: Command, arguments: tuple[str, ...]) -> None:
    """Without a command, the help is what one gets."""
    done = command(*arguments)

    assert done.code == 0
    assert done.err == ""
    for expected in ("serve", "login", "--config", "--debug", "--version", "Examples:", "claude-proxy serve --demo"):
        assert expected in done.out


def test_help_imports_nothing_slow(tmp_path: Path) -> None:
    """Help comes at once: what a command needs is imported when it runs."""
    program = (
        "import sys\n"
        "sys.argv[1:] = ['--help']\n"
        "from claude_proxy.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {SLOW} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr == "[]\n"


@pytest.mark.parametrize("arguments", [("--version",), ("serve", "--version"), ("login", "--version")])
def test_the_version_is_shown_before_and_after_a_command(command: Command, arguments: tuple[str, ...]) -> None:
    """Wherever it stands, nothing else happens."""
    done = command(*arguments)

    assert (done.code, done.out) == (0, f"claude-proxy {__version__}\n")


@pytest.mark.parametrize("arguments", [("--config", "nope.yaml", "serve"), ("serve", "--config", "nope.yaml")])
def test_config_is_understood_before_and_after_a_command(command: Command, arguments: tuple[str, ...]) -> None:
    """A wrong configuration is one line on stderr and exit code 2."""
    done = command(*arguments)

    assert (done.code, done.out) == (2, "")
    assert done.err == "error: nope.yaml: no such file, though --config names it\n"


def test_the_option_after_the_command_wins(command: Command) -> None:
    """It stands nearer."""
    done = command("--config", "one.yaml", "serve", "--config", "two.yaml")

    assert done.err == "error: two.yaml: no such file, though --config names it\n"


@pytest.mark.parametrize("arguments", [("--debug", "serve"), ("serve", "--debug")])
def test_debug_shows_the_traceback(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Before and after the command, and only then."""
    done = run(*arguments, "--config", "nope.yaml", home=tmp_path)

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ConfigError: nope.yaml: no such file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope",), "No such command 'nope'. See"),
        (("serve", "--nope"), "No such option: --nope"),
        (("serve", "--port", "99999"), "'--port'"),
        (("serve", "--log-format", "xml"), "xml"),
        (("serve", "more"), "more"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(command: Command, arguments: tuple[str, ...], message: str) -> None:
    """The line says what is wrong and where the help is."""
    done = command(*arguments)

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.startswith("error: ")
    assert done.err.endswith(" --help`.\n")
    assert done.err.count("\n") == 1


def test_a_mistake_in_the_file_is_one_line_however_long(command: Command, tmp_path: Path) -> None:
    """A pipe has no width to fold lines at, and neither has an error."""
    (tmp_path / "config.yaml").write_text("host: 0.0.0.0\n")
    done = command("serve", "--config", "config.yaml")

    assert done.code == 2
    assert done.err.startswith('error: config.yaml:1:1: host: "0.0.0.0" lets other machines in')
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (ConfigError("config.yaml:1:7: port: wrong"), 2, "config.yaml:1:7: port: wrong"),
        (NotSignedIn("sign in"), 3, "sign in"),
        (Unavailable("install it"), 1, "install it"),
        (typer.Abort(), 1, "stopped"),
        (FileNotFoundError(2, "No such file", "cert.pem"), 1, "No such file: cert.pem"),
        (OSError("odd"), 1, "odd"),
        (typer.BadParameter("not that"), 2, "Invalid value: not that. See `claude-proxy --help`."),
        (typer.BadParameter("that?"), 2, "Invalid value: that? See `claude-proxy --help`."),
        (ValueError("odd"), 1, "ValueError: odd. This is a bug; --debug shows where."),
    ],
)
def test_every_failure_has_its_exit_code(failure: Exception, code: int, message: str) -> None:
    """1 failed, 2 wrong usage or configuration, 3 not signed in."""
    assert explain(failure) == (code, message)
