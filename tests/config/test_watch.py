"""A file that changes in all the ways in which people and programs change one; the watch is the real one."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claude_proxy.config import watch as watching
from claude_proxy.config.watch import Version, Watch, folders, version

Told = queue.SimpleQueue[Version]
_PATIENCE = 20.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the path of a file that isn't there, nor its folder."""
    return tmp_path / "home" / "app" / "config.yaml"


@pytest.fixture
def told(file: Path) -> Iterator[Told]:
    """Watch it; each version that is told of arrives here."""
    heard: Told = queue.SimpleQueue()
    watch = Watch(file, version(file), lambda: heard.put(version(file)))
    watch.start()
    yield heard
    watch.close()
    assert not watch._thread.is_alive()


def wait_for(told: Told, expected: Version) -> None:
    """Wait until a version has been told of; those on the way to it may have been, too."""
    while told.get(timeout=_PATIENCE) != expected:
        pass


def write(file: Path, text: str) -> None:
    """Write a file, and its folder where it isn't there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def put_in_place(file: Path, make: Callable[[Path], object]) -> None:
    """Put what ``make`` makes in the place of a file, at once."""
    fresh = file.with_name("fresh")
    make(fresh)
    fresh.replace(file)


def test_a_file_that_comes_late_with_its_folders(file: Path, told: Told) -> None:
    """As on a machine where nothing is configured yet."""
    write(file, "a")

    wait_for(told, version(file))


def test_a_file_that_is_written_replaced_and_taken_away(file: Path, told: Told) -> None:
    """Some editors write into the file, others put another one there; and back it comes."""
    for text in ("a", "bb"):
        write(file, text)
        wait_for(told, version(file))
    put_in_place(file, lambda fresh: fresh.write_text("ccc"))
    wait_for(told, version(file))
    file.unlink()
    wait_for(told, None)
    write(file, "dddd")
    wait_for(told, version(file))


def test_a_folder_that_goes_away_and_comes_back(file: Path, told: Told) -> None:
    """Taken out, and put elsewhere as a whole: of that, nothing tells but a look."""
    write(file, "a")
    wait_for(told, version(file))
    shutil.rmtree(file.parent.parent)
    wait_for(told, None)
    write(file, "bb")
    wait_for(told, version(file))
    file.parent.parent.rename(file.parents[2] / "old")
    write(file, "ccc")
    wait_for(told, version(file))
    write(file, "dddd")
    wait_for(told, version(file))


def test_a_link_that_is_turned_as_home_manager_does(file: Path, told: Told, tmp_path: Path) -> None:
    """The link is another one, in the folder that is watched; the file that it leads to is watched, too."""
    for name in ("one", "three", "seventh"):
        target = tmp_path / "store" / name / "config.yaml"
        write(target, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        put_in_place(file, lambda fresh, target=target: fresh.symlink_to(target))  # type: ignore[misc]
        wait_for(told, version(file))
    (tmp_path / "store" / "seventh" / "config.yaml").write_text("more")
    wait_for(told, version(file))


def test_a_folder_that_is_turned_as_kubernetes_does(file: Path, told: Told) -> None:
    """The file's own link stays as it is: it leads through another one, and that is turned."""
    file.parent.mkdir(parents=True)
    file.symlink_to("..data/config.yaml")
    for name in ("..1", "..22", "..333"):
        write(file.parent / name / "config.yaml", name)
        put_in_place(file.parent / "..data", lambda fresh, name=name: fresh.symlink_to(name))  # type: ignore[misc]
        wait_for(told, version(file))


def test_a_change_before_the_watch_began_is_told(file: Path) -> None:
    """Between the server's first look at the file and its watch, time goes by."""
    write(file, "a")
    heard: Told = queue.SimpleQueue()
    watch = Watch(file, None, lambda: heard.put(version(file)))
    watch.start()

    wait_for(heard, version(file))
    watch.close()


def test_without_a_way_to_be_told_it_looks(
    file: Path, told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A machine has only so many watches to give."""

    def none_left(path: Path) -> dict[Path, Version]:
        raise OSError(28, "no watches left")

    write(file, "a")
    wait_for(told, version(file))
    monkeypatch.setattr(watching, "folders", none_left)
    put_in_place(file, lambda fresh: fresh.write_text("bb"))
    wait_for(told, version(file))
    put_in_place(file, lambda fresh: fresh.write_text("ccc"))
    wait_for(told, version(file))


def test_a_watch_that_fails_says_how_to_go_on(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for a change that will never be told."""
    monkeypatch.setattr(watching, "folders", lambda _: 1 / 0)
    watch = Watch(file, None, print)
    watch.start()
    watch._thread.join(_PATIENCE)

    assert "config.yaml isn't watched any more: send SIGHUP to have it read again" in caplog.text


def test_the_folders_watched_are_those_in_which_the_way_can_change(file: Path, tmp_path: Path) -> None:
    """Of the file, of each link, or where the first missing name can appear; one in place of another is another."""
    assert list(folders(file)) == [tmp_path]
    (tmp_path / "real").mkdir()
    (tmp_path / "home").symlink_to("real/../real")
    assert list(folders(file)) == [tmp_path, tmp_path / "real"]
    write(file, "a")
    before = folders(file)
    assert list(before) == [tmp_path, tmp_path / "real" / "app"]
    file.parent.rename(tmp_path / "old")
    file.parent.mkdir()
    assert list(folders(file)) == list(before)
    assert folders(file) != before


def test_links_that_lead_in_a_circle_end_somewhere(tmp_path: Path) -> None:
    """As a file that isn't there."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    assert list(folders(tmp_path / "a" / "config.yaml")) == [tmp_path]
    assert version(tmp_path / "a") is None


def test_a_relative_path_is_below_the_folder_we_are_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``--config config.yaml`` names one."""
    monkeypatch.chdir(tmp_path)

    assert list(folders(Path("config.yaml"))) == [tmp_path]
