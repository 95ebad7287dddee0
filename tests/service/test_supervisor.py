"""What is asked of ``systemctl`` and ``launchctl``, and what is made of their answers."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_proxy.errors import Unavailable
from claude_proxy.service.definition import Service
from claude_proxy.service.supervisor import Launchd, Systemd

SERVICE = Service(command=("/x",), environment={}, home="/home/me", secrets_file="/s", log_file="/l", stop_seconds=1)

Tools = Callable[..., Path]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Put shell scripts on an otherwise empty PATH; give the file in which they note what they were asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    noted = tmp_path / "noted"
    noted.touch()

    def make(**scripts: str) -> Path:
        for name, script in scripts.items():
            tool = folder / name.replace("_", "-")
            tool.write_text(f'#!/bin/sh\necho "{tool.name} $*" >> {noted}\n{script}\n')
            tool.chmod(0o700)
        return noted

    return make


def test_systemd_that_is_not_there(tools: Tools, tmp_path: Path) -> None:
    """The way out is told."""
    with pytest.raises(Unavailable, match="there is no systemd here: let your own supervisor run"):
        Systemd(tmp_path).check()


def test_systemd_that_can_not_be_reached(tools: Tools, tmp_path: Path) -> None:
    """As after su; the way out is told."""
    tools(systemctl="echo 'Failed to connect to bus' >&2; exit 1")

    with pytest.raises(Unavailable, match="systemd can't be asked for your user: sign in as yourself"):
        Systemd(tmp_path).check()


def test_systemd_that_is_there(tools: Tools, tmp_path: Path) -> None:
    """Asked something that always has an answer."""
    noted = tools(systemctl="echo Version=252")
    Systemd(tmp_path).check()

    assert noted.read_text() == "systemctl --user show --property=Version\n"


@pytest.mark.parametrize(
    ("word", "state"),
    [("active", "running"), ("failed", "failed"), ("inactive", "stopped"), ("activating", "stopped"), ("", "stopped")],
)
def test_systemds_words_for_a_state(tools: Tools, tmp_path: Path, word: str, state: str) -> None:
    """One that is starting isn't running yet, nor has it failed."""
    tools(systemctl=f"echo {word}; exit 3")

    assert Systemd(tmp_path).state() == state


def test_systemd_starts_stops_and_forgets(tools: Tools, tmp_path: Path) -> None:
    """In the order in which it has to be asked."""
    noted = tools(systemctl="")
    supervisor = Systemd(tmp_path)
    supervisor.enable()
    supervisor.start(SERVICE)
    supervisor.stop()
    supervisor.forget()

    assert [line.removeprefix("systemctl --user ") for line in noted.read_text().splitlines()] == [
        "daemon-reload",
        "enable claude-proxy.service",
        "reset-failed claude-proxy.service",
        "restart claude-proxy.service",
        "disable --now claude-proxy.service",
        "daemon-reload",
        "reset-failed claude-proxy.service",
    ]


@pytest.mark.parametrize(
    ("script", "said"), [("echo 'No such unit' >&2; echo more >&2; exit 1", "No such unit"), ("exit 4", "exit code 4")]
)
def test_what_fails_is_named_with_what_it_said(tools: Tools, tmp_path: Path, script: str, said: str) -> None:
    """In one line."""
    tools(systemctl=script)

    with pytest.raises(Unavailable) as caught:
        Systemd(tmp_path).enable()
    assert caught.value.message == f"`systemctl --user daemon-reload` failed: {said}"


@pytest.mark.parametrize(
    ("scripts", "strict"),
    [
        ({"systemctl": "", "systemd_run": ""}, True),
        ({"systemctl": "", "systemd_run": "exit 217"}, False),
        ({"systemctl": ""}, True),
        ({"systemctl": "exit 1", "systemd_run": "exit 1"}, True),
        ({}, True),
    ],
)
def test_a_unit_has_namespaces_unless_a_trial_fails(
    tools: Tools, tmp_path: Path, scripts: dict[str, str], *, strict: bool
) -> None:
    """Where nothing can be tried, as for ``--print`` on another machine, it has them."""
    tools(**scripts)

    assert ("\nPrivateUsers=yes\n" in Systemd(tmp_path).render(SERVICE)) is strict


def test_hints_on_systemd(tools: Tools, tmp_path: Path) -> None:
    """Lingering, where there is none, and what this system doesn't allow."""
    tools(systemctl="", systemd_run="exit 217", loginctl="echo Linger=no")
    first, second = Systemd(tmp_path).hints()
    assert "`loginctl enable-linger`" in first
    assert "keeps namespaces from users" in second

    tools(systemd_run="", loginctl="echo Linger=yes")
    assert Systemd(tmp_path).hints() == ()


def test_without_logind_nobody_lingers(tools: Tools, tmp_path: Path) -> None:
    """A tool that isn't there is one that fails."""
    tools(systemctl="", systemd_run="")

    (hint,) = Systemd(tmp_path).hints()
    assert "`loginctl enable-linger`" in hint


def test_launchd_that_is_not_there(tools: Tools, tmp_path: Path) -> None:
    """The way out is told."""
    with pytest.raises(Unavailable, match="there is no launchd here"):
        Launchd(tmp_path, tmp_path / "log").check()


def test_launchd_makes_the_log_for_its_owner_alone(tools: Tools, tmp_path: Path) -> None:
    """It would make it for everybody to read."""
    log = tmp_path / "Logs" / "claude-proxy" / "service.log"
    Launchd(tmp_path, log).enable()

    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_launchd_waits_for_the_old_service_to_end_before_the_new(tools: Tools, tmp_path: Path) -> None:
    """Until then it would refuse the new one."""
    gone = tmp_path / "gone"
    ends = f'[ "$1" = print ] && {{ [ -e {gone} ] && exit 113; : > {gone}; }}; exit 0'
    noted = tools(launchctl=ends)
    Launchd(tmp_path, tmp_path / "log").start(SERVICE)

    verbs = [line.split()[1] for line in noted.read_text().splitlines()]
    assert verbs == ["bootout", "print", "print", "enable", "bootstrap"]


@pytest.mark.parametrize(
    ("script", "state"),
    [("echo 'state = running'", "running"), ("echo 'state = waiting'", "stopped"), ("exit 113", "stopped")],
)
def test_launchds_words_for_a_state(tools: Tools, tmp_path: Path, script: str, state: str) -> None:
    """It has no word for a service that it has given up: it gives up none."""
    tools(launchctl=script)

    assert Launchd(tmp_path, tmp_path / "log").state() == state
