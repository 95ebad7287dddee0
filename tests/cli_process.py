"""Runs the real ``claude-proxy`` command, in a home of its own."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

COMMAND = [sys.executable, "-m", "claude_proxy"]
_PATIENCE = 60.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """Give an environment in which nothing of this machine's user is found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE"))}
    places = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "XDG_CACHE_HOME": str(home / ".cache")}
    return {
        **kept,
        **places,
        "XDG_STATE_HOME": str(home / ".state"),
        "XDG_DATA_HOME": str(home / ".data"),
        "COLUMNS": "80",
        **more,
    }


def run(*arguments: str, home: Path, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``given`` is what is piped into it."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(home, **more),
        cwd=home,
        input=given,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )


@dataclass
class Serving:
    """A running ``serve``: what it has written so far, and how it is stopped."""

    process: subprocess.Popen[bytes]
    output: str = ""
    started: float = field(default_factory=time.monotonic)

    def wait_for(self, pattern: str, since: int = 0) -> re.Match[str]:
        """Read its output until a pattern is there, ``since`` a place in it."""
        deadline = time.monotonic() + _PATIENCE
        assert self.process.stdout is not None
        while not (match := re.compile(pattern, re.MULTILINE).search(self.output, since)):
            ready, _, _ = select.select([self.process.stdout], [], [], deadline - time.monotonic())
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"{pattern!r} never came; there is:\n{self.output}"
            self.output += data.decode()
        return match

    def stop(self, signal_number: int = signal.SIGINT) -> int:
        """Ask it to stop; give its exit code."""
        self.process.send_signal(signal_number)
        rest, _ = self.process.communicate(timeout=_PATIENCE)
        self.output += rest.decode()
        return self.process.returncode


def serve(*arguments: str, home: Path, **more: str) -> Serving:
    """Start ``serve`` on a free port."""
    return Serving(
        subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", *arguments],
            env=environment(home, **more),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    )
