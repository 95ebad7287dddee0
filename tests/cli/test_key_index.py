"""The list of the names that keys are stored under."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from claude_proxy.cli.key_index import KeyIndex
from claude_proxy.errors import ProxyError

FIRST = datetime(2026, 11, 25, 22, 38, 29, tzinfo=UTC)
LATER = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
def index(tmp_path: Path) -> KeyIndex:
    """Give a list whose folder isn't there yet."""
    return KeyIndex(tmp_path / "data" / "keys.json")


def test_names_are_added_and_removed(index: KeyIndex) -> None:
    """In the order of the names, each with when it was added last."""
    assert index.read() == {}
    for name, at in (("b", FIRST), ("a", FIRST), ("b", LATER), ("c", FIRST)):
        index.add(name, at)
    for name in ("c", "nope"):
        index.remove(name)

    assert list(index.read().items()) == [("a", FIRST), ("b", LATER)]


def test_only_its_owner_can_read_it(index: KeyIndex) -> None:
    """Which providers somebody uses is nobody's business; no half-written file is left beside it."""
    index.add("a", FIRST)

    assert stat.S_IMODE(index.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(index.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in index.path.parent.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"added": "yesterday"}}', "\N{SNOWMAN}"])
def test_a_file_that_can_not_be_understood_is_told(index: KeyIndex, text: str) -> None:
    """Nothing is written over it: somebody may want to mend it."""
    index.path.parent.mkdir()
    index.path.write_text(text, encoding="utf-16" if text == "\N{SNOWMAN}" else "utf-8")
    before = index.path.read_bytes()

    with pytest.raises(ProxyError, match=r"can't be understood .*: remove it; the keys stay in the keyring"):
        index.add("b", FIRST)
    assert index.path.read_bytes() == before
