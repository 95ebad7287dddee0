"""``status --check``: the probe's table, for a CLI that passes, one that fails, and one that can't be used."""

import io
import json
from pathlib import Path

import pytest
import signed_in_claude
from cli_command import Command
from rich.console import Console

from claude_proxy.backends.claude_cli.features import NAMES, OPTIONAL, Check, Report
from claude_proxy.cli.status_check import OFF, view


def shown(**failed: Check) -> str:
    """Render a report in which all checks but these passed."""
    checks = tuple(failed.get(name.replace("-", "_"), Check(name, passed=True)) for name in NAMES)
    written = io.StringIO()
    Console(file=written, width=80, highlight=False).print(view(Report("9.9.9", checks), "/bin/claude"))
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


def test_every_feature_says_what_is_switched_off() -> None:
    """No check fails without a consequence being named."""
    assert set(OFF) == set(OPTIONAL)


def test_a_good_version() -> None:
    """A line for each check, and one for all."""
    assert shown().startswith(
        "claude CLI 9.9.9  /bin/claude\n"
        "\n"
        "check          result  switched off\n"
        "history        passed\n"
        "at-path        passed\n"
    )
    assert shown().endswith("\nbroken-stream  passed\n\nIt does all that is asked of it.\n")


def test_a_failed_check_switches_its_feature_off() -> None:
    """With what was seen."""
    text = shown(effort=Check("effort", passed=False, detail="it was left out"))

    assert "effort         failed  the effort is left out and named as lost\n" in text
    assert "                       it was left out\n" in text
    assert text.endswith("\nIt is used without what is switched off.\n")


def test_a_vital_check_that_fails_refuses_the_version() -> None:
    """In the words that clients get, too."""
    text = shown(at_path=Check("at-path", passed=False, detail="it read a file"))

    assert "at-path        failed  everything: this version isn't used\n" in text
    assert "can't be used, as it doesn't leave `@path` in a text" in text


def test_what_was_not_shown_is_told_from_what_failed() -> None:
    """It may pass the next time."""
    assert "tools          not shown  requests with tools are refused\n" in shown(
        tools=Check("tools", passed=False, detail="late", shown=False)
    )


def test_the_installed_cli_is_checked_for_real(command: Command) -> None:
    """Exit code 0, and every check in the document."""
    done = command("status", "--check", "--json")
    found = json.loads(done.out)

    assert (done.code, found["refused"], found["off"]) == (0, None, [])
    assert [check["name"] for check in found["checks"]] == list(NAMES)
    assert found["checks"][0] == {"name": "history", "passed": True, "detail": "", "off": None}


@pytest.mark.parametrize("as_json", [False, True])
def test_a_cli_that_can_not_be_used_is_exit_code_1(command: Command, tmp_path: Path, *, as_json: bool) -> None:
    """One that does nothing at all, here."""
    config = signed_in_claude.write(tmp_path, signed_in=False)
    done = command("status", "--check", "--config", str(config), *(["--json"] if as_json else []))

    assert done.code == 1
    assert "couldn't be checked" in done.out


def test_without_a_cli_there_is_nothing_to_check(command: Command) -> None:
    """One line that says how to install it."""
    Path("config.yaml").write_text("claude-cli: {path: /nowhere/claude}\n")
    done = command("status", "--check", "--config", "config.yaml")

    assert (done.code, done.out) == (1, "")
    assert "isn't a working claude binary" in done.err
