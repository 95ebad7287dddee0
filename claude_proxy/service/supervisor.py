"""What starts services on this machine: the user's own systemd, or launchd. Runs their commands, and no others."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from claude_proxy.errors import Unavailable
from claude_proxy.files import open_private, private_folder
from claude_proxy.service import launchd, systemd
from claude_proxy.service.definition import Service

_COMMAND_SECONDS = 60.0
_POLL_SECONDS = 0.2
_LINGER = (
    "the service runs while you are signed in; `loginctl enable-linger` lets it start at boot, "
    "and go on when you sign out"
)
_NO_NAMESPACES = (
    "this system keeps namespaces from users, so the service can't have a /tmp of its own or a read-only system; "
    "the other restrictions hold"
)


class Supervisor(Protocol):
    """Starts a service when its user comes, and again when it fails."""

    path: Path
    """Where its file for our service is."""
    logs: str
    """How a person reads what the service writes."""

    def check(self) -> None:
        """Raise ``Unavailable`` where it can't be asked, with what to do."""

    def render(self, service: Service) -> str:
        """Write what ``path`` has to hold."""

    def state(self) -> str:
        """Say ``running``, ``failed`` (given up) or ``stopped``."""

    def enable(self) -> None:
        """Take notice of a new file, for the user's next sign-in."""

    def start(self, service: Service) -> None:
        """Start the service, or start it again; it may take a moment longer until it listens."""

    def stop(self) -> None:
        """Stop the service, for good."""

    def forget(self) -> None:
        """Take notice that the file is gone."""

    def hints(self) -> Sequence[str]:
        """Say what the user may want to know beside."""


class Systemd:
    """The systemd of one user."""

    logs = f"journalctl --user -u {systemd.UNIT} -f"

    def __init__(self, config_home: Path) -> None:
        self.path = config_home / "systemd" / "user" / systemd.UNIT

    def check(self) -> None:
        """See whether there is one, and whether this shell can reach it."""
        if shutil.which("systemctl") is None:
            raise Unavailable(
                "there is no systemd here: let your own supervisor run `claude-proxy serve` (--print shows with what)"
            )
        if _run("systemctl", "--user", "show", "--property=Version").returncode:
            raise Unavailable(
                "systemd can't be asked for your user: sign in as yourself, not with su or sudo; over ssh "
                "`export XDG_RUNTIME_DIR=/run/user/$(id -u)` may help; or run `claude-proxy serve` in another way"
            )

    def render(self, service: Service) -> str:
        """Write the unit, as strict as this machine lets it be."""
        return systemd.render(service, namespaces=self._namespaces)

    @cached_property
    def _namespaces(self) -> bool:
        """Whether services of this user may have namespaces. Tried, as what forbids it differs between systems."""
        if shutil.which("systemd-run") is None or _run("systemctl", "--user", "show", "--property=Version").returncode:
            return True
        # With `exec` the start fails where `true` can't be run so. `--wait` would need a bus, which servers may lack.
        settings = (part for setting in ("Type=exec", *systemd.trial()) for part in ("--property", setting))
        return not _run("systemd-run", "--user", "--collect", "--quiet", *settings, "true").returncode

    def state(self) -> str:
        """Ask systemd."""
        word = _run("systemctl", "--user", "is-active", systemd.UNIT).stdout.strip()
        return {"active": "running", "failed": "failed"}.get(word, "stopped")

    def enable(self) -> None:
        """Read the unit, and start it with the user's session."""
        _must("systemctl", "--user", "daemon-reload")
        _must("systemctl", "--user", "enable", systemd.UNIT)

    def start(self, service: Service) -> None:
        """Start it as it is written now, whatever failed before."""
        del service
        _run("systemctl", "--user", "reset-failed", systemd.UNIT)
        _must("systemctl", "--user", "restart", systemd.UNIT)

    def stop(self) -> None:
        """Stop it, and no longer start it with the session."""
        _must("systemctl", "--user", "disable", "--now", systemd.UNIT)

    def forget(self) -> None:
        """Read the units again."""
        _must("systemctl", "--user", "daemon-reload")
        _run("systemctl", "--user", "reset-failed", systemd.UNIT)

    def hints(self) -> Sequence[str]:
        """Tell of lingering, and of what this system doesn't allow."""
        lingers = _run("loginctl", "show-user", str(os.getuid()), "--property=Linger").stdout.strip() == "Linger=yes"
        return (
            *(() if lingers else (_LINGER,)),
            *(() if self._namespaces else (_NO_NAMESPACES,)),
        )


class Launchd:
    """The launchd of one user."""

    def __init__(self, home: Path, log: Path) -> None:
        self.path = home / "Library" / "LaunchAgents" / f"{launchd.LABEL}.plist"
        self.logs = f"tail -f '{log}'"
        self._log = log
        self._domain = f"gui/{os.getuid()}"
        self._service = f"{self._domain}/{launchd.LABEL}"

    def check(self) -> None:
        """See whether there is one."""
        if shutil.which("launchctl") is None:
            raise Unavailable(
                "there is no launchd here: let your own supervisor run `claude-proxy serve` (--print shows with what)"
            )

    def render(self, service: Service) -> str:
        """Write the property list."""
        return launchd.render(service)

    def state(self) -> str:
        """Ask launchd."""
        done = _run("launchctl", "print", self._service)
        return "running" if not done.returncode and "state = running" in done.stdout else "stopped"

    def enable(self) -> None:
        """Make the log: the file's being there is enough for the next sign-in."""
        private_folder(self._log.parent)
        os.close(open_private(self._log, os.O_WRONLY | os.O_CREAT))

    def start(self, service: Service) -> None:
        """Load it, which starts it. What was loaded before must have ended first."""
        self._unload(service.stop_seconds)
        _run("launchctl", "enable", self._service)
        _must("launchctl", "bootstrap", self._domain, str(self.path))

    def stop(self) -> None:
        """Unload it."""
        self._unload(0)

    def _unload(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        _run("launchctl", "bootout", self._service)
        while time.monotonic() < deadline and not _run("launchctl", "print", self._service).returncode:
            time.sleep(_POLL_SECONDS)

    def forget(self) -> None:
        """Nothing is left to do."""

    def hints(self) -> Sequence[str]:
        """Say nothing."""
        return ()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  (the machine's own tools, and words of ours)
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _must(*command: str) -> None:
    done = _run(*command)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Unavailable(f"`{' '.join(command)}` failed: {said[0]}")
