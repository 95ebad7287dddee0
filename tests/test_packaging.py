"""What the published package promises, and that the project's own files agree."""

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import entry_points, metadata, requires
from pathlib import Path
from typing import Any

import pytest

from claude_proxy import __version__

ROOT = Path(__file__).parents[1]
MUST_KNOW = ("not affiliated with Anthropic", "grey area", "API key is the clean path", "make demo", "make test")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_command_is_installed() -> None:
    """``claude-proxy`` is on PATH after an installation, and runs what ``python -m claude_proxy`` runs."""
    (command,) = entry_points(group="console_scripts", name="claude-proxy")

    assert command.value == "claude_proxy.cli.main:run"
    assert callable(command.load())


def test_the_metadata_says_what_it_is() -> None:
    """Name, version, licence and the oldest Python."""
    about = metadata("claude-proxy")

    assert (about["Name"], about["Version"]) == ("claude-proxy", __version__)
    assert (about["License-Expression"], about["Requires-Python"]) == ("MIT", ">=3.11")


def test_the_official_cli_is_optional() -> None:
    """Who has ``claude`` on PATH needs no second one."""
    optional = [line for line in requires("claude-proxy") or [] if "extra ==" in line]

    assert [re.split(r"[ >=;]", line)[0] for line in optional] == ["claude-agent-sdk"]


def test_the_package_is_typed() -> None:
    """Type checkers take our annotations."""
    assert (ROOT / "claude_proxy/py.typed").read_bytes() == b""


def test_the_licence_is_there() -> None:
    """MIT, and whose."""
    text = (ROOT / "LICENSE").read_text()

    assert text.startswith("MIT License\n")
    assert "the claude-proxy authors" in text


def test_the_readme_says_what_users_must_know() -> None:
    """The note on terms is on the first screen, and so are the two commands of a checkout."""
    first = "\n".join((ROOT / "README.md").read_text().splitlines()[:30])

    for expected in (
        "not affiliated with Anthropic",
        "grey area",
        "API key is the clean path",
        "make demo",
        "make test",
    ):
        assert expected in first


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
@pytest.mark.parametrize("target", ["help", "demo", "test", "check", "docs", "bench"])
def test_the_makefile_has_the_targets_that_are_documented(target: str) -> None:
    """Each can be planned without doing anything."""
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_every_pure_pattern_is_below_the_package() -> None:
    """The list is used for coverage and for the rules on imports."""
    patterns = PROJECT["tool"]["claude-proxy"]["pure"]

    assert [one for one in patterns if not re.fullmatch(r"claude_proxy/[a-z_/]+(\*|[a-z_]+)\.py", one)] == []
