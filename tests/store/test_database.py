"""Responses on disk."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from stored import chain, item, record, rows, texts

from claude_proxy.store.database import Database

LONG_AGO = 0.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where a file can be."""
    return tmp_path / "share/claude-proxy/responses.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """Give a new file, open."""
    opened = Database(path)
    yield opened
    opened.close()


def mode(path: Path) -> int:
    """Give a file's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def test_r06_a_response_comes_back_as_it_was(database: Database) -> None:
    """R06: its JSON to the byte, its conversation item by item."""
    database.add([record("a", body=b'{"id" : "a"}')])
    assert database.body("a", "me", LONG_AGO) == b'{"id" : "a"}'
    found = database.conversation("a", "me", LONG_AGO)
    assert found is not None
    assert (found.input, found.output) == ((item("a?"),), (item("a!"),))


def test_r06_another_client_finds_nothing(database: Database) -> None:
    """R06: and can't delete it."""
    database.add([record("a")])
    assert database.body("a", "you", LONG_AGO) is None
    assert database.conversation("a", "you", LONG_AGO) is None
    assert not database.delete("a", "you")
    assert database.body("a", "me", LONG_AGO)


def test_a_conversation_is_the_whole_chain_and_stored_once(database: Database, path: Path) -> None:
    """Each turn has its own items only, so long conversations take no more space than their words."""
    database.add(chain("a", "b", "c"))
    found = database.conversation("c", "me", LONG_AGO)
    assert found is not None
    assert texts(found.input) == ["a?", "a!", "b?", "b!", "c?"]
    assert texts(found.items) == ["a?", "a!", "b?", "b!", "c?", "c!"]
    reader = sqlite3.connect(path)
    assert [len(asked) for (asked,) in reader.execute("SELECT input FROM turns")] == [
        len('[{"id":"msg_1","type":"message","role":"user","content":"a?"}]')
    ] * 3
    reader.close()


def test_a_deleted_response_leaves_the_later_ones_whole(database: Database, path: Path) -> None:
    """Its turn goes with the last one that needs it."""
    database.add(chain("a", "b", "c"))
    assert database.delete("b", "me")
    assert not database.delete("b", "me")
    assert rows(path) == {"responses": ["a", "c"], "turns": ["a", "b", "c"]}
    found = database.conversation("c", "me", LONG_AGO)
    assert found is not None
    assert texts(found.items) == ["a?", "a!", "b?", "b!", "c?", "c!"]
    assert database.delete("c", "me")
    assert rows(path) == {"responses": ["a"], "turns": ["a"]}
    assert database.delete("a", "me")
    assert rows(path) == {"responses": [], "turns": []}


def test_a_branched_conversation_keeps_what_the_other_branch_needs(database: Database, path: Path) -> None:
    """Two answers to go on from one response."""
    first = record("a")
    database.add([first, record("b", first), record("c", first)])
    assert database.delete("a", "me")
    assert database.delete("b", "me")
    assert rows(path) == {"responses": ["c"], "turns": ["a", "c"]}


def test_a_response_whose_parent_is_gone_holds_it_all_itself(database: Database) -> None:
    """Deleted while the next one was being made, say."""
    first, second = chain("a", "b")
    database.add([first])
    database.delete("a", "me")
    database.add([second])
    found = database.conversation("b", "me", LONG_AGO)
    assert found is not None
    assert texts(found.items) == ["a?", "a!", "b?", "b!"]


def test_all_or_nothing_is_added(database: Database, path: Path) -> None:
    """A record that can't be written takes those with it that came along."""
    with pytest.raises(sqlite3.Error):
        database.add([record("a"), record("b", client=object())])
    assert rows(path) == {"responses": [], "turns": []}
    database.add([record("a")])
    database.add([record("a")])  # tried again after a failure that wasn't one
    assert rows(path) == {"responses": ["a"], "turns": ["a"]}


def test_what_is_too_old_goes_and_is_not_found_before(database: Database, path: Path) -> None:
    """A conversation that goes on keeps the turns that it needs."""
    first, second, alone = record("a", created=10), None, record("x", created=10)
    second = record("b", first, created=20)
    database.add([first, second, alone])
    assert database.body("a", "me", 15) is None
    assert database.conversation("a", "me", 15) is None
    database.expire(15)
    assert rows(path) == {"responses": ["b"], "turns": ["a", "b"]}
    database.expire(25)
    assert rows(path) == {"responses": [], "turns": []}


def test_the_oldest_go_where_it_is_too_much(database: Database, path: Path) -> None:
    """And the file becomes smaller."""
    large = "x" * 20_000
    for number in range(60):
        database.add([record(f"r{number:02}", created=number, output=(item(large),))])
    most = database.used_bytes() // 2
    database.trim(10 * most)
    assert len(rows(path)["responses"]) == 60
    database.trim(most)
    assert database.used_bytes() <= most
    left = rows(path)
    assert left["responses"] == left["turns"] == [f"r{number:02}" for number in range(60 - len(left["turns"]), 60)]
    assert 15 <= len(left["turns"]) < 30
    assert path.stat().st_size == database.used_bytes()


def test_a_limit_that_nothing_fits_ends(database: Database, path: Path) -> None:
    """Even an empty file takes some bytes."""
    database.add([record("a")])
    database.trim(1)
    assert rows(path) == {"responses": [], "turns": []}


def test_what_is_deleted_is_on_disk_no_more(database: Database, path: Path) -> None:
    """Neither in the file nor in the log beside it."""
    database.add([record("a", output=(item("the-secret-word"),)), record("b")])
    assert any(b"the-secret-word" in one.read_bytes() for one in path.parent.iterdir())
    database.delete("a", "me")
    assert not any(b"the-secret-word" in one.read_bytes() for one in path.parent.iterdir())


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_only_the_owner_may_read_it(path: Path, umask: int) -> None:
    """Whatever the umask: the file, those beside it, and the folder."""
    path.parent.parent.mkdir()
    before = os.umask(umask)
    try:
        database = Database(path)
        database.add([record("a")])
        files = sorted(path.parent.iterdir())
        assert [(file.name, mode(file)) for file in files] == [
            ("responses.sqlite3", 0o600),
            ("responses.sqlite3-shm", 0o600),
            ("responses.sqlite3-wal", 0o600),
        ]
        assert mode(path.parent) == 0o700
        database.close()
    finally:
        os.umask(before)


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    """It may come from a backup."""
    Database(path).close()
    path.chmod(0o644)
    path.parent.chmod(0o755)
    Database(path).close()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_it_is_there_after_a_restart(path: Path) -> None:
    """What was added and closed."""
    first = Database(path)
    first.add([record("a")])
    first.close()
    second = Database(path)
    assert second.body("a", "me", LONG_AGO) == b'{"id": "a"}'
    second.close()


def test_two_servers_can_share_the_file(database: Database, path: Path) -> None:
    """On two ports, say: each finds what the other has kept."""
    other = Database(path)
    other.add([record("a")])
    database.add(chain("a", "b"))
    assert other.body("b", "me", LONG_AGO)
    other.close()


def test_a_file_of_a_later_version_is_left_alone(path: Path) -> None:
    """Nobody knows what is in it."""
    Database(path).close()
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version=2")
    later.close()
    with pytest.raises(sqlite3.DatabaseError, match="a later version of claude-proxy"):
        Database(path)


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    """It is somebody's."""
    path.parent.mkdir(parents=True)
    path.write_text("my novel, chapter one" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        Database(path)
    assert path.read_text().startswith("my novel")


def test_a_full_disk_leaves_what_was_there(database: Database, path: Path) -> None:
    """SQLite says so, and the next one that fits is written."""
    database.add([record("a")])
    pages = database._number("page_count")
    database._db.execute(f"PRAGMA max_page_count={pages + 4}").close()
    with pytest.raises(sqlite3.OperationalError, match="full"):
        database.add([record("b", output=(item("x" * 100_000),))])
    database.add([record("c")])
    assert rows(path)["responses"] == ["a", "c"]


def test_without_a_path_it_is_in_memory() -> None:
    """For demonstrations."""
    database = Database()
    database.add(chain("a", "b"))
    assert database.conversation("b", "me", LONG_AGO)
    assert database.delete("b", "me")
    database.expire(2000)
    assert database.body("a", "me", LONG_AGO) is None
    database.close()
