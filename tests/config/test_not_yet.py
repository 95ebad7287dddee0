"""Keys without effect: the table, the code, the documents and the warnings say the same."""

import ast
import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest

from claude_proxy.config.document import check
from claude_proxy.config.keys import NOT_YET, Key, keys
from claude_proxy.config.load import load
from claude_proxy.config.schema import Config

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "claude_proxy"
MARK = "no effect yet"

BLIND = {"config", "canon", "dialects", "simulator", "errors", "framing", "routing", "credentials"}
"""Rooms in which nothing is a read of a key: ``config`` itself, and those that may not import it."""

HOLDERS = {"config", "cli", "claude_cli", "tls", "streaming", "routing"}
"""Names under which code has the configuration or a section of it in its hands."""

SET = {
    "claude-cli.mcp-servers": "{files: {command: x}}",
}


def without_effect(key: Key) -> bool:
    """Tell whether the key or a section that it is in has no effect yet."""
    return any(re.match(rf"{re.escape(name)}(?![\w-])", key.name) for name in NOT_YET)


def accesses() -> Iterator[tuple[str, str]]:
    """Give every attribute that is read where configuration may be used, and the last name of what it is read of."""
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in BLIND:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                holder = node.value
                name = holder.attr if isinstance(holder, ast.Attribute) else getattr(holder, "id", "")
                yield name, node.attr


READ = set(accesses())


def attribute(key: Key) -> str:
    """Give a key's name in Python, without its section."""
    return key.name.rpartition(".")[2].replace("-", "_")


@pytest.mark.parametrize("key", [key for key in keys() if not without_effect(key)], ids=lambda key: key.name)
def test_every_other_key_is_read_by_code(key: Key) -> None:
    """A key that nothing reads belongs into ``NOT_YET`` (one read under a new name: that name into ``HOLDERS``)."""
    holders = {holder for holder, name in READ if name == attribute(key)}

    assert holders if re.search(r"\[]|<", key.name) else holders & HOLDERS


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_a_key_without_effect_is_not_read_by_code(name: str) -> None:
    """Whoever makes a key work takes it out of ``NOT_YET``."""
    (key,) = (key for key in keys() if key.name == name)

    assert attribute(key) not in {read for _, read in READ}


def test_a_section_without_effect_stands_for_what_is_in_it() -> None:
    """No key is named twice, and each is one that a configuration always has."""
    assert [name for name in NOT_YET if name.rpartition(".")[0] in NOT_YET] == []
    assert [name for name in NOT_YET if re.search(r"[\[<]", name)] == []


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_setting_a_key_without_effect_is_a_warning_with_its_line(tmp_path: Path, name: str) -> None:
    """Nothing is accepted in silence."""
    path = tmp_path / "config.yaml"
    section, _, leaf = name.rpartition(".")
    path.write_text(f"port: 1\n{section}:\n  {leaf}: {SET[name]}\n" if section else f"port: 1\n\n{leaf}: {SET[name]}\n")
    loaded = load(path, environ={})

    assert attrgetter(name.replace("-", "_"))(loaded.config) != attrgetter(name.replace("-", "_"))(Config())
    assert loaded.warnings == (f"{path}:3:{3 if section else 1}: {name} has no effect in this version",)


def test_writing_a_default_out_is_no_warning() -> None:
    """The example file has every key, and nothing to say."""
    assert load(ROOT / "config.example.yaml", environ={}).warnings == ()


def test_the_example_marks_exactly_the_keys_without_effect() -> None:
    """In the comment beside the key."""
    text = (ROOT / "config.example.yaml").read_text()
    lines = text.splitlines()
    marked = {key for key, at in check(text, "example").places.items() if lines[at.line - 1].endswith(f"; {MARK}")}

    assert marked == NOT_YET


def test_the_documentation_marks_exactly_the_keys_without_effect() -> None:
    """At the end of the key's meaning."""
    rows = re.findall(r"^\| `([^`]+)` \|.* \|$", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)
    marked = re.findall(
        rf"^\| `([^`]+)` \|.* \*\*{MARK}\.\*\* \|$",
        (ROOT / "docs/configuration.md").read_text(),
        re.MULTILINE | re.IGNORECASE,
    )

    assert marked == [key.name for row in rows for key in keys() if key.name == row and without_effect(key)]
