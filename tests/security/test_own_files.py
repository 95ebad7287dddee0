"""Every file that we write: its owner's alone under any umask, and never somebody else's through a planted link."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from claude_proxy.backends.claude_cli import probe
from claude_proxy.backends.claude_cli.backend import ClaudeCli
from claude_proxy.cli.key_index import KeyIndex
from claude_proxy.cli.logfile import LogFile
from claude_proxy.config.schema import ClaudeCliConfig
from claude_proxy.errors import ProxyError
from claude_proxy.ledger.database import Database as Usage
from claude_proxy.service import install
from claude_proxy.store.database import Database as Responses

Write = Callable[[Path], object]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def log(path: Path) -> None:
    """Write a line of the log."""
    with contextlib.closing(LogFile(path, 0)) as file:
        file.write("a line\n")


WRITERS: dict[str, Write] = {
    "the log": log,
    "responses": lambda path: Responses(path).close(),
    "usage": lambda path: Usage(path).close(),
    "what a CLI does": lambda path: probe._store(path, b"{}"),
    "the names of keys": lambda path: KeyIndex(path).add("console", NOW),
    "the service": lambda path: install._write(path, "[Unit]"),
}
DATABASES = {"responses", "usage"}


@pytest.fixture(params=[0o000, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run with the most careless umask, and with a careful one."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_what_is_written_is_its_owner_s_alone(tmp_path: Path, umask: int, write: Write) -> None:
    """0600 in a folder of 0700, and so is what is made above it."""
    path = tmp_path / "above" / "ours" / "file"
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_nothing_is_written_through_a_link(tmp_path: Path, write: Write) -> None:
    """Whoever could write in the folder once may have planted one, to a file of the user's."""
    target, path = tmp_path / "bashrc", tmp_path / "ours" / "file"
    target.write_bytes(b"mine")
    target.chmod(0o644)
    path.parent.mkdir()
    path.symlink_to(target)
    # Refused, or replaced by a file of ours.
    with contextlib.suppress(OSError, ProxyError):
        write(path)
        assert not path.is_symlink()
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"mine", 0o644)


@pytest.mark.parametrize("kind", ["wal", "shm", "journal"])
@pytest.mark.parametrize("name", sorted(DATABASES))
def test_no_database_has_a_link_beside_it(tmp_path: Path, name: str, kind: str) -> None:
    """SQLite writes those by their names."""
    target = tmp_path / "bashrc"
    target.write_bytes(b"mine")
    (tmp_path / f"file-{kind}").symlink_to(target)
    with pytest.raises(OSError, match=f"file-{kind}"):
        WRITERS[name](tmp_path / "file")
    assert target.read_bytes() == b"mine"


async def test_the_cli_s_folder_is_private(tmp_path: Path, umask: int) -> None:
    """Nobody else can put there what a CLI may read of the folder that it runs in."""
    folder = tmp_path / "above" / "cwd"
    backend = ClaudeCli(ClaudeCliConfig(warm=0), environment={"HOME": str(tmp_path)}, workdir=folder)
    await backend.start()
    await backend.close()
    assert {stat.S_IMODE(one.stat().st_mode) for one in (folder, folder.parent)} == {0o700}
    assert list(folder.iterdir()) == []


def test_what_others_could_have_written_of_a_cli_is_not_believed(tmp_path: Path) -> None:
    """It would say that a CLI is safe which isn't: it is asked again."""
    path = tmp_path / "probe-1.json"
    probe._store(path, b'{"version":"1"}')
    path.chmod(0o666)
    assert probe._load(path) is None
