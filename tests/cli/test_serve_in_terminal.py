"""``serve`` as somebody starts it by hand before anything is configured, and how it ends with the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
from cli_process import COMMAND, Serving, environment

# It takes the terminal as a shell would, and becomes the server.
IN_TERMINAL = (
    "import fcntl, os, sys, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\nos.execv(sys.argv[1], sys.argv[1:])"
)

FIRST_FILE = """
claude-cli: {enabled: false}
claude-api-key: [{api-key: k, base-url: "http://127.0.0.1:9", models: [{name: mine}]}]
"""


def start(home: Path, terminal: int) -> Serving:
    """Start a server that has a terminal, and writes to a pipe."""
    return Serving(
        subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, *COMMAND, "serve", "--port", "0"],
            env=environment(home),
            cwd=home,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    )


def test_a_first_file_is_used_at_once_and_the_server_ends_with_its_terminal(tmp_path: Path) -> None:
    """Written where the user's own is looked for, without a restart; closing the window is no way to have it reread."""
    ours, its = os.openpty()
    server = start(tmp_path, its)
    os.close(its)
    try:
        server.wait_for("OpenAI +http://")
        file = tmp_path / ".config/claude-proxy/config.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(FIRST_FILE)
        server.wait_for("config.yaml: read again, changed: claude-cli.enabled, claude-api-key")
        server.wait_for("claude-api-key is ready")
        children = psutil.Process(server.process.pid).children(recursive=True)

        os.close(ours)
        assert server.process.wait(20) == 0
        assert psutil.wait_procs(children, timeout=20)[1] == []
    finally:
        server.process.kill()
        server.process.communicate()
