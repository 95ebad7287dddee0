"""The log in files."""

import logging
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claude_proxy.cli.logfile import LogFile, log_path


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """Folder and file are private from the start."""
    path = tmp_path / "logs" / "x.log"
    LogFile(path, 0).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_stays_below_its_size(tmp_path: Path) -> None:
    """The newest lines are kept, the oldest go."""
    log = LogFile(tmp_path / "x.log", 500)
    for number in range(100):
        log.write(f"line {number:04}\n")
    log.close()
    files = sorted(tmp_path.iterdir())

    assert [path.name for path in files] == ["x.log", "x.log.1", "x.log.2", "x.log.3", "x.log.4"]
    assert sum(path.stat().st_size for path in files) <= 500
    assert "".join(path.read_text() for path in reversed(files)).splitlines() == [
        f"line {number:04}" for number in range(50, 100)
    ]


def test_without_a_size_it_only_grows(tmp_path: Path) -> None:
    """0 means never."""
    log = LogFile(tmp_path / "x.log", 0)
    for _ in range(1000):
        log.write("line\n")
    log.close()

    assert (tmp_path / "x.log").stat().st_size == 5000
    assert len(list(tmp_path.iterdir())) == 1


def test_it_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    """A restart keeps the log, and its size counts."""
    for text in ("one\n", "two\n"):
        log = LogFile(tmp_path / "x.log", 25)
        log.write(text)
        log.close()

    assert (tmp_path / "x.log").read_text() == "two\n"
    assert (tmp_path / "x.log.1").read_text() == "one\n"


def test_logging_writes_to_it(tmp_path: Path) -> None:
    """It is a stream as logging needs one, and odd text can't break it."""
    log = LogFile(tmp_path / "x.log", 1000)
    handler = logging.StreamHandler(log)
    handler.emit(logging.LogRecord("x", logging.INFO, "x.py", 1, "a\udc80\u00e9", (), None))

    assert (tmp_path / "x.log").read_text(encoding="utf-8") == "a\\udc80é\n"
    log.close()


@pytest.fixture
def full_at_10_bytes() -> Iterator[Callable[[], None]]:
    """Let no file of this process grow above 10 bytes, until told that there is room again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_whole_lines_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], full_at_10_bytes: Callable[[], None]
) -> None:
    """Nothing is raised, no half a line stays, and with room the log goes on."""
    log = LogFile(tmp_path / "x.log", 0)
    for line in ("one\n", "this is too long\n", "and this\n"):
        log.write(line)
    full_at_10_bytes()
    log.write("two\n")
    log.close()

    assert (tmp_path / "x.log").read_text() == "one\ntwo\n"
    assert capsys.readouterr().err.count("lines are lost") == 1


def test_a_next_file_that_can_not_be_made_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no more files can be opened, the log goes on when they can."""
    log = LogFile(tmp_path / "x.log", 25)
    log.write("one\n")
    (tmp_path / "x.log.4").mkdir()
    (tmp_path / "x.log.3").touch()
    log.write("two\n")
    (tmp_path / "x.log.4").rmdir()
    log.write("three\n")
    log.close()

    assert (tmp_path / "x.log").read_text() == "three\n"
    assert "lines are lost" in capsys.readouterr().err


def test_it_is_where_the_platform_keeps_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the user's own folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    assert tmp_path in log_path().parents
