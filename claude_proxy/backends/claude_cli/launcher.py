"""Starts a child so that it can't outlive the server, whatever ends that. Run as a script, imports nothing of ours.

``launcher.py SERVER_PID COMMAND …``. A CLI whose parent is gone goes on asking the model and spends the plan.
On Linux the kernel is told to kill the child when its parent dies, and this process becomes the child. Elsewhere it
stays between the two, passes signals on, and watches its parent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.2
_PARENT_GONE = 70


def become(server: int, command: list[str]) -> None:
    """Linux: replace this process by the command, to be killed when the server dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # it died before the kernel knew
        sys.exit(_PARENT_GONE)
    os.execv(command[0], command)  # noqa: S606  # no shell is what we want


def watch(server: int, command: list[str]) -> int:
    """Anywhere: run the command, kill it when the server dies, and end as it ends."""
    if os.getppid() != server:
        return _PARENT_GONE
    with subprocess.Popen(command) as child:  # noqa: S603  # the server chose the command

        def pass_on(number: int, _frame: FrameType | None) -> None:
            child.send_signal(number)

        signal.signal(signal.SIGTERM, pass_on)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while child.poll() is None:
            if os.getppid() != server:
                child.kill()
            time.sleep(_POLL_SECONDS)
        code = child.returncode
    return code if code >= 0 else 128 - code


def main(argv: list[str]) -> int:
    """Start ``argv[1:]`` for the server whose pid is ``argv[0]``."""
    server, command = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        become(server, command)
    return watch(server, command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
