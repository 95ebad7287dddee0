"""The log in files."""

import logging
import stat
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


def test_it_is_where_the_platform_keeps_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the user's own folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    assert tmp_path in log_path().parents
