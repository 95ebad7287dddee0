"""Responses that are kept: at once in memory, soon on disk, and never in the way."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from real_cli import until
from stored import chain, item, record, rows, texts

from claude_proxy.errors import Unavailable
from claude_proxy.store.responses import ResponseStore

NOW = 2_000_000.0
DAY = 86_400

Make = Callable[..., ResponseStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where the file will be."""
    return tmp_path / "claude-proxy/responses.sqlite3"


@pytest.fixture
async def make(path: Path) -> AsyncIterator[Make]:
    """Make stores whose clock stands still; all are closed at the end."""
    made: list[ResponseStore] = []

    def make(where: Path | None = path, **fields: object) -> ResponseStore:
        made.append(ResponseStore(where, **{"clock": lambda: NOW, "days": 30, **fields}))  # type: ignore[arg-type]  # the test's own
        made[-1].start()
        return made[-1]

    yield make
    for store in made:
        await store.close()


def novel(path: Path) -> None:
    """Put something else where the file would be."""
    path.parent.mkdir()
    path.write_bytes(b"my novel, chapter one" * 100)


def written(store: ResponseStore) -> bool:
    """Say whether nothing waits any more."""
    return not store._waiting


async def test_it_is_found_at_once_and_after_it_was_written(make: Make, path: Path) -> None:
    """Who comes back at once need not wait for the disk."""
    store = make()
    a, b = chain("a", "b")
    for one in (a, b):
        store.keep(record(one.id, a if one is b else None, created=int(NOW)))
        assert await store.body(one.id, "me") == one.body
        assert not rows(path)
    early = await store.conversation("b", "me")
    await until(lambda: written(store))
    late = await store.conversation("b", "me")
    assert early is not None
    assert early == late
    assert texts(early.items) == ["a?", "a!", "b?", "b!"]
    assert await store.body("b", "me") == b.body
    assert rows(path)["responses"] == ["a", "b"]


async def test_the_latest_are_found_without_a_look_at_the_file(make: Make, path: Path) -> None:
    """Who goes on soon doesn't wait for the disk either; who is late does, and finds what isn't in memory any more."""
    store = make(most_recent_bytes=250)
    a, b, c = chain("a", "b", "c")
    for one in (a, b, c):
        store.keep(record(one.id, created=int(NOW), earlier=one.earlier))
    await until(lambda: written(store))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM responses").close()
    assert [await store.body(one, "me") is not None for one in "abc"] == [False, True, True]
    found = await store.conversation("c", "me")
    assert found is not None
    assert texts(found.items) == ["a?", "a!", "b?", "b!", "c?", "c!"]
    assert await store.body("c", "you") is None


async def test_a_conversation_tells_its_size(make: Make) -> None:
    """From memory what was counted when it was kept, from disk what it takes there: who keeps more of it counts on."""
    store, late = make(), make(most_recent_bytes=0)
    a, b = chain("a", "b")
    store.keep(record("b", a, created=int(NOW), size=4711))
    late.keep(record("d", created=int(NOW), input=(item("d" * 5000),)))
    late.keep(record("e", record("d"), created=int(NOW)))
    await until(lambda: written(store) and written(late))
    sizes = [await where.conversation(name, "me") for where, name in ((store, b.id), (late, "d"), (late, "e"))]
    known, d, e = (found.size for found in sizes if found)
    assert known == 4711
    assert 5000 < d < e < 6000


async def test_one_of_the_latest_is_deleted_and_grows_old_like_any_other(make: Make) -> None:
    """In memory and on disk."""
    store = make()
    store.keep(record("a", created=int(NOW)))
    store.keep(record("b", created=int(NOW) - DAY))
    await until(lambda: written(store))
    assert await store.delete("a", "you") is False
    assert await store.delete("a", "me") is True
    assert await store.body("a", "me") is None
    assert await store.body("b", "me") is not None
    store.days = 0
    assert await store.body("b", "me") is None


async def test_another_client_finds_nothing_early_or_late(make: Make) -> None:
    """Neither in memory nor on disk."""
    store = make()
    store.keep(record("a", created=int(NOW)))
    for wait in (True, False):
        assert await store.body("a", "you") is None
        assert await store.conversation("a", "you") is None
        assert not await store.delete("a", "you")
        if wait:
            await until(lambda: written(store))
    assert await store.body("a", "me")


async def test_no_file_is_made_to_find_nothing_in(make: Make, path: Path) -> None:
    """Nor to delete nothing from."""
    store = make()
    assert await store.body("a", "me") is None
    assert not await store.delete("a", "me")
    assert not rows(path)


@pytest.mark.parametrize("early", [True, False])
async def test_what_is_deleted_stays_away(make: Make, path: Path, *, early: bool) -> None:
    """Before it was written, and after."""
    store = make()
    store.keep(record("a", created=int(NOW)))
    store.keep(record("b", created=int(NOW)))
    if not early:
        await until(lambda: written(store))
    assert await store.delete("a", "me")
    assert not await store.delete("a", "me")
    await until(lambda: written(store))
    assert await store.body("a", "me") is None
    assert rows(path)["responses"] == ["b"]


async def test_what_is_deleted_while_it_is_written_goes_too(make: Make, path: Path) -> None:
    """The thread does one after the other."""
    store = make()
    store.keep(record("a", created=int(NOW)))
    store._begin_writing()
    assert await store.delete("a", "me")
    assert await store.body("a", "me") is None
    await store.close()
    assert rows(path).get("responses", []) == []


async def test_closing_writes_what_waits(make: Make, path: Path) -> None:
    """And a new server finds it."""
    store = make()
    store.keep(record("a", created=int(NOW)))
    await store.close()
    assert rows(path)["responses"] == ["a"]
    assert await make().body("a", "me")


async def test_without_a_path_nothing_is_on_disk(make: Make, path: Path) -> None:
    """And all else works."""
    store = make(None)
    assert await store.body("a", "me") is None
    for one in chain("a", "b"):
        store.keep(record(one.id, created=int(NOW)))
    await until(lambda: written(store))
    assert await store.body("b", "me")
    assert await store.delete("b", "me")
    assert not rows(path)


async def test_what_is_too_old_is_not_found_and_goes(make: Make, path: Path) -> None:
    """At the start, and every hour."""
    first = make()
    first.keep(record("old", created=int(NOW - 31 * DAY)))
    first.keep(record("new", created=int(NOW - 29 * DAY)))
    await until(lambda: written(first))
    assert await first.body("old", "me") is None
    assert await first.body("new", "me")
    assert rows(path)["responses"] == ["new", "old"]
    first.start()
    await until(lambda: rows(path)["responses"] == ["new"])


async def test_a_clock_that_jumps_ahead_deletes_nothing_that_is_young(make: Make, path: Path) -> None:
    """Somebody sets it right again, and what was kept is found; also one that was set back keeps nothing for ever."""
    times = [NOW]
    store = make(clock=lambda: times[-1])
    store.keep(record("young", created=int(NOW)))
    store.keep(record("old", created=int(NOW - 30 * DAY + 3600)))
    await until(lambda: written(store))
    times.append(NOW + 400 * DAY)
    store.start()
    await until(lambda: rows(path)["responses"] == ["young"])
    assert await store.body("young", "me") is None
    times.append(NOW)
    assert await store.body("young", "me")


async def test_days_may_change_and_0_keeps_none(make: Make, path: Path) -> None:
    """Also what was kept before is found no more, and goes."""
    first = make()
    first.keep(record("a", created=int(NOW)))
    await first.close()
    second = make(days=0)
    assert await second.body("a", "me") is None
    assert rows(path)["responses"] == []


async def test_the_oldest_go_where_it_is_too_much(make: Make, path: Path) -> None:
    """On disk."""
    store = make(most_bytes=300_000, most_recent_bytes=0)
    for number in range(10):
        store.keep(record(str(number), created=int(NOW) + number, output=(item("x" * 50_000),)))
    await until(lambda: written(store))
    assert await store.body("0", "me") is None
    assert await store.body("9", "me")
    assert 3 <= len(rows(path)["responses"]) <= 6


async def test_a_disk_that_cant_be_written_is_one_warning(
    make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Responses are found all the same, and written when the disk is there again."""
    path.parent.write_text("in the way")
    store = make()
    for name in ("a", "b"):
        store.keep(record(name, created=int(NOW)))
        store._begin_writing()
        await store._run(int)
        assert await store.body(name, "me")
        assert await store.conversation(name, "me")
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
    assert "can't be stored" in caplog.text
    path.parent.unlink()
    store.keep(record("c", created=int(NOW)))
    await until(lambda: written(store))
    assert rows(path)["responses"] == ["a", "b", "c"]


async def test_what_waits_has_a_limit(make: Make, path: Path) -> None:
    """The oldest go, but never the newest, however large."""
    path.parent.write_text("in the way")
    store = make(most_waiting_bytes=250)
    for name in ("a", "b", "c"):
        store.keep(record(name, created=int(NOW)))
    assert [await store.body(name, "me") is not None for name in ("a", "b", "c")] == [False, True, True]
    store.keep(record("d", created=int(NOW), size=1000))
    assert [await store.body(name, "me") is not None for name in ("b", "c", "d")] == [False, False, True]


async def test_a_locked_file_only_delays(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another program holds it: what was kept is found meanwhile, and written later."""
    store = make()
    store.keep(record("a", created=int(NOW)))
    await until(lambda: written(store))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        store.keep(record("b", created=int(NOW)))
        store._begin_writing()
        await store._run(int)
        assert "locked" in caplog.text
        assert await store.body("a", "me")
        assert await store.body("b", "me")
    store._begin_writing()
    await until(lambda: written(store))
    assert rows(path)["responses"] == ["a", "b"]


async def test_a_file_that_cant_be_read_is_said(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither "not found" nor "deleted" would be true."""
    novel(path)
    store = make()
    for asked in (store.body("a", "me"), store.conversation("a", "me"), store.delete("a", "me")):
        with pytest.raises(Unavailable, match="can't be read"):
            await asked
    assert "old responses can't be taken out" in caplog.text


async def test_several_are_written_together(make: Make, path: Path) -> None:
    """One timer runs, however many come."""
    store = make()
    store.keep(record("a", created=int(NOW)))
    timer = store._writing
    store.keep(record("b", created=int(NOW)))
    assert store._writing is timer
    await until(lambda: written(store))
    assert rows(path)["responses"] == ["a", "b"]
    await asyncio.sleep(0)
    assert store._writing is None


async def test_writing_when_nothing_waits_makes_no_file(make: Make, path: Path) -> None:
    """What was deleted before the timer ran."""
    store = make()
    store._begin_writing()
    await store._run(int)
    assert not rows(path)
