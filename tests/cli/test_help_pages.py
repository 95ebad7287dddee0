"""What all commands have in common: help with examples, options on both sides, colours, completion, closed pipes."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_command import Command
from cli_process import COMMAND, environment, run

from claude_proxy.cli.main import app
from claude_proxy.errors import ConfigError

ROOT: Any = typer.main.get_command(app)  # Typer has a Click of its own in some versions, so it has no type here
COMMANDS = sorted(ROOT.commands)
PAGES = {"": ROOT, **ROOT.commands}
EXAMPLES = [example for page in PAGES.values() for example in page.epilog.split("\n\n")[1:]]


@pytest.mark.parametrize("page", PAGES, ids=lambda name: name or "claude-proxy")
def test_every_page_explains_its_command_and_has_examples(command: Command, page: str) -> None:
    """Two at least, a line each, at the end; flags have no type beside them."""
    done = command(*page.split(), "--help")
    title, *examples = done.out.rstrip().splitlines()[-len(PAGES[page].epilog.split("\n\n")) :]

    assert (done.code, done.err) == (0, "")
    assert title == " Examples:"
    assert len(examples) >= 2
    assert all(example.startswith("   claude-proxy") for example in examples)
    assert f"Usage: {f'claude-proxy {page}'.strip()} [OPTIONS]" in done.out
    for expected in ("--config", "--debug", "--version", "--help"):
        assert expected in done.out
    assert not {"bool", "list[str]"} & set(re.findall(r"[\w\[\]]+", done.out))


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_one_that_works(command: Command, example: str) -> None:
    """Its options exist, and it fits 80 columns."""
    name, *arguments = shlex.split(example.partition(" | ")[0])

    assert name == "claude-proxy"
    assert command(*arguments, "--help").code == 0
    assert len(example) <= 76


@pytest.mark.parametrize("name", COMMANDS)
def test_config_is_understood_before_and_after_every_command(command: Command, name: str) -> None:
    """What it names is read, by every command."""
    before = command("--config", "nope.yaml", name)
    after = command(name, "--config", "nope.yaml")

    assert before == after
    assert (before.code, before.err) == (2, "error: nope.yaml: no such file, though --config names it\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_debug_shows_where_an_error_comes_from(command: Command, name: str) -> None:
    """Before and after every command: the error isn't caught."""
    for arguments in (("--debug", name), (name, "--debug")):
        with pytest.raises(ConfigError):
            command(*arguments, "--config", "nope.yaml")


@pytest.mark.parametrize("width", [60, 100])
def test_columns_say_how_wide_a_page_is(command: Command, width: int) -> None:
    """Where there is no terminal to ask."""
    lines = command("status", "--help", COLUMNS=str(width)).out.splitlines()

    assert max(map(len, lines)) == width


def test_no_color_is_heeded(command: Command) -> None:
    """On a terminal, or where colours are forced; nothing else has them anyway."""
    Path("config.yaml").write_text("claude-cli: {enabled: false}\n")
    arguments = ("status", "--config", "config.yaml", "--port", "1")
    plain = command(*arguments)
    coloured = command(*arguments, FORCE_COLOR="1", TERM="xterm-256color")
    uncoloured = command(*arguments, NO_COLOR="1")

    assert "\x1b" not in plain.out + plain.err
    assert "\x1b[1;31mnot running" in coloured.out
    assert "\x1b[1;31merror: " in coloured.err
    assert "31m" not in uncoloured.out + uncoloured.err


def test_the_shell_can_complete_commands_and_options(command: Command) -> None:
    """As bash asks; the others do it alike."""
    asked = {"_CLAUDE_PROXY_COMPLETE": "complete_bash", "COMP_CWORD": "1"}

    assert command(COMP_WORDS="claude-proxy stat", **asked).out.split() == ["status"]
    assert "--watch" in command(COMP_WORDS="claude-proxy status --", **{**asked, "COMP_CWORD": "2"}).out.split()


def test_completion_is_shown_and_installed_for_the_shell_that_asks(tmp_path: Path) -> None:
    """For the whole command's name, in the user's own files."""
    name = shlex.join(COMMAND)
    done = subprocess.run(
        ["bash", "-c", f"{name} --show-completion && {name} --install-completion"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "complete -o default -F _claude_proxy_completion claude-proxy\n" in done.stdout
    assert "bash completion installed in" in done.stdout
    assert "claude-proxy" in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("status", "--json", "--port", "1")])
def test_a_pipe_that_is_closed_early_is_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """``| head`` has seen enough, and gets no traceback for it."""
    (tmp_path / "config.yaml").write_text("claude-cli: {enabled: false}\n")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(tmp_path, CLAUDE_PROXY_CONFIG=str(tmp_path / "config.yaml")),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (1, "")


def test_an_encoding_that_lacks_a_sign_is_no_error(tmp_path: Path) -> None:
    """A file's name may not be ASCII."""
    (tmp_path / "naïve.yaml").write_text("claude-cli: {enabled: false}\n")
    arguments = ("status", "--json", "--port", "1", "--config", "naïve.yaml")
    done = run(*arguments, home=tmp_path, PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (1, "")
    assert '"config": "na?ve.yaml"' in done.stdout
