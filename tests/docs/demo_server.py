"""The demo server that readers of the documentation start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli_process import serve


@contextmanager
def demonstrating(home: Path) -> Iterator[str]:
    """Run ``serve --demo`` on the real CLI; give its address without a path."""
    server = serve("--demo", home=home)
    try:
        base_url = server.wait_for(r"OpenAI +(http://\S+)/v1")[1]
        server.wait_for(r"claude-cli +ready")
        yield base_url
    finally:
        server.stop()
