"""The service under a real ``systemd --user``: installed, asked, killed, stopped and removed, with the real CLI."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from user_manager import HOME, LOG, UserManager, missing, user_manager

from claude_proxy.service import systemd
from claude_proxy.service.definition import Service

CHECKOUT_IN_TMP = Path(__file__).is_relative_to("/tmp") or Path(sys.prefix).is_relative_to("/tmp")
CONFIG = HOME / """it's "my" 100% $HOME\\n.yaml"""
ODD = """%n "$HOME" \\t 'x'"""
UNIT = HOME / ".config/systemd/user/claude-proxy.service"
PATIENCE = 60.0

needs_systemd = pytest.mark.skipif(bool(missing()), reason=missing())


@contextmanager
def manager(*, namespaces: bool = True) -> Iterator[UserManager]:
    """Give a user's systemd, or skip the test and say why."""
    with user_manager(namespaces=namespaces) as found:
        if isinstance(found, str):
            pytest.skip(found)
        yield found


@pytest.fixture
def simulator() -> Iterator[str]:
    """Give the address of a simulator."""
    command = [sys.executable, "-m", "claude_proxy.simulator", "--demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def until(get: Callable[[], Any], user: UserManager) -> Any:
    """Ask until there is an answer that counts, and give it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := get()):
        assert time.monotonic() < deadline, user.run("cat", str(LOG)).stdout
        time.sleep(0.05)
    return found


def ask(port: int) -> str:
    """Send a chat completion; give the reply's text, empty where nobody could answer yet."""
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "Hello"}]}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return str(json.load(reply)["choices"][0]["message"]["content"])
    except (urllib.error.URLError, ConnectionError):
        return ""


def servers(user: UserManager) -> list[psutil.Process]:
    """Give the server's process."""
    return user.processes("claude_proxy", "serve")


@needs_systemd
def test_the_service_lives_as_a_service_should(simulator: str, unused_tcp_port: int) -> None:
    """Installed it answers through the real CLI, under every restriction; killed it comes again; stopped it is gone."""
    with manager() as user:
        env = "{CLAUDE_CODE_OAUTH_TOKEN: env:DEMO_TOKEN}"
        user.write(CONFIG, f"port: {unused_tcp_port}\nclaude-cli: {{base-url: {simulator}, env: {env}}}\n")
        user.write(HOME / ".config/claude-proxy/service.env", "# for the service alone\nDEMO_TOKEN='demo'\n")
        done = user.claude_proxy("install-service", "--config", str(CONFIG), LC_ODD=ODD)
        assert done.returncode == 0, done.stderr
        assert done.stdout == (
            f"Wrote {UNIT}\n"
            f"The service runs at http://127.0.0.1:{unused_tcp_port}.\n"
            "Its log: journalctl --user -u claude-proxy.service -f\n"
        )
        assert done.stderr.startswith("note: the service runs while you are signed in; `loginctl enable-linger` lets")
        assert done.stderr.count("\n") == 1
        assert "simulator" in until(lambda: ask(unused_tcp_port), user)
        (server,) = servers(user)
        assert server.environ()["LC_ODD"] == ODD
        for process in (server, *server.children()):
            assert_restricted(process.pid)

        repeated = user.claude_proxy("install-service", "--config", str(CONFIG), "--json", LC_ODD=ODD)
        again = json.loads(repeated.stdout)
        assert (again["changed"], again["running"], servers(user)) == (False, True, [server])

        server.kill()
        server.wait()
        (fresh,) = until(lambda: servers(user), user)
        assert "simulator" in until(lambda: ask(unused_tcp_port), user)
        assert fresh.pid != server.pid

        assert user.run("systemctl", "--user", "reload", "claude-proxy").returncode == 0
        assert "simulator" in until(lambda: ask(unused_tcp_port), user)
        assert servers(user) == [fresh]

        assert user.run("systemctl", "--user", "stop", "claude-proxy").returncode == 0
        assert user.processes("-m", "claude_proxy") == user.processes("--no-session-persistence") == []
        state = user.run("systemctl", "--user", "show", "claude-proxy", "--property=Result", "--property=NRestarts")
        assert sorted(state.stdout.split()) == ["NRestarts=1", "Result=success"]

        done = user.claude_proxy("install-service", "--uninstall")
        assert (done.returncode, done.stdout) == (0, f"Stopped, and removed {UNIT}\n")
        assert user.run("systemctl", "--user", "cat", "claude-proxy").returncode == 1
        assert not user.run("find", str(UNIT.parent), "-type", "l").stdout


def assert_restricted(pid: int) -> None:
    """A process of the service has no rights, a /tmp of its own and a read-only system, and makes no namespaces."""
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
    # Device, root within it, where, options.
    mounts = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    options = {fields[4]: fields[5].split(",") for fields in mounts}
    assert "ro" in options["/"]
    assert "ro" in options["/proc/sys"]
    assert "rw" in options[str(HOME)]
    # Where this checkout itself lies in /tmp, the service couldn't be started with one of its own.
    temporary = [fields[3] for fields in mounts if fields[4] == "/tmp"]
    assert any("systemd-private-" in root for root in temporary) is not CHECKOUT_IN_TMP


@needs_systemd
def test_where_users_have_no_namespaces_the_service_starts_without_them(unused_tcp_port: int) -> None:
    """A unit that asked for them wouldn't start; so this one doesn't, and its user is told what is missing."""
    with manager(namespaces=False) as user:
        user.write(CONFIG, f"port: {unused_tcp_port}\nclaude-cli: {{path: /nowhere}}\n")
        done = user.claude_proxy("install-service", "--config", str(CONFIG))

        assert done.returncode == 0
        assert (
            "note: this system keeps namespaces from users, so the service can't have a /tmp of its own" in done.stderr
        )
        (server,) = servers(user)
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
        assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)


@needs_systemd
def test_a_service_that_does_not_come_up_is_told_with_where_it_says_why(unused_tcp_port: int) -> None:
    """Exit code 1, not a success that isn't one; a configuration that is wrong isn't tried again and again."""
    with manager() as user:
        user.write(CONFIG, f"port: {unused_tcp_port}\ntls: {{cert: {CONFIG}, key: {CONFIG}}}\n")
        done = user.claude_proxy("install-service", "--config", str(CONFIG))

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "error: the service is installed but doesn't come up; it says why in: "
            "journalctl --user -u claude-proxy.service -f\n"
        )
        shown = user.run("systemctl", "--user", "show", "claude-proxy", "--property=NRestarts", "--value")
        assert shown.stdout == "0\n"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("namespaces", [True, False])
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path, *, namespaces: bool) -> None:
    """Not even with a name that has everything in it that means something to systemd."""
    python = tmp_path / """a 'b" %h $HOME \\n;#""" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    service = Service(
        command=(str(python), "-m", "claude_proxy", "serve"),
        environment={"HOME": str(tmp_path), "LC_ODD": """%n "$x" \\t"""},
        home=str(python.parent),
        secrets_file=str(python.parent / "service.env"),
        log_file="",
    )
    unit = tmp_path / systemd.UNIT
    unit.write_text(systemd.render(service, namespaces=namespaces))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)],
        env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
