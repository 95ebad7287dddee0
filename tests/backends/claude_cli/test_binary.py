"""Which ``claude`` is used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from real_cli import is_alive

from claude_proxy.backends.claude_cli import binary
from claude_proxy.backends.claude_cli.binary import (
    MIN_VERSION,
    Binary,
    candidates,
    find_binary,
    known_binary,
    launcher,
    read_version,
)
from claude_proxy.errors import Unavailable


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test ask anew."""
    monkeypatch.setattr(binary, "_known", {})
    monkeypatch.setattr(binary, "_failed", {})


@pytest.fixture
def not_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ``cli`` extra not be installed."""
    monkeypatch.setattr(binary, "_bundled", tuple)


def make(folder: Path, says: str, *, name: str = "claude", before: str = "") -> str:
    """Write a stand-in that says its version, and counts how often it was asked."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{before}\necho asked >> {folder}/asked\nprintf '{says}\\n'\n")
    path.chmod(0o755)
    return str(path)


def times_asked(path: str) -> int:
    """Count the runs of a stand-in."""
    return (Path(path).parent / "asked").read_text().count("asked")


def test_the_configured_binary_is_used(tmp_path: Path) -> None:
    """A version above the least is taken, and told."""
    path = make(tmp_path, "9.0.1 (Claude Code)")
    assert find_binary(path) == Binary(path, "9.0.1")


def test_the_least_version_is_new_enough(tmp_path: Path) -> None:
    """It is the first that can be told not to read files named in a message (K04)."""
    version = ".".join(map(str, MIN_VERSION))
    assert find_binary(make(tmp_path, f"{version} (Claude Code)")).version == version


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    """2.10.0 comes after 2.9.0, whatever the letters say."""
    assert find_binary(make(tmp_path, "2.10.0 (Claude Code)")).version == "2.10.0"


def test_an_old_binary_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """It would let a message read files; the message names it, its version and the way out."""
    path = make(tmp_path, "2.1.100 (Claude Code)")
    with pytest.raises(Unavailable, match=r"2\.1\.100, which is too old .*claude update") as caught:
        find_binary(path)
    assert path in caught.value.message


def test_a_missing_configured_binary_is_named(tmp_path: Path) -> None:
    """There is no silent fall-back to another one."""
    path = str(tmp_path / "nowhere")
    with pytest.raises(Unavailable, match=r"claude-cli\.path: .*nowhere isn't a working claude binary"):
        find_binary(path)


@pytest.mark.parametrize("says", ["hello", "", "\\377\\376"])
def test_what_does_not_say_a_version_is_no_binary(tmp_path: Path, says: str) -> None:
    """Some other program of that name, even one that prints no text at all."""
    with pytest.raises(Unavailable, match="isn't a working claude binary"):
        find_binary(make(tmp_path, says))


def test_a_folder_is_no_binary(tmp_path: Path) -> None:
    """It is executable in its own way, and can't be run."""
    with pytest.raises(Unavailable, match="isn't a working claude binary"):
        find_binary(str(tmp_path))


def test_a_file_that_is_gone_has_no_version(tmp_path: Path) -> None:
    """It may vanish between two looks, while it is updated."""
    assert read_version(str(tmp_path / "nowhere")) is None


def test_a_tilde_means_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As people write it in a config file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert list(candidates("~/claude")) == [str(tmp_path / "claude")]


def test_an_unchanged_binary_is_asked_once(tmp_path: Path) -> None:
    """It is looked for at each start of a child, so that must be cheap."""
    path = make(tmp_path, "9.0.0")
    assert [find_binary(path).version, find_binary(path).version] == ["9.0.0", "9.0.0"]
    assert times_asked(path) == 1


def test_an_updated_binary_is_asked_again(tmp_path: Path) -> None:
    """The CLI updates itself under us."""
    path = make(tmp_path, "9.0.0")
    os.utime(path, (1, 1))
    assert find_binary(path).version == "9.0.0"
    make(tmp_path, "9.0.1")
    assert find_binary(path).version == "9.0.1"


def test_a_known_binary_is_found_without_asking(tmp_path: Path) -> None:
    """Each request looks whether the CLI is still the same, and must not wait for a process then."""
    path = make(tmp_path, "9.0.0")
    os.utime(path, (1, 1))
    assert known_binary(path) is None
    assert find_binary(path) == known_binary(path) == Binary(path, "9.0.0")
    assert times_asked(path) == 1
    make(tmp_path, "9.0.1")
    assert known_binary(path) is None
    Path(path).unlink()
    assert known_binary(path) is None


def test_an_old_or_a_vanishing_binary_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only ``find_binary`` says what is wrong, or looks elsewhere."""
    path = make(tmp_path, "2.1.1")
    with pytest.raises(Unavailable):
        find_binary(path)
    assert known_binary(path) is None
    monkeypatch.setattr(binary, "candidates", lambda _: iter([str(tmp_path / "gone")]))
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert known_binary() is None


def test_one_that_did_not_say_is_asked_again_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been the machine's fault (no memory, no files left); but not at every request."""
    path = make(tmp_path, "9.0.1", before=f"[ -e {tmp_path}/mended ] || exec echo asked >> {tmp_path}/asked")
    assert read_version(path) is None
    (tmp_path / "mended").touch()
    assert read_version(path) is None
    assert times_asked(path) == 1
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 11)
    assert read_version(path) == "9.0.1"


def test_the_bundled_binary_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminal and service use the same one."""
    path = make(tmp_path, "9.0.0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    places = list(candidates(""))
    assert [Path(place).parts[-3:] for place in places[:1]] == [("claude_agent_sdk", "_bundled", "claude")]
    assert places[-1] == path


def test_the_bundled_binary_works() -> None:
    """What the ``cli`` extra brings is new enough."""
    found = find_binary()
    assert found.path.endswith("claude_agent_sdk/_bundled/claude")
    assert tuple(map(int, found.version.split("."))) >= MIN_VERSION


@pytest.mark.usefixtures("not_bundled")
def test_without_the_extra_the_one_on_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who installed the CLI by hand needs nothing else."""
    path = make(tmp_path, "9.0.0")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_binary().path == path


@pytest.mark.usefixtures("not_bundled")
def test_nothing_installed_says_how_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that can be pasted."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"isn't installed: install it with: pipx install 'claude-proxy\[cli\]'"):
        find_binary()


def test_the_first_new_enough_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old one in front doesn't hide a good one behind it."""
    old, new = make(tmp_path / "a", "2.1.1"), make(tmp_path / "b", "9.0.0")
    monkeypatch.setattr(binary, "candidates", lambda _: iter([old, new]))
    assert find_binary().path == new


# -- the launcher -----------------------------------------------------------------------------------------------------


@pytest.fixture
def _launcher_unknown() -> Iterator[None]:
    """Let it be chosen anew, before and after the test."""
    launcher.cache_clear()
    yield
    launcher.cache_clear()


def outlives(prefix: Sequence[str], marker: Path) -> bool:
    """Start a sleeper behind ``prefix`` from a process that is killed; say whether it lives on a second later."""
    script = (
        "import os, subprocess, sys, time\n"
        f"prefix = {list(prefix)!r}[:-1] + [str(os.getpid())]\n"
        f"child = subprocess.Popen([*prefix, '/bin/sleep', '60'])\n"
        f"time.sleep(0.5); open({str(marker)!r}, 'w').write(str(child.pid)); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    pid = int(marker.read_text())
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and is_alive(pid):
        time.sleep(0.01)
    return is_alive(pid)


@pytest.mark.usefixtures("_launcher_unknown")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is only our own launcher")
@pytest.mark.parametrize("found", [True, False])
def test_a_child_does_not_outlive_its_parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, found: bool) -> None:
    """K13: with ``setpriv``, and without it."""
    if not found:
        monkeypatch.setattr(shutil, "which", lambda _: None)
    prefix = launcher()
    assert ("launcher.py" in prefix[-2]) != found
    assert not outlives(prefix, tmp_path / "pid")


@pytest.mark.usefixtures("_launcher_unknown")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is only our own launcher")
def test_a_setpriv_without_the_option_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our own launcher does it then."""
    lacking = tmp_path / "setpriv"
    lacking.write_text("#!/bin/sh\nexit 1\n")
    lacking.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(lacking))
    assert "launcher.py" in launcher()[-2]


@pytest.mark.usefixtures("_launcher_unknown")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is only our own launcher")
def test_a_child_whose_parent_is_gone_already_never_runs(tmp_path: Path) -> None:
    """K13: it died before the kernel knew."""
    told = tmp_path / "told"
    subprocess.run([*launcher()[:-1], "1", "/bin/sh", "-c", f"echo run > {told}"], check=False)
    assert not told.exists()


@pytest.mark.parametrize(("version", "asks"), [("2.1.259", False), ("2.1.274", True), ("2.2.0", True), ("3.0.0", True)])
def test_an_older_version_asks_for_tools_only_once(version: str, asks: bool) -> None:  # noqa: FBT001  # both ways
    """So it mustn't do that before the client is known."""
    assert Binary("/opt/claude", version).asks_for_tools_again is asks
