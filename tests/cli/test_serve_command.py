"""``serve`` as a user starts it: real processes, the real CLI, the built-in simulator."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from cli_process import Serving, run, serve

LISTENING = r"OpenAI +(http://\S+)/v1"


class Start(Protocol):
    """Starts ``serve`` with arguments and environment variables."""

    def __call__(self, *arguments: str, home: Path, **more: str) -> Serving:
        """Start one."""


@pytest.fixture
def started() -> Iterator[Start]:
    """Give a function that starts servers; none is left behind."""
    running: list[Serving] = []

    def start(*arguments: str, home: Path, **more: str) -> Serving:
        running.append(serve(*arguments, home=home, **more))
        return running[-1]

    yield start
    for server in running:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


def ask(base_url: str, key: str = "unused") -> str:
    """Send a chat completion; give the reply's text."""
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "Hello"}]}
    request = urllib.request.Request(
        f"{base_url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return str(json.load(reply)["choices"][0]["message"]["content"])


def test_the_demo_answers_without_an_account(started: Start, tmp_path: Path) -> None:
    """From nothing to an answer, through the real CLI; Ctrl-C ends it with 0 and leaves nothing behind."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    server = started("--demo", home=tmp_path, TMPDIR=str(scratch))
    base_url = server.wait_for(LISTENING)[1]
    server.wait_for(r"claude-cli +ready +claude CLI \d")
    server.wait_for("models .*sonnet")
    assert ask(base_url)
    assert list(scratch.glob("claude-proxy-demo-*"))

    assert server.stop() == 0
    assert not list(scratch.glob("claude-proxy-demo-*"))
    assert not list(tmp_path.glob(".claude*"))
    assert "error" not in server.output.lower()


def test_the_demo_reads_no_configuration_unless_named(started: Start, tmp_path: Path) -> None:
    """A broken file of the user's own can't break the demo."""
    (tmp_path / ".config/claude-proxy").mkdir(parents=True)
    (tmp_path / ".config/claude-proxy/config.yaml").write_text("nonsense: 1")
    assert run("serve", home=tmp_path).returncode == 2

    server = started("--demo", home=tmp_path)
    server.wait_for(LISTENING)
    assert server.stop() == 0


def test_json_gives_a_line_for_machines(started: Start, tmp_path: Path) -> None:
    """Where it listens, then who answers; SIGTERM ends it with 0."""
    server = started("--demo", "--log-format", "json", home=tmp_path)
    first = json.loads(server.wait_for(r'^\{"event":"listening".*\}$')[0])
    second = json.loads(server.wait_for(r'^\{"event":"backends".*\}$')[0])

    assert first["demo"] is True
    assert first["openai_base_url"] == first["anthropic_base_url"] + "/v1"
    assert [backend["name"] for backend in second["backends"]] == ["claude-cli"]
    assert second["backends"][0]["ready"] is True
    assert second["backends"][0]["account"] is None
    assert server.stop(signal.SIGTERM) == 0


def test_without_a_sign_in_it_runs_and_says_what_to_do(started: Start, tmp_path: Path) -> None:
    """Not being signed in is no reason not to start."""
    server = started(home=tmp_path)
    server.wait_for(r"claude-cli +not ready +not signed in.*claude-proxy login")

    assert server.stop() == 0


def test_without_the_cli_it_runs_and_says_how_to_install_it(started: Start, tmp_path: Path) -> None:
    """The same holds for a missing binary."""
    (tmp_path / "config.yaml").write_text("claude-cli: {path: /nowhere/claude}\n")
    server = started("--config", "config.yaml", home=tmp_path, COLUMNS="200")
    server.wait_for(r"claude-cli +not ready +claude-cli\.path: /nowhere/claude isn't a working claude binary")

    assert server.stop() == 0


def test_an_upstream_with_a_key_answers(started: Start, tmp_path: Path) -> None:
    """The file's entry becomes a backend that is shown, asked with its prefix and named; one without its key is not."""
    command = [sys.executable, "-m", "claude_proxy.simulator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        upstream = simulator.stdout.readline().strip()
        (tmp_path / "config.yaml").write_text(
            "claude-cli: {enabled: false}\n"
            f"claude-api-key: [{{api-key: env:MY_KEY, base-url: '{upstream}', prefix: console}},\n"
            "  {api-key: env:GONE}]\n"
        )
        server = started("--config", "config.yaml", home=tmp_path, MY_KEY="sk-ant-very-secret")
        base_url = server.wait_for(LISTENING)[1]
        server.wait_for(r"claude-api-key +ready")
        server.wait_for(r"models +console/")
        body = {"model": "console/sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
        request = urllib.request.Request(f"{base_url}/v1/messages", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert json.load(reply)["type"] == "message"
            assert reply.headers["x-claude-proxy-backend"] == "claude-api-key"
        assert server.stop() == 0
        simulator.terminate()
    assert "sk-ant-very-secret" not in server.output
    assert "config.yaml:3:3: claude-api-key[1]: switched off: env:GONE leads nowhere" in server.output


def test_keys_of_the_configuration_are_asked_for_and_never_shown(started: Start, tmp_path: Path) -> None:
    """The file reaches the server, and the screen shows no secret."""
    (tmp_path / "config.yaml").write_text(
        "api-keys: [sk-my-secret]\nauth-dir: x\nclaude-api-key: [{api-key: env:GONE}]\n"
    )
    server = started("--demo", "--config", "config.yaml", home=tmp_path)
    base_url = server.wait_for(LISTENING)[1]
    server.wait_for("export OPENAI_API_KEY='one of your api-keys'")
    server.wait_for("claude-cli +ready")

    assert ask(base_url, "sk-my-secret")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(base_url, "sk-other")
    assert server.stop() == 0
    assert "sk-my-secret" not in server.output
    assert "config.yaml:2:1: auth-dir: not used by claude-proxy" in server.output
    assert "config.yaml:3:18: claude-api-key[0]: switched off: env:GONE leads nowhere" in server.output


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """Exit code 1, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--demo", "--port", str(port), home=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: can't listen on 127.0.0.1:{port}: the port is in use; stop what uses it, or choose another: --port\n"
    )


def test_a_missing_certificate_is_one_line(tmp_path: Path) -> None:
    """The line names the key and the files."""
    (tmp_path / "config.yaml").write_text("tls: {cert: nope.pem, key: nope.key}\n")
    done = run("serve", "--config", "config.yaml", "--port", "0", home=tmp_path)

    assert done.returncode == 2
    assert done.stderr == "error: tls: nope.pem with nope.key can't be used: No such file or directory\n"


def test_without_any_backend_it_does_not_start(tmp_path: Path) -> None:
    """A server that can't answer anything is a mistake in the configuration."""
    (tmp_path / "config.yaml").write_text("claude-cli: {enabled: false}\n")
    done = run("serve", "--config", "config.yaml", home=tmp_path)

    assert done.returncode == 2
    assert done.stderr == (
        "error: no backend is set up: nothing could answer; set `claude-cli.enabled` to true, or add an API key\n"
    )


def test_the_log_can_go_to_a_file(started: Start, tmp_path: Path) -> None:
    """What is logged stands there instead of on the terminal."""
    (tmp_path / "config.yaml").write_text("logging-to-file: true\nauth-dir: x\n")
    server = started("--demo", "--config", "config.yaml", home=tmp_path)
    server.wait_for(LISTENING)

    assert server.stop() == 0
    assert "auth-dir" not in server.output
    found = [path.read_text() for path in tmp_path.rglob("claude-proxy.log")]
    assert len(found) == 1
    assert "config.yaml:2:1: auth-dir: not used by claude-proxy" in found[0]
