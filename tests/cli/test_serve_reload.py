"""A configuration that changes under a running ``serve``: the real process, watch and CLI, the built-in simulator."""

from __future__ import annotations

import contextlib
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from cli_process import Serving, serve

KEYS = "api-keys: [sk-first-secret, sk-second-secret]\n"


@dataclass
class Live:
    """The server, and its file."""

    server: Serving
    file: Path
    url: str = ""

    def change(self, text: str, told: str) -> str:
        """Put another version in the file's place, and wait for the line that is logged of it."""
        since = len(self.server.output)
        fresh = self.file.with_name("fresh")
        fresh.write_text(text)
        fresh.replace(self.file)
        return self.told(told, since)

    def told(self, pattern: str, since: int) -> str:
        """Wait for a line."""
        return self.server.wait_for(rf"^.*{pattern}.*$", since)[0]

    def ask(self, model: str = "sonnet", key: str = "sk-first-secret", said: tuple[str, ...] = ("Hello",)) -> str:
        """Send a chat completion; give the reply's text. What was ``said`` are the user's and the model's turns."""
        roles = ("user", "assistant")
        messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions",
            json.dumps({"model": model, "messages": messages}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer: dict[str, Any] = json.load(reply)
        return str(answer["choices"][0]["message"]["content"])

    def status_of(self, model: str = "sonnet", key: str = "sk-first-secret") -> int:
        """Give the status of a chat completion."""
        try:
            self.ask(model, key)
        except urllib.error.HTTPError as error:
            with contextlib.closing(error):
                return error.code
        return 200

    def children(self) -> set[psutil.Process]:
        """Give the CLI processes that run now."""
        children = psutil.Process(self.server.process.pid).children(recursive=True)
        return {child for child in children if child.status() != psutil.STATUS_ZOMBIE}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Run one server for all tests. At the end nothing of it is left, and no secret was ever shown."""
    home = tmp_path_factory.mktemp("home")
    file = home / "config.yaml"
    file.write_text(KEYS)
    running = Live(serve("--demo", "--config", "config.yaml", "--log-format", "rich", home=home), file)
    children: set[psutil.Process] = set()
    try:
        running.url = running.server.wait_for(r"OpenAI +(http://\S+)/v1")[1]
        running.server.wait_for("claude-cli +ready")
        yield running
        children = running.children()
        assert running.server.stop() == 0
    finally:
        running.server.process.kill()
        running.server.process.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    assert "-secret" not in running.server.output
    assert "Traceback" not in running.server.output


@pytest.fixture(autouse=True)
def version(live: Live) -> Iterator[None]:
    """Begin each test on the same version, and end it there."""
    yield
    if live.file.read_text() != KEYS:
        live.change(KEYS, "read again, ")


def test_another_alias_costs_no_process_and_no_conversation(live: Live) -> None:
    """The line says which key, and the conversation goes on where it was."""
    reply = live.ask()
    before = live.children()
    line = live.change(KEYS + "model-aliases: {mine: sonnet}\n", "INFO .*read again")

    assert line.endswith("claude_proxy.config: config.yaml: read again, changed: model-aliases")
    assert live.ask("mine", said=("Hello", reply, "Go on"))
    assert before <= live.children()


def test_the_command_line_wins_over_the_file(live: Live) -> None:
    """However often that changes: what was chosen there is no change."""
    line = live.change(KEYS + "port: 1\nlog-format: json\nstrict: true\n", "INFO .*read again")

    assert line.endswith("changed: strict")
    assert live.status_of() == 200


def test_client_keys_come_and_go_but_never_all_of_them(live: Live) -> None:
    """One that leaked is taken back at once; a file without any doesn't open the server."""
    live.change("api-keys: [sk-second-secret]\n", "changed: api-keys")
    assert (live.status_of(), live.status_of(key="sk-second-secret")) == (401, 200)

    live.change("strict: false\n", "WARNING .*restart the server for the change of api-keys")
    assert (live.status_of(key="unused"), live.status_of(key="sk-second-secret")) == (401, 200)


def test_a_mistake_is_told_with_its_place_and_the_server_goes_on(live: Live) -> None:
    """Also where the file is empty, half of one or gone; then it is mended."""
    for text, told in (
        ("strict: true\nmodle-aliases: {}\n", "config.yaml:2:1: modle-aliases: unknown key; did you mean"),
        ("api-keys: [sk-fir", "config.yaml:1:18: not valid YAML: "),
        ("", "config.yaml: is empty"),
    ):
        assert live.change(text, "ERROR").endswith("the configuration stays as it was")
        assert told in live.server.output
        assert live.status_of() == 200
    since = len(live.server.output)
    live.file.unlink()
    live.told("ERROR .*config.yaml: is gone; the configuration stays as it was", since)
    assert live.status_of() == 200
    live.change(KEYS + "strict: true\n", "changed: strict")


def test_a_hangup_has_the_file_read_again(live: Live) -> None:
    """As after a change in the keyring, which no file tells of."""
    since = len(live.server.output)
    live.server.process.send_signal(signal.SIGHUP)
    live.told("INFO .*config.yaml: read again, nothing changed", since)


def test_another_environment_gets_processes_of_its_own(live: Live) -> None:
    """The old ones end, and the next request is answered by new ones."""
    live.ask()
    before = live.children()
    live.change(KEYS + "claude-cli: {env: {SOMETHING: a-secret}}\n", "changed: claude-cli.env$")

    assert live.status_of() == 200
    _, alive = psutil.wait_procs(before, timeout=20)
    assert alive == []
    assert live.children()


def test_the_log_goes_elsewhere(live: Live) -> None:
    """To a file, from the next line on, and back."""
    live.change(KEYS + "debug: true\nlogging-to-file: true\n", "")
    deadline = time.monotonic() + 20
    while "read again, changed: debug" not in "".join(log.read_text() for log in live.file.parent.rglob("*.log")):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # what is waited for happens in another process

    live.change(KEYS, "read again, changed: debug, logging-to-file")
