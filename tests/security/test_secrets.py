"""Secrets of a whole server: nowhere in what it writes, prints or leaves behind, whatever happens to it."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cli_process
import psutil
import pytest
from cli_process import Serving

KEY, UPSTREAM_KEY, PASSWORD = "client-key-4f1d", "upstream-key-93ab", "proxy-password-77c0"
SAID = "my diary, dear 8d21"
CONFIG = f"""
api-keys: [{KEY}]
debug: true
claude-cli: {{enabled: false}}
request-retry: 0
openai-compatibility:
  - {{name: there, base-url: "http://127.0.0.1:9/v1", api-key-entries: [{{api-key: {UPSTREAM_KEY}}}],
     models: [{{name: m}}]}}
"""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Run ``serve --debug`` with keys of every kind."""
    home = tmp_path_factory.mktemp("home")
    (home / "config.yaml").write_text(CONFIG)
    running = cli_process.serve("--config", "config.yaml", "--debug", "--log-format", "json", home=home)
    running.wait_for(r'"openai_base_url":"([^"]+)"')
    yield running
    running.stop()


def ask(serving: Serving, path: str, body: bytes | None = None, key: str = KEY) -> tuple[int, str]:
    """Ask with a key; give the status and the answer."""
    url = serving.wait_for(r'"anthropic_base_url":"([^"]+)"').group(1) + path
    headers = {"Authorization": f"Bearer {key}", "Cookie": "session=abc-cookie"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_no_secret_is_written_or_answered(serving: Serving) -> None:
    """Not with ``--debug``, for a right request, a wrong one, a failure of the upstream's, or a wrong key."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": SAID}]}).encode()
    tries = [
        ("/v1/chat/completions", body, KEY),
        ("/v1/messages", body, KEY),
        ("/v1/responses", body[:-3], KEY),
        (f"/v1/models/{UPSTREAM_KEY[:8]}", None, KEY),
        ("/api/status", None, KEY),
        ("/metrics", None, KEY),
        ("/v1/models", None, "wrong-key-1c2e"),
    ]
    answers = [ask(serving, *one) for one in tries]
    assert [status for status, _ in answers] == [502, 400, 400, 404, 200, 200, 401]
    serving.wait_for(r"/v1/models.*401")
    seen = serving.output + "".join(text for _, text in answers)
    for secret in (KEY, UPSTREAM_KEY, SAID, "wrong-key-1c2e", "abc-cookie"):
        assert secret not in seen


@pytest.mark.skipif(sys.platform != "linux", reason="psutil reads another process's limits on Linux only")
def test_no_crash_leaves_its_memory_on_disk(serving: Serving) -> None:
    """It holds the keys and the conversations; children inherit the limit."""
    assert psutil.Process(serving.process.pid).rlimit(psutil.RLIMIT_CORE) == (0, 0)


def test_a_traceback_shows_no_values(tmp_path: Path) -> None:
    """Not even with ``--debug``, which is for a bug report."""
    (tmp_path / "config.yaml").write_text(
        CONFIG + f'proxy-url: "http://me:{PASSWORD}@proxy.invalid"\nhost: 192.0.2.1\n'
    )
    done = cli_process.run("--debug", "serve", "--config", "config.yaml", home=tmp_path)
    assert "Traceback" in done.stderr
    for secret in (KEY, UPSTREAM_KEY, PASSWORD):
        assert secret not in done.stdout + done.stderr
