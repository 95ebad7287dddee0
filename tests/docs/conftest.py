"""The demo server that readers of the documentation start, one for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cli_process import serve


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run ``serve --demo`` on the real CLI; give its address without a path."""
    server = serve("--demo", home=tmp_path_factory.mktemp("server"))
    try:
        base_url = server.wait_for(r"OpenAI +(http://\S+)/v1")[1]
        server.wait_for(r"claude-cli +ready")
        yield base_url
    finally:
        server.stop()
