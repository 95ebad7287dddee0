"""Private files: nobody else's to read or write, and no link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_proxy.files import missing_folders, open_private, private_folder, read_private, refuse_link, write_private

APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def mode(path: Path) -> int:
    """Give a path's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run with each umask that there is, from the most careless to the most careful."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_every_folder_that_is_made_is_private(tmp_path: Path, umask: int) -> None:
    """Also those above it: who can write there could put another one in its place."""
    private_folder(tmp_path / "state" / "more" / "ours")
    for name in ("state", "state/more", "state/more/ours"):
        assert mode(tmp_path / name) == 0o700


def test_a_folder_that_others_could_write_is_taken_from_them(tmp_path: Path) -> None:
    """Those above it are the user's own affair."""
    folder = tmp_path / "above" / "ours"
    folder.mkdir(parents=True)
    for one in (folder, folder.parent):
        one.chmod(0o777)
    private_folder(folder)
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o777)


def test_files_are_private(tmp_path: Path, umask: int) -> None:
    """From the first moment, whichever way they are written."""
    os.close(open_private(tmp_path / "log", APPEND))
    write_private(tmp_path / "cache" / "report", b"{}")
    assert mode(tmp_path / "log") == mode(tmp_path / "cache" / "report") == 0o600


def test_a_file_that_others_could_read_is_taken_from_them(tmp_path: Path) -> None:
    """It may have been made by a careless hand."""
    path = tmp_path / "log"
    path.touch(mode=0o666)
    path.chmod(0o666)
    os.close(open_private(path, APPEND))
    assert mode(path) == 0o600


def test_no_link_is_written_through(tmp_path: Path) -> None:
    """One that was planted would have us write into a file of the user's."""
    target, link = tmp_path / "bashrc", tmp_path / "log"
    target.write_bytes(b"mine")
    link.symlink_to(target)
    with pytest.raises(OSError, match="log"):
        open_private(link, APPEND)
    with pytest.raises(OSError, match="link"):
        refuse_link(link)
    write_private(link, b"ours")
    assert (target.read_bytes(), link.read_bytes(), link.is_symlink()) == (b"mine", b"ours", False)


def test_what_is_no_file_is_not_written(tmp_path: Path) -> None:
    """A pipe that was planted would have somebody read along, or keep us waiting until somebody does."""
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError, match="log"):
        open_private(tmp_path / "log", APPEND)
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="no regular file"):
        open_private(tmp_path / "log", APPEND)
    os.close(reader)


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    """What was there stays, and no half file lies beside it."""
    path = tmp_path / "report"
    path.mkdir()
    with pytest.raises(OSError, match="report"):
        write_private(path, b"{}")
    assert list(tmp_path.iterdir()) == [path]


def test_what_only_its_owner_can_write_is_read(tmp_path: Path) -> None:
    """The usual case."""
    write_private(tmp_path / "report", b"{}")
    assert read_private(tmp_path / "report") == b"{}"


def test_what_others_can_write_is_not_believed(tmp_path: Path) -> None:
    """Nor what stands behind a link, nor a pipe that would keep us waiting."""
    write_private(tmp_path / "report", b"{}")
    (tmp_path / "link").symlink_to(tmp_path / "report")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "open").touch()
    (tmp_path / "open").chmod(0o666)
    for name in ("link", "pipe", "open"):
        with pytest.raises(OSError, match=name):
            read_private(tmp_path / name)


def test_no_link_is_no_problem(tmp_path: Path) -> None:
    """A file that is there, or isn't, is none."""
    (tmp_path / "file").touch()
    refuse_link(tmp_path / "file")
    refuse_link(tmp_path / "nothing")


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path, umask: int) -> None:
    """Where others keep their files, too, only what is missing is made."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    missing_folders(shared / "more")
    assert (mode(shared), mode(shared / "more")) == (0o755, 0o700)
