"""The documentation names no command, option, message or key that there isn't."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import generate
import pytest

from claude_proxy.config.keys import keys

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CALL = re.compile(r"claude-proxy((?:[ =][\w./~:-]+)*)")


def called(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Give each command that a page names in code, with its long options; none is the bare command."""
    text = path.read_text("utf-8")
    blocks = re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ").partition("#")[0] for block in blocks for line in block.splitlines()]
    for code in [*lines, *re.findall(r"`(claude-proxy [^`\n]+)`", text)]:
        for call in CALL.findall(code if code.startswith("claude-proxy") else ""):
            words = [word for word in call.split() if not re.search(r"[/.]", word)]
            named = next((word for word in words if not word.startswith("-")), "")
            yield named, {word for word in words if word.startswith("--")}


@cache
def options() -> dict[str, set[str]]:
    """Give the long options of each command, with those that all have."""
    text = "\n".join(generate.commands())
    shared, *parts = re.split(r"^## `claude-proxy ?", text, flags=re.MULTILINE)
    every = set(re.findall(r"--[a-z-]+", shared))
    return {part.partition("`")[0]: every | set(re.findall(r"--[a-z-]+", part)) for part in parts}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_their_options_are_there(document: Path) -> None:
    """One that is renamed is renamed in every page."""
    known = options()
    wrong = [(name, wanted - known.get(name, set())) for name, wanted in called(document)]

    assert [(name, missing) for name, missing in wrong if name not in known or missing] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_keys_of_a_section_are_there(document: Path) -> None:
    """``claude-cli.warm`` and the like, wherever a page names one."""
    known = {re.sub(r"\[]|\.<name>", "", key.name) for key in keys()}
    sections = {name.partition(".")[0] for name in known if "." in name}
    named = re.findall(rf"`((?:{'|'.join(sections)})\.[\w-]+)[:`]", document.read_text("utf-8"))

    assert [name for name in named if name not in known and not name.endswith(".py")] == []


def test_the_messages_that_troubleshooting_explains_are_ours() -> None:
    """Who searches for one finds it."""
    page = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    table = re.findall(r"^\| \d{3} \| `([^`]+)`", page, re.MULTILINE)
    headings = re.findall(r"^\*\*`(the [^`]+|fails [^`]+)`\*\*", page, re.MULTILINE)
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "claude_proxy").rglob("*.py"))

    assert len(table) > 5
    assert [message for message in (*table, *headings) if message not in code] == []
