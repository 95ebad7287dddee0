"""A ``launchctl`` for machines without launchd: it really starts and ends what a property list says.

It knows ``bootstrap``, ``bootout``, ``enable`` and ``print``, keeps pids beside itself, and notes what it was asked.
"""

import os
import plistlib
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PID = HERE / "pid"


def main(verb: str, *rest: str) -> int:
    """Do what the real one would; give its exit code."""
    with (HERE / "asked").open("a") as asked:
        asked.write(f"{' '.join((verb, *rest))}\n")
    if verb == "bootstrap":
        if PID.exists():
            sys.stderr.write("Bootstrap failed: 5: Input/output error\n")
            return 5
        agent = plistlib.loads(Path(rest[1]).read_bytes())
        with Path(agent["StandardOutPath"]).open("ab") as log:
            process = subprocess.Popen(
                agent["ProgramArguments"],
                env=agent["EnvironmentVariables"],
                cwd=agent["WorkingDirectory"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        PID.write_text(str(process.pid))
    elif verb == "bootout" and PID.exists():
        os.kill(int(PID.read_text()), signal.SIGTERM)
        PID.unlink()
    elif verb == "print":
        sys.stdout.write("\tstate = running\n")
        return 0 if PID.exists() else 113
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
