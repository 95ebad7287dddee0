"""Runs the command line inside the test's own process, as a user would, in a home of its own."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_process import environment

from claude_proxy.cli import console
from claude_proxy.cli.main import run


@dataclass
class Done:
    """What a command has written, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Give a function that runs a command; variables that it is given stay for the test."""
    own = environment(tmp_path)
    for name in {*os.environ, "FORCE_COLOR", "NO_COLOR"} - {*own}:
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: str, **more: str) -> Done:
        for name, value in more.items():
            monkeypatch.setenv(name, value)
        _forget_consoles()
        monkeypatch.setattr("sys.argv", ["claude-proxy", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        written = capsys.readouterr()
        return Done(int(ended.value.code or 0), written.out, written.err)

    yield run_command
    _forget_consoles()


def _forget_consoles() -> None:
    """A console knows its width from when it was made."""
    console.out.cache_clear()
    console.err.cache_clear()
