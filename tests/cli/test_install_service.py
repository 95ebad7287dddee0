"""``install-service``: what it writes, says and refuses. A real systemd: ``tests/service/test_user_systemd.py``."""

import json
import os
import plistlib
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cli_command import Command

UNIT = ".config/systemd/user/claude-proxy.service"
AGENT = "Library/LaunchAgents/local.claude-proxy.plist"
STAND_IN = Path(__file__).parents[1] / "service" / "launchctl_script.py"


@pytest.fixture
def install(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command with nothing in its environment but HOME, LANG, an empty PATH and what is given."""
    for name in os.environ:
        if name != "HOME" and not name.startswith(("COVERAGE", "PYTEST")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("PATH", "/nowhere")
    return partial(command, "install-service")


@pytest.fixture
def launchd(install: Command, tmp_path: Path, unused_tcp_port: int) -> Iterator[Command]:
    """Run the command beside a ``launchctl`` that starts processes as launchd would; none is left behind."""
    launchctl = tmp_path / "bin" / "launchctl"
    launchctl.parent.mkdir()
    launchctl.write_text(f"#!{sys.executable}\n{STAND_IN.read_text()}")
    launchctl.chmod(0o700)
    (tmp_path / "config.yaml").write_text(f"port: {unused_tcp_port}\nclaude-cli: {{path: /nowhere/claude}}\n")
    yield partial(install, "--platform", "launchd", "--config", "config.yaml", PATH=str(launchctl.parent))
    subprocess.run([launchctl, "bootout"], check=True)
    while not subprocess.run([launchctl, "print"], stdout=subprocess.DEVNULL, check=False).returncode:
        time.sleep(0.1)


def asked(home: Path) -> list[str]:
    """Give what the stand-in was asked to change."""
    verbs = [line.split()[0] for line in (home / "bin" / "asked").read_text().splitlines()]
    return [verb for verb in verbs if verb != "print"]


def health(port: int) -> str:
    """Ask the server how it is."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as reply:
        return str(json.load(reply)["status"])


def test_print_shows_the_unit_and_changes_nothing(install: Command, tmp_path: Path) -> None:
    """All of it, with absolute paths, on stdout; wherever one asks."""
    (tmp_path / "config.yaml").write_text("shutdown-seconds: 5\n")
    done = install("--print", "--platform", "systemd", "--config", "config.yaml")

    assert (done.code, done.err) == (0, "")
    # What may be written to depends on where the tests run.
    lines = [line for line in done.out.splitlines() if not line.startswith(("ReadWritePaths=", "PrivateTmp="))]
    assert (
        lines
        == f"""\
# Written by `claude-proxy install-service`, which writes over changes.
# Your own settings belong into `systemctl --user edit claude-proxy`.
[Unit]
Description=claude-proxy: your own Claude for OpenAI and Anthropic clients
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart=:{sys.executable} -P -m claude_proxy --config {tmp_path}/config.yaml serve
ExecReload=/bin/sh -c "kill -HUP ${{MAINPID}}"
Environment=HOME={tmp_path}
Environment=LANG=C.UTF-8
Environment=PATH=/nowhere
EnvironmentFile=-{tmp_path}/.config/claude-proxy/service.env
Restart=on-failure
RestartSec=1
# Wrong configuration: starting again can't help.
RestartPreventExitStatus=2
# Open streams end first; the CLI's processes are ended by the server.
KillMode=mixed
TimeoutStopSec=15
# One CLI process that takes too much memory doesn't take the server with it.
OOMPolicy=continue

NoNewPrivileges=yes
UMask=0077
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
PrivateUsers=yes
CapabilityBoundingSet=
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict

[Install]
WantedBy=default.target
""".splitlines()
    )
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_print_as_json_holds_the_text_and_the_notes(install: Command, tmp_path: Path) -> None:
    """One object, and nothing on stderr."""
    (tmp_path / "config.yaml").write_text("claude-api-key: [{api-key: env:WORK_KEY}]\n")
    options = ("--print", "--json", "--platform", "launchd")
    done = install(*options, CLAUDE_PROXY_CONFIG="config.yaml", WORK_KEY="secret", https_proxy="http://p")

    shown = json.loads(done.out)
    assert (done.code, done.err, set(shown)) == (0, "", {"platform", "path", "text", "notes"})
    assert (shown["platform"], shown["path"]) == ("launchd", f"{tmp_path}/{AGENT}")
    agent = plistlib.loads(shown["text"].encode())
    assert agent["ProgramArguments"] == [sys.executable, "-P", "-m", "claude_proxy", "serve"]
    assert agent["EnvironmentVariables"] == {
        "CLAUDE_PROXY_CONFIG": f"{tmp_path}/config.yaml",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PATH": "/nowhere",
        "https_proxy": "http://p",
    }
    (note,) = shown["notes"]
    assert note.startswith("the service won't see WORK_KEY of this shell: store each with `claude-proxy login NAME ")
    assert "secret" not in done.out


def test_what_the_service_will_not_see_is_named_with_what_to_do(install: Command, tmp_path: Path) -> None:
    """Keys, the CLI's token and a proxy's password aren't written down: there is a file for them."""
    (tmp_path / "config.yaml").write_text("claude-api-key: [{api-key: env:WORK_KEY}, {api-key: env:OTHER_KEY}]\n")
    secrets = tmp_path / ".config/claude-proxy/service.env"
    secrets.parent.mkdir(parents=True)
    secrets.write_text("OTHER_KEY=there\n")
    environ = {"WORK_KEY": "s3cret", "CLAUDE_CODE_OAUTH_TOKEN": "s3cret", "HTTPS_PROXY": "http://me:s3cret@proxy"}
    done = install("--print", "--platform", "systemd", "--config", "config.yaml", **environ)

    assert done.code == 0
    assert done.err == (
        f"note: the service won't see WORK_KEY, HTTPS_PROXY of this shell: write WORK_KEY=… and HTTPS_PROXY=… into "
        f"{secrets} (chmod 600), or use `keyring:` in the configuration\n"
        "note: the service won't see CLAUDE_CODE_OAUTH_TOKEN of this shell: sign in with `claude-proxy login`, "
        "which it uses, too\n"
    )
    assert "s3cret" not in done.out


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("prot: 1", "error: config.yaml:1:1: prot: unknown key; did you mean "),
        ("tls: {cert: c.pem, key: /k.pem}", "config.yaml: tls.cert: a service runs in another folder: write an abso"),
        ("api-keys: [env:MY_KEY]", "leads nowhere: set the environment variable MY_KEY. A service doesn't see this"),
    ],
)
def test_with_a_broken_configuration_nothing_is_written(
    launchd: Command, tmp_path: Path, config: str, message: str
) -> None:
    """Exit code 2; also where it is only the service that couldn't start with it."""
    (tmp_path / "config.yaml").write_text(f"{config}\n")
    done = launchd(MY_KEY="secret")

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "Library").exists()
    assert not (tmp_path / "bin" / "asked").exists()


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ("systemd", "error: there is no systemd here: let your own supervisor run `claude-proxy serve` (--print "),
        ("launchd", "error: there is no launchd here: let your own supervisor run `claude-proxy serve` (--print "),
    ],
)
def test_where_there_is_no_supervisor_it_says_what_to_do(
    install: Command, tmp_path: Path, platform: str, message: str
) -> None:
    """One line, exit code 1, and nothing written."""
    done = install("--platform", platform)

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(message)
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_service_is_installed_once_and_removed(launchd: Command, tmp_path: Path, unused_tcp_port: int) -> None:
    """It listens when the command returns; the second time nothing happens to it; only its owner reads its files."""
    done = launchd()
    agent = tmp_path / AGENT
    log = tmp_path / "Library/Logs/claude-proxy/service.log"
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"Wrote {agent}\nThe service runs at http://127.0.0.1:{unused_tcp_port}.\nIts log: tail -f '{log}'\n"
    )
    assert health(unused_tcp_port) == "ok"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (agent, log)] == [0o600, 0o600]
    assert asked(tmp_path) == ["bootout", "enable", "bootstrap"]

    again = launchd("--json")
    facts = {"platform": "launchd", "path": str(agent), "changed": False, "running": True, "notes": []}
    assert json.loads(again.out) == facts
    assert asked(tmp_path) == ["bootout", "enable", "bootstrap"]

    changed = launchd(LANG="de_DE.UTF-8")
    assert changed.out.startswith(f"Wrote {agent}\nThe service runs at ")
    assert health(unused_tcp_port) == "ok"

    removed = launchd("--uninstall")
    assert (removed.code, removed.out) == (0, f"Stopped, and removed {agent}\n")
    assert not agent.exists()
    nothing = launchd("--uninstall")
    assert (nothing.code, nothing.out) == (0, f"Nothing to remove: no {agent}\n")


def test_no_start_leaves_it_to_the_next_sign_in(launchd: Command, tmp_path: Path) -> None:
    """The file is there, and nothing runs."""
    done = launchd("--no-start")

    assert done.code == 0
    assert "\nThe service starts when you next sign in.\n" in done.out
    assert (tmp_path / AGENT).exists()
    assert asked(tmp_path) == []


def test_usage_that_makes_no_sense_is_wrong_usage(install: Command, tmp_path: Path) -> None:
    """Exit code 2."""
    done = install("--uninstall", "--print")

    assert (done.code, done.out) == (2, "")
    assert "--uninstall goes with neither --print nor --no-start." in done.err
    assert done.err.count("\n") == 1
