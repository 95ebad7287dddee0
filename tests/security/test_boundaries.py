"""Who in the source may reach out: open a connection, start a process, use a shell, or write a file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "claude_proxy"
SOURCES = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.rglob("*.py"))}


def without_words(text: str) -> str:
    """Give code without what it says in strings and comments."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.unparse(tree)


CODE = {name: without_words(text) for name, text in SOURCES.items()}
CONNECT = r"ClientSession\(|urlopen\(|HTTPS?Connection\(|open_connection\(|create_connection\(|\.connect\("
START = r"subprocess\.(?:run|Popen|call|check_\w+)\(|subprocess_exec\(|create_subprocess_exec\(|os\.(?:exec|spawn)\w*\("
SHELL = r"shell=True|os\.system\(|os\.popen\(|subprocess_shell\(|getoutput\(|pty\.spawn\("
UNSAFE = r"\bpickle\b|\bmarshal\b|\beval\(|\bexec\(|yaml\.(?:load|unsafe_load)\(|mktemp\(|import cgi|telnetlib"


def using(pattern: str) -> set[str]:
    """Give the files whose code matches."""
    return {name for name, code in CODE.items() if re.search(pattern, code)}


def test_connections_go_where_the_configuration_says() -> None:
    """SSRF: upstreams' are opened in one place, our own server's by our own commands; nobody else opens any."""
    assert using(CONNECT) == {
        "backends/http/session.py",  # to a configured base URL, without following redirects
        "cli/server_client.py",  # `status` and `models`, to the server that the configuration describes
        "service/install.py",  # to see whether that server listens
        "sqlite_file.py",  # a file
    }


def test_upstreams_redirect_nowhere() -> None:
    """A key must not be carried to a host that nobody configured."""
    assert "allow_redirects=False" in SOURCES["backends/http/session.py"]


def test_processes_are_the_cli_s_and_the_service_s() -> None:
    """Nothing that a request says is ever the name of a program."""
    assert using(START) == {
        "backends/claude_cli/account.py",
        "backends/claude_cli/binary.py",
        "backends/claude_cli/launcher.py",
        "backends/claude_cli/pipes.py",
        "cli/login_claude.py",
        "service/supervisor.py",
    }


@pytest.mark.parametrize("pattern", [SHELL, UNSAFE], ids=["shell", "unsafe"])
def test_what_runs_text_is_not_used(pattern: str) -> None:
    """Neither a shell, nor Python's own ways to turn data into code."""
    assert using(pattern) == set()
