"""Writing, starting and removing: what happens in which case, with a supervisor that notes what it is asked."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from claude_proxy.errors import Unavailable
from claude_proxy.service import install as module
from claude_proxy.service.definition import MARK, Service
from claude_proxy.service.install import Installed, install, uninstall

SERVICE = Service(command=("/x",), environment={}, home="/", secrets_file="/s", log_file="/l")


@dataclass
class Noted:
    """A supervisor whose services are in the state that the test says."""

    path: Path
    text: str = f"# {MARK}\n"
    logs: str = "journalctl"
    states: list[str] = field(default_factory=lambda: ["stopped", "running"])
    done: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Be there."""

    def render(self, service: Service) -> str:
        """Give the test's text."""
        return self.text

    def state(self) -> str:
        """Give one state after the other; the last stays."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def enable(self) -> None:
        """Note it."""
        self.done.append("enable")

    def start(self, service: Service) -> None:
        """Note it."""
        self.done.append("start")

    def stop(self) -> None:
        """Note it."""
        self.done.append("stop")

    def forget(self) -> None:
        """Note it."""
        self.done.append("forget")

    def hints(self) -> tuple[str, ...]:
        """Say nothing."""
        return ()


@pytest.fixture
def supervisor(tmp_path: Path) -> Noted:
    """Give one whose folder isn't there yet."""
    return Noted(tmp_path / "systemd" / "user" / "unit")


def test_the_first_time_it_is_written_and_started(supervisor: Noted) -> None:
    """Where it will listen only it knows, so that it runs has to do."""
    assert install(supervisor, SERVICE, None, start=True) == Installed(changed=True, running=True)
    assert supervisor.path.read_text() == supervisor.text
    assert [path.name for path in supervisor.path.parent.iterdir()] == ["unit"]
    assert supervisor.done == ["enable", "start"]


def test_one_that_runs_as_written_is_left_alone(supervisor: Noted) -> None:
    """Its streams go on."""
    install(supervisor, SERVICE, None, start=False)
    supervisor.states = ["running"]
    supervisor.done.clear()

    assert install(supervisor, SERVICE, None, start=True) == Installed(changed=False, running=True)
    assert supervisor.done == ["enable"]


def test_one_that_runs_otherwise_is_started_again(supervisor: Noted) -> None:
    """It is what was asked for."""
    install(supervisor, SERVICE, None, start=False)
    supervisor.states = ["running"]
    supervisor.text += "new"

    assert install(supervisor, SERVICE, None, start=True) == Installed(changed=True, running=True)
    assert supervisor.done == ["enable", "enable", "start"]


def test_one_that_was_stopped_is_started(supervisor: Noted) -> None:
    """Though its file is the same."""
    install(supervisor, SERVICE, None, start=False)

    assert install(supervisor, SERVICE, None, start=True) == Installed(changed=False, running=True)


def test_a_file_of_somebody_else_is_not_touched(supervisor: Noted) -> None:
    """Neither overwritten nor removed."""
    supervisor.path.parent.mkdir(parents=True)
    supervisor.path.write_text("[Service]\n")

    for act in (lambda: install(supervisor, SERVICE, None, start=True), lambda: uninstall(supervisor)):
        with pytest.raises(Unavailable, match="wasn't written by claude-proxy: move it away first"):
            act()
    assert (supervisor.path.read_text(), supervisor.done) == ("[Service]\n", [])


def test_a_port_that_is_taken_is_told_before_anything_is_written(supervisor: Noted) -> None:
    """By a server in a terminal, most likely: the service would end again and again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(Unavailable, match=f"port {address[1]} is taken, by a `claude-proxy serve` in a terminal"):
            install(supervisor, SERVICE, address, start=True)
    assert not supervisor.path.parent.exists()


def test_one_that_ends_at_once_is_a_failure(supervisor: Noted, unused_tcp_port: int) -> None:
    """What it says stands in its log."""
    supervisor.states = ["stopped", "stopped", "failed"]

    with pytest.raises(Unavailable, match="the service is installed but doesn't come up; it says why in: journalctl"):
        install(supervisor, SERVICE, ("127.0.0.1", unused_tcp_port), start=True)


def test_one_that_never_listens_is_a_failure(
    supervisor: Noted, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is an end to waiting."""
    monkeypatch.setattr(module, "_LISTEN_SECONDS", 0)

    with pytest.raises(Unavailable, match="doesn't come up"):
        install(supervisor, SERVICE, ("127.0.0.1", unused_tcp_port), start=True)


def test_a_file_that_can_not_be_put_in_place_leaves_nothing(supervisor: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half of it, and no other name."""

    def fail(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        install(supervisor, SERVICE, None, start=True)
    assert list(supervisor.path.parent.iterdir()) == []


def test_uninstall_stops_and_removes(supervisor: Noted) -> None:
    """Once; the second time there is nothing."""
    install(supervisor, SERVICE, None, start=False)
    supervisor.done.clear()

    assert uninstall(supervisor)
    assert supervisor.done == ["stop", "forget"]
    assert not supervisor.path.exists()
    assert not uninstall(supervisor)
