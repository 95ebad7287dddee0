"""A real ``systemd --user`` for tests, apart from this machine's own.

It runs for a user with no privileges, in namespaces with a home, a runtime folder, a bus and a control group of their
own. That needs root and systemd's binaries, though not a machine that was started with systemd. Where it can't be had,
``user_manager`` says why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
HOME = Path("/home/me")
LOG = HOME / "log"
"""What services write, for there is no journal."""
_USER = "54321"
_SYSTEMD = "/usr/lib/systemd/systemd"
_TOOLS = ("unshare", "nsenter", "setpriv", "systemctl", "systemd-run", "dbus-daemon", _SYSTEMD)
_RUNTIME = f"/run/user/{_USER}"
_ENVIRONMENT = {
    "HOME": str(HOME),
    "PATH": os.environ.get("PATH", ""),
    "LANG": "C.UTF-8",
    "XDG_RUNTIME_DIR": _RUNTIME,
    "DBUS_SESSION_BUS_ADDRESS": f"unix:path={_RUNTIME}/bus",
}
_AS_USER = ["setpriv", "--reuid", _USER, "--regid", _USER, "--clear-groups", "env", "-i"]
_AS_USER += [f"{name}={value}" for name, value in _ENVIRONMENT.items()]

# Makes a control group, runs "$@" as the first process of namespaces below it, and removes it afterwards.
_OUTER = """
set -eu
umount -R -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/claude-proxy-test-$$
mkdir "$group"
trap 'find "$group" -depth -type d -exec rmdir {} +' EXIT
(echo 0 > "$group/cgroup.procs"
 exec unshare --cgroup --mount --pid --fork --kill-child --mount-proc "$@")
"""

# Gives the user what a machine with systemd has ready for the first sign-in, then becomes the user.
_INNER = f"""
set -eu
umount /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/user/init.scope
echo $$ > /sys/fs/cgroup/user/init.scope/cgroup.procs
chown -R {_USER}:{_USER} /sys/fs/cgroup/user
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /home
mkdir -p /run/systemd/system /run/systemd/unit-root /run/systemd/mount-rootfs /run/kept {_RUNTIME} {HOME}
chown {_USER}:{_USER} {_RUNTIME} {HOME}
chmod 0700 {_RUNTIME}
(cat /etc/passwd; echo me:x:{_USER}:{_USER}::{HOME}:/bin/sh) > /run/passwd
mount --bind /run/passwd /etc/passwd
for place in {sys.base_prefix} {sys.prefix} {ROOT}; do
  setpriv --reuid {_USER} --regid {_USER} --clear-groups test -x "$place" && continue
  top=/$(echo "$place" | cut -d/ -f2)
  if ! [ -e "/run/kept$top" ]; then
    mkdir "/run/kept$top"
    mount --rbind "$top" "/run/kept$top"
    mount -t tmpfs -o mode=0755 tmpfs "$top"
  fi
  mkdir -p "$place"
  mount --rbind "/run/kept$place" "$place"
done
exec "$@"
"""

# Runs "$@" in a user namespace below which there can be no other, as where a security module keeps them from users.
_NO_NAMESPACES = """
exec 3<&0
unshare --user sh -c '
  until [ -n "$(cat /proc/self/gid_map)" ]; do sleep 0.01; done
  sh -c "echo 0 > /proc/sys/user/max_user_namespaces"  # a new process has what its mapped user may do
  exec "$@"' sh "$@" <&3 &
until [ "$(readlink /proc/$!/ns/user)" != "$(readlink /proc/$$/ns/user)" ]; do sleep 0.01; done
echo 0 0 65536 > /proc/$!/uid_map
echo 0 0 65536 > /proc/$!/gid_map
wait
"""

_SESSION = f"""
set -eu
all={HOME}/.config/systemd/user/service.d
mkdir -p "$all"
printf '[Service]\\nStandardOutput=append:{LOG}\\nStandardError=inherit\\n' > "$all/log.conf"
dbus-daemon --session --address="$DBUS_SESSION_BUS_ADDRESS" --fork --nopidfile
{_SYSTEMD} --user >/dev/null 2>&1 &
until systemctl --user show --property=Version >/dev/null 2>&1; do sleep 0.05; done
echo ready
read -r _ || true
systemctl --user exit
wait
"""


@dataclass
class UserManager:
    """The user's systemd, and the user's shell beside it."""

    process: subprocess.Popen[str]
    namespaces: tuple[str, ...]

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the user, to its end."""
        more = [f"{name}={value}" for name, value in environ.items()]
        return subprocess.run(
            [*self._inside(), *_AS_USER, *more, *command],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def claude_proxy(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run our command as the user."""
        return self.run(sys.executable, "-P", "-m", "claude_proxy", *arguments, **environ)

    def write(self, path: Path, text: str) -> None:
        """Write a file of the user's."""
        command = [*self._inside(), *_AS_USER, "sh", "-c", 'mkdir -p "${0%/*}"; cat > "$0"', str(path)]
        subprocess.run(command, input=text, text=True, timeout=60, check=True)

    def processes(self, *words: str) -> list[psutil.Process]:
        """Give the user's processes whose command line has all the words."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            if all(word in line for word in words):
                found.append(process)
        return found

    def _inside(self) -> list[str]:
        bus = self.processes("--session")[0]
        return ["nsenter", "--target", str(bus.pid), *self.namespaces]


def missing() -> str:
    """Say what a user's systemd needs and isn't here; empty where all is."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root, to make namespaces"
    return ", ".join(f"needs {tool}" for tool in _TOOLS if shutil.which(tool) is None)


@contextmanager
def user_manager(*, namespaces: bool = True) -> Iterator[UserManager | str]:
    """Start a user's systemd, one that may make no namespaces if so wanted; give why not where that can't be had."""
    start = [*([] if namespaces else ["sh", "-c", _NO_NAMESPACES, "sh"]), *_AS_USER, "sh", "-c", _SESSION]
    command = ["unshare", "--mount", "sh", "-c", _OUTER, "sh", "sh", "-c", _INNER, "sh", *start]
    with subprocess.Popen(
        command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != "ready\n":
            yield f"no systemd --user here: {process.stderr.read().strip() or 'it ended'}"
            return
        try:
            yield UserManager(process, ("--mount", "--cgroup", "--pid", *(() if namespaces else ("--user",))))
        finally:
            process.communicate("done\n", timeout=60)
