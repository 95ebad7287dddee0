"""Where ``serve`` keeps responses: real processes, an upstream that is the simulator."""

import asyncio
import json
import stat
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli_process import Serving, serve

from claude_proxy.ledger.store import read_usage
from claude_proxy.simulator import Simulator

FILE = ".data/claude-proxy/responses.sqlite3"


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[str]:
    """Run a server, and give its base URL."""
    server = serve(*arguments, home=home)
    try:
        yield server.wait_for(r"OpenAI +(http://\S+)/v1")[1]
        assert server.stop() == 0
    finally:
        end(server)


def end(server: Serving) -> None:
    """Leave nothing behind."""
    if server.process.poll() is None:
        server.process.kill()
        server.process.communicate()


def ask(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send a request; give the JSON that comes."""
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer


async def test_r06_responses_outlive_the_server_for_their_owner_only(tmp_path: Path) -> None:
    """R06: they are in the user's data directory, and nobody else can read them; as is what the turn took."""
    async with Simulator() as simulator:
        entry = {"api-key": "k", "base-url": simulator.base_url}
        config = {"claude-cli": {"enabled": False}, "claude-api-key": [entry]}
        (tmp_path / "config.yaml").write_text(json.dumps(config))

        def first_and_second() -> tuple[dict[str, Any], dict[str, Any]]:
            with serving(tmp_path, "--config", "config.yaml") as url:
                made = ask(f"{url}/v1/responses", {"model": "sonnet", "input": "hi"})
            with serving(tmp_path, "--config", "config.yaml") as url:
                return made, ask(f"{url}/v1/responses/{made['id']}")

        made, kept = await asyncio.to_thread(first_and_second)
    assert made == kept
    file = tmp_path / FILE
    ledger = file.with_name("usage.sqlite3")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, ledger, file.parent)] == [0o600, 0o600, 0o700]
    assert read_usage(ledger, time.time())["month"]["total"]["requests"] == 1


def test_the_demo_leaves_no_responses(tmp_path: Path) -> None:
    """They are found while it runs."""
    with serving(tmp_path, "--demo") as url:
        made = ask(f"{url}/v1/responses", {"model": "sonnet", "input": "hi"})
        assert ask(f"{url}/v1/responses/{made['id']}") == made
    assert not (tmp_path / ".data").exists()
