"""Schema, example file and documentation say the same."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from claude_proxy.config.document import check
from claude_proxy.config.keys import Key, keys
from claude_proxy.config.load import load
from claude_proxy.config.schema import Config

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.yaml"
ALL = list(keys())
SECTIONS = [key for key in ALL if any(re.match(re.escape(key.name) + r"(\[\]|\.<name>)?\.", one.name) for one in ALL)]
LEAVES = [key for key in ALL if key not in SECTIONS]


def shown(key: Key) -> str:
    """Give a key's default as the documentation writes it."""
    match key.default:
        case _ if key.required:
            return "required"
        case tuple() as values:
            return f"`[{', '.join(values)}]`"
        case value:
            return f"`{json.dumps(value)}`"


@pytest.mark.parametrize("key", ALL, ids=lambda key: key.name)
def test_every_key_has_a_meaning(key: Key) -> None:
    """A key is documented where it is declared."""
    assert key.meaning.endswith((".", ")"))


def test_the_example_holds_the_defaults() -> None:
    """Copying the example changes nothing."""
    assert load(EXAMPLE).config == Config()


def test_the_example_names_every_key() -> None:
    """With its examples taken out of the comments, the file sets every key there is, and is valid."""
    text = re.sub(r"^#(?=  )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    document = check(text, "example")
    msgspec.convert(document.data, Config)
    named = {re.sub(r"\[\d+\]", "[]", key) for key in document.places}
    named = {key.replace(".profiles.work", ".profiles.<name>") for key in named}

    assert {key.name for key in ALL} - named == set()
    assert document.warnings == []


@pytest.mark.parametrize("key", LEAVES, ids=lambda key: key.name)
def test_the_documentation_has_every_key_with_default_and_meaning(key: Key) -> None:
    """The table's row is what the schema says, and perhaps that it has no effect yet."""
    row = f"| `{key.name}` | {shown(key)} | {key.meaning}"
    text = (ROOT / "docs/configuration.md").read_text()
    assert f"\n{row} |\n" in text or f"\n{row} **No effect yet.** |\n" in text


def test_the_documentation_has_no_key_that_there_is_not() -> None:
    """A key that goes leaves the documentation too."""
    rows = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs/configuration.md").read_text(), re.MULTILINE)

    assert rows == list(dict.fromkeys(rows))
    assert set(rows) == {key.name for key in LEAVES}
