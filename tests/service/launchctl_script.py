"""A ``launchctl`` for machines without launchd: it really starts and ends what a property list says.

It knows ``bootstrap``, ``bootout``, ``enable`` and ``print``, keeps the pid beside itself, and notes what it was asked.
"""

import plistlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
PID = HERE / "pid"


def running() -> psutil.Process | None:
    """Give the service's process while it lives."""
    try:
        process = psutil.Process(int(PID.read_text()))
        return process if process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, psutil.NoSuchProcess):
        return None


def main(verb: str, *rest: str) -> int:
    """Do what the real one would; give its exit code."""
    with (HERE / "asked").open("a") as asked:
        asked.write(f"{' '.join((verb, *rest))}\n")
    process = running()
    match verb:
        case "bootstrap" if process:
            sys.stderr.write("Bootstrap failed: 5: Input/output error\n")
            return 5
        case "bootstrap":
            PID.write_text(str(start(plistlib.loads(Path(rest[1]).read_bytes()))))
        case "bootout" if process:
            process.terminate()  # and doesn't wait for it to end
        case "print" if process:
            sys.stdout.write("\tstate = running\n")
        case "print":
            return 113
    return 0


def start(agent: dict[str, Any]) -> int:
    """Start what a property list says; give its pid."""
    with Path(agent["StandardOutPath"]).open("ab") as log:
        return subprocess.Popen(
            agent["ProgramArguments"],
            env=agent["EnvironmentVariables"],
            cwd=agent["WorkingDirectory"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ).pid


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
