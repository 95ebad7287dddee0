"""The ledger's file: written soon and together, private, and never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledger_entries import NOW, entry

from claude_proxy.ledger import store
from claude_proxy.ledger.database import Database
from claude_proxy.ledger.entry import Entry
from claude_proxy.ledger.store import Ledger, read_usage, usage_path

DAY = 86_400.0

Make = Callable[..., Ledger]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where the file will be."""
    return tmp_path / "claude-proxy/usage.sqlite3"


@pytest.fixture
async def make(path: Path) -> AsyncIterator[Make]:
    """Make ledgers whose clock stands still; all are closed at the end."""
    made: list[Ledger] = []

    def make(where: Path | None = path) -> Ledger:
        made.append(Ledger(where, clock=lambda: NOW))
        return made[-1]

    yield make
    for ledger in made:
        await ledger.close()


def rows(path: Path) -> list[tuple[Any, ...]]:
    """Give what is in the file; nothing where there is none."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(f"SELECT {', '.join(Entry._fields)} FROM turns ORDER BY rowid").fetchall()


def files(path: Path) -> dict[str, tuple[int, bytes]]:
    """Give the mode and the content of all that is beside a file, itself included."""
    found = path.parent.iterdir() if path.parent.exists() else ()
    return {one.name: (stat.S_IMODE(one.stat().st_mode), one.read_bytes()) for one in found}


async def written(ledger: Ledger) -> None:
    """Write what waits, now, and wait until that is done."""
    ledger._begin_writing()
    await ledger._run(int)


def requests(usage: dict[str, Any]) -> int:
    """Give how many turns a usage object knows of this month."""
    found: int = usage["month"]["total"]["requests"]
    return found


async def test_every_column_is_kept(make: Make, path: Path) -> None:
    """And what the upstream didn't say is no number."""
    ledger = make()
    whole = Entry(NOW, "messages", "claude-cli", "work", "claude-opus-5-5", 200, 2.5, 0.1, 0.7, 1, 2, 3, 4, 1)
    bare = entry(input_tokens=None, output_tokens=None, status=502)
    for one in (whole, bare):
        ledger.note(one)
    await written(ledger)

    assert rows(path) == [tuple(whole), tuple(bare)]


async def test_several_are_written_together_within_a_second(make: Make, path: Path) -> None:
    """One timer runs, however many come."""
    ledger = make()
    ledger.note(entry())
    timer = ledger._writing
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() < 1
    ledger.note(entry())
    assert ledger._writing is timer
    assert rows(path) == []
    await written(ledger)
    assert len(rows(path)) == 2
    assert ledger._writing is None


async def test_closing_writes_what_waits(make: Make, path: Path) -> None:
    """And the next server goes on from there."""
    first = make()
    first.note(entry())
    await first.close()
    assert len(rows(path)) == 1
    second = make()
    second.note(entry())
    assert requests(await second.usage()) == 2


async def test_the_file_is_the_users_alone(make: Make, path: Path) -> None:
    """With all that SQLite puts beside it."""
    ledger = make()
    ledger.note(entry())
    await written(ledger)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {name: mode for name, (mode, _) in files(path).items()}
    assert modes == dict.fromkeys(("usage.sqlite3", "usage.sqlite3-wal", "usage.sqlite3-shm"), 0o600)


async def test_no_file_is_made_to_find_nothing_in(make: Make, path: Path) -> None:
    """Nor to write nothing to."""
    ledger = make()
    assert requests(await ledger.usage()) == 0
    await written(ledger)
    await ledger.close()
    assert files(path) == {}


async def test_usage_is_up_to_now(make: Make) -> None:
    """What isn't written yet counts, too; of today only what is of today."""
    ledger = make()
    ledger.note(entry(at=NOW - 3 * DAY, status=500, backend="claude-api-key"))
    ledger.note(entry(status=499, profile="work"))
    found = await ledger.usage()
    assert [(row["backend"], row["failed"]) for row in found["month"]["models"]] == [
        ("claude-api-key", 1),
        ("claude-cli/work", 0),
    ]
    assert found["today"]["total"]["requests"] == 1
    assert found["today"]["total"]["input_tokens"] == 10


async def test_a_long_prompt_is_found_by_all_its_tokens(make: Make) -> None:
    """What is cached is a part of the prompt."""
    ledger = make()
    ledger.note(entry(model="claude-haiku-5-5", input_tokens=0, cache_read_tokens=60_000, cache_write_tokens=40_000))
    ledger.note(entry(model="claude-haiku-5-5", input_tokens=1, cache_read_tokens=60_000, cache_write_tokens=40_000))
    (row,) = (await ledger.usage())["today"]["models"]
    assert row["requests"] == 2
    short = (60_000 * 0.01 + 40_000 * 0.125 + 20 * 0.5) / 1e6
    long = (0.5 + 60_000 * 0.05 + 40_000 * 0.625 + 20 * 2.5) / 1e6
    assert row["list_price_usd"] == pytest.approx(short + long, abs=1e-6)


async def test_what_is_old_goes(make: Make, path: Path) -> None:
    """After more than a year, when the file is opened."""
    first = make()
    first.note(entry(at=NOW - 399 * DAY))
    first.note(entry(at=NOW - 401 * DAY))
    await first.close()
    second = make()
    second.note(entry())
    await written(second)
    assert [row[0] for row in rows(path)] == [NOW - 399 * DAY, NOW]


async def test_without_a_path_it_is_in_memory(make: Make, tmp_path: Path) -> None:
    """The demo's leaves nothing behind."""
    ledger = make(None)
    for _ in range(2):
        ledger.note(entry())
        assert requests(await ledger.usage())
    await ledger.close()
    assert files(tmp_path / "any") == {}


async def test_a_disk_that_cant_be_written_is_one_warning(
    make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Turns count all the same, and are written when the disk is there again."""
    path.parent.write_text("in the way")
    ledger = make()
    for number in (1, 2):
        ledger.note(entry())
        await written(ledger)
        assert requests(await ledger.usage()) == number
    assert [one.levelno for one in caplog.records] == [logging.WARNING]
    assert "usage can't be written" in caplog.text
    path.parent.unlink()
    ledger.note(entry())
    await written(ledger)
    assert len(rows(path)) == 3


async def test_a_full_disk_is_one_warning(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was there is still there, and nothing is written by halves."""
    ledger = make()
    ledger.note(entry())
    await written(ledger)
    assert ledger._database is not None
    db = ledger._database._db
    db.execute("PRAGMA max_page_count=1").fetchall()
    for _ in range(2):
        for _ in range(500):
            ledger.note(entry(model="x" * 200))
        await written(ledger)
    assert "is full" in caplog.text
    assert len(caplog.records) == 1
    assert len(rows(path)) == 1
    db.execute("PRAGMA max_page_count=100000").fetchall()
    await written(ledger)
    assert len(rows(path)) == 1001


async def test_what_waits_has_a_limit(make: Make, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go."""
    monkeypatch.setattr(store, "MOST_WAITING", 3)
    path.parent.write_text("in the way")
    ledger = make()
    for status in (200, 201, 202, 203):
        ledger.note(entry(status=status))
    await written(ledger)
    assert [one.status for one in ledger._unwritten] == [201, 202, 203]


async def test_a_locked_file_only_delays(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another program holds it, for a while."""
    ledger = make()
    ledger.note(entry())
    await written(ledger)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ledger.note(entry())
        await written(ledger)
        assert "locked" in caplog.text
    await written(ledger)
    assert len(rows(path)) == 2


async def test_a_later_versions_file_is_left_alone(make: Make, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It may be somebody's who went back to an older version: what is in it must stay what it is."""
    with closing(Database(path)) as database:
        database._db.execute("PRAGMA user_version=99")
    ledger = make()
    ledger.note(entry())
    await written(ledger)
    assert "a later version of claude-proxy has written it" in caplog.text
    assert requests(await ledger.usage()) == 1
    assert rows(path) == []
    assert read_usage(path, NOW) == {
        "enabled": False,
        "problem": f"{path} can't be read: a later version of claude-proxy has written it",
    }


async def test_a_killed_server_loses_only_what_wasnt_written(path: Path) -> None:
    """What it had written is read at once, and the next server goes on with it."""
    script = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from ledger_entries import entry; from claude_proxy.ledger.store import Ledger\n"
        "async def main():\n"
        "    ledger = Ledger(Path(sys.argv[1])); ledger.note(entry())\n"
        "    ledger._begin_writing(); await ledger._run(int)\n"
        "    ledger.note(entry()); os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script, str(path)], cwd=Path(__file__).parent, check=False
    )
    assert killed.returncode == -9
    assert requests(read_usage(path, NOW)) == 1
    after = Ledger(path, clock=lambda: NOW)
    after.note(entry())
    await after.close()
    assert requests(read_usage(path, NOW)) == 2


async def test_reading_changes_nothing(make: Make, path: Path) -> None:
    """The `status` command reads it beside a server that runs, or after one."""
    assert read_usage(path, NOW) == {"enabled": False}
    ledger = make()
    ledger.note(entry())
    await written(ledger)
    assert read_usage(path, NOW) == await ledger.usage()
    await ledger.close()
    before = files(path)[path.name]
    assert requests(read_usage(path, NOW)) == 1
    assert files(path)[path.name] == before


def test_a_file_that_is_something_else_is_said(path: Path) -> None:
    """In one line."""
    path.parent.mkdir()
    path.write_bytes(b"my novel, chapter one" * 100)
    assert read_usage(path, NOW)["problem"].startswith(f"{path} can't be read: ")


def test_it_is_in_the_users_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the platform has it."""
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert usage_path().name == "usage.sqlite3"
    assert usage_path().parent.name == "claude-proxy"
