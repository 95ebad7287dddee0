"""Schema and example file say the same; ``docs/configuration.md`` is written from the schema."""

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
