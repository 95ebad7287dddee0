"""Another version of the file for a server that runs: real files, the real watch, scripted backends."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from scripted_server import Running, ScriptedBackend, Serve, reply

from claude_proxy.backends.base import Backend, Health
from claude_proxy.config.changes import foundations
from claude_proxy.config.load import Loaded, load
from claude_proxy.config.schema import Config
from claude_proxy.config.watch import version
from claude_proxy.errors import ConfigError
from claude_proxy.server.reload import Reloads

OPTIONS = {"port": 0, "shutdown_seconds": 0}
KEYED = "claude-api-key: [{api-key: one}]\n"


class Heard(logging.Handler):
    """What the configuration's log says, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self.lines.append(f"{record.levelname} {record.getMessage()}")
        self._more.set()

    async def wait_for(self, pattern: str) -> str:
        """Give the first line that a pattern is found in, and forget those up to it."""
        async with asyncio.timeout(20):
            while True:
                for place, line in enumerate(self.lines):
                    if re.search(pattern, line):
                        del self.lines[: place + 1]
                        return line
                self._more.clear()
                await self._more.wait()


@dataclass
class Scripted:
    """Makes scripted backends of a configuration; ``failure`` is raised where it says."""

    made: list[ScriptedBackend] = field(default_factory=list)
    adapted: list[tuple[Backend, Config]] = field(default_factory=list)
    wound_down: list[Backend] = field(default_factory=list)
    logs: list[Config] = field(default_factory=list)
    read: Callable[[Path], object] = Path.exists
    make: Callable[..., ScriptedBackend] = ScriptedBackend
    log_failure: OSError | None = None

    def load(self, path: Path) -> Loaded:
        """Read it."""
        self.read(path)
        return load(path, overrides=OPTIONS, environ={})

    def makers(self, config: Config) -> Mapping[str, Callable[[], Backend]]:
        """Make one for each that the configuration names."""
        names = foundations(config)
        if not names:
            raise ConfigError("no backend is set up")
        return {name: partial(self._make, name) for name in names}

    def _make(self, name: str) -> ScriptedBackend:
        self.made.append(self.make(name=name, kind=name))
        return self.made[-1]

    def open_log(self, config: Config) -> Callable[[], None]:
        """Note when the log is turned."""
        if self.log_failure is not None:
            raise self.log_failure
        return lambda: self.logs.append(config)

    def adapt(self, backend: Backend, config: Config) -> None:
        """Note it."""
        self.adapted.append((backend, config))

    def wind_down(self, backend: Backend) -> None:
        """Note it."""
        self.wound_down.append(backend)


@dataclass
class Reloading:
    """A server whose file can change."""

    server: Running
    path: Path
    parts: Scripted
    heard: Heard
    backend: ScriptedBackend

    async def change(self, text: str, told: str) -> str:
        """Write another version, and wait for what is said of it."""
        fresh = self.path.with_name("fresh")
        fresh.write_text(text)
        fresh.replace(self.path)
        return await self.heard.wait_for(told)


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Listen to what is logged of it."""
    loggers = [logging.getLogger(f"claude_proxy.{name}") for name in ("config", "server.leaving")]
    handler, before = Heard(), [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    yield handler
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


Start = Callable[..., Any]


@pytest.fixture
def start(serve: Serve, tmp_path: Path, heard: Heard) -> Start:
    """Give a function that starts a server on a file's first version."""

    @asynccontextmanager
    async def started(text: str = "strict: false\n") -> AsyncIterator[Reloading]:
        path, parts = tmp_path / "config.yaml", Scripted()
        path.write_text(text)
        config = load(path, overrides=OPTIONS).config
        backends = [parts._make(name) for name in foundations(config)]
        reloads = Reloads(parts, path, version(path), asyncio.Event())
        fields = {name: getattr(config, name) for name in config.__struct_fields__}
        server = await serve(*backends, beside=reloads.run, **fields)
        yield Reloading(server, path, parts, heard, backends[0])
        await server.end()
        assert [one.name for one in parts.made if one.started and not one.closed] == []

    return started


async def test_other_names_are_there_for_the_next_request(start: Start) -> None:
    """The backend stays, and is told; one line names the keys, and no value."""
    async with start() as running:
        line = await running.change("model-aliases: {mine: opus}\nstrict: true\n", "INFO")
        async with running.server.chat(model="mine") as response:
            assert response.status == 200

        assert line == f"INFO {running.path}: read again, changed: strict, model-aliases"
        assert [call.request.model for call in running.backend.calls] == ["claude-opus-5-5"]
        assert len(running.parts.made) == 1
        ((adapted, config),) = running.parts.adapted
        assert adapted is running.backend
        assert running.parts.logs == [config]


async def test_a_request_under_way_ends_as_it_began(start: Start) -> None:
    """Its backend is closed when it has ended and no sooner; the next request gets the new one."""
    async with start() as running:
        old, go_on = running.backend, asyncio.Event()
        events = reply("old")
        old.script = [*events[:2], go_on, *events[2:]]
        async with running.server.chat(stream=True) as streaming:
            await old.reached(1)
            await running.change(
                "claude-cli: {path: /x}\nstrict: true\n", "read again, changed: strict, claude-cli.path"
            )
            assert running.parts.wound_down == [old]
            async with running.server.chat(seed=1) as response:
                assert response.status == 400  # strict
            async with running.server.chat() as response:
                assert response.status == 200
            new = running.parts.made[-1]
            assert (len(old.calls), len(new.calls)) == (1, 1)
            assert (old.closed, new.started) == (False, True)
            go_on.set()
            assert "old" in await streaming.text()
        await running.heard.wait_for("claude-cli is ready: fine")
        await running.heard.wait_for("claude-cli is closed: the last request that it had is over")
        assert old.closed


async def test_a_backend_that_goes_is_closed_though_the_server_ends_first(start: Start) -> None:
    """Nothing is left behind (what the fixture looks at), however short the server waits."""
    async with start() as running:
        running.backend.script = [*reply("x")[:1], asyncio.Event()]
        async with running.server.chat(stream=True) as streaming:
            await running.backend.reached(1)
            await running.change("claude-cli: {path: /x}\n", "read again")
            assert not running.backend.closed
            ending = asyncio.create_task(running.server.end())
            assert "the server is stopping" in await streaming.text()
            await ending
        assert running.backend.closed


async def test_a_backend_more_and_one_less(start: Start) -> None:
    """What is asked for from now on has the first, then the other; the one in both stays."""
    async with start() as running:
        await running.change(KEYED, "changed: claude-api-key")
        both = [backend.name for backend in running.parts.made]
        await running.change(KEYED + "claude-cli: {enabled: false}\n", "changed: claude-cli.enabled")

        assert both == ["claude-cli", "claude-api-key"]
        assert len(running.parts.made) == 2
        assert running.parts.wound_down == [running.backend]
        async with running.server.chat() as response:
            assert response.headers["x-claude-proxy-backend"] == "claude-api-key"


MISTAKES = {
    "unknown key": (
        "strict: true\nmodle-aliases: {}\n",
        ':2:1: modle-aliases: unknown key; did you mean "model-aliases"?',
    ),
    "broken": ("strict: true\na: [", ":2:5: not valid YAML: "),
    "half written": ("strict: tr", ":1:9: strict: expected true or false, found a string"),
    "unsafe": ("host: 0.0.0.0", ':1:1: host: "0.0.0.0" lets other machines in, '),
    "secret that isn't there": ("api-keys: [env:GONE]", ":1:12: api-keys[0]: env:GONE leads nowhere: "),
    "empty": ("", ": is empty (to go back to the defaults, restart)"),
    "only a comment": ("# later\n", ": is empty (to go back to the defaults, restart)"),
    "no backend": ("claude-cli: {enabled: false}", "no backend is set up"),
    "no certificate": ("tls: {cert: /nope.pem, key: /nope.key}", "tls: /nope.pem with /nope.key can't be used: "),
}


async def test_a_version_with_a_mistake_is_told_of_and_not_used(start: Start) -> None:
    """Nothing of it: neither what is wrong nor what isn't. A good one then is used at once."""
    async with start("model-aliases: {mine: opus}\n") as running:
        for text, told in MISTAKES.values():
            line = await running.change(text, "ERROR")
            assert re.fullmatch(rf"ERROR .*{re.escape(told)}.*; the configuration stays as it was", line)
        running.path.unlink()
        line = await running.heard.wait_for("ERROR")
        assert line == f"ERROR {running.path}: is gone; the configuration stays as it was"
        async with running.server.chat(model="mine", seed=1) as response:
            assert response.status == 200
        assert (len(running.parts.made), running.parts.adapted, running.parts.logs) == (1, [], [])

        await running.change("strict: true\n", "changed: strict, model-aliases")


async def test_what_takes_a_restart_is_said_and_the_rest_is_used(start: Start, tmp_path: Path) -> None:
    """One line names all such keys, however many."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(cert)
    key.write_bytes(cert.read_bytes())
    async with start("api-keys: [secret]\n") as running:
        text = f"host: localhost\ntls: {{cert: {cert}, key: {key}}}\nmodel-aliases: {{mine: opus}}\n"
        await running.change(text, "INFO .*read again, changed: model-aliases$")
        line = await running.heard.wait_for("WARNING")

        names = "host, tls.cert, tls.key, api-keys"
        assert line == f"WARNING {running.path}: restart the server for the change of {names}"
        async with running.server.chat(model="mine") as response:
            assert response.status == 401
        async with running.server.chat(model="mine", headers={"x-api-key": "secret"}) as response:
            assert response.status == 200


async def test_a_warning_is_given_once(start: Start) -> None:
    """Whoever has heard of a key without effect knows of it."""
    async with start() as running:
        await running.change("auth-dir: x\n", "WARNING .*:1:1: auth-dir: not used by claude-proxy")
        await running.change("auth-dir: x\nstrict: true\n", "INFO .*changed: strict")

        assert [line for line in running.heard.lines if "auth-dir" in line] == []


async def test_a_hangup_has_it_read_again(start: Start) -> None:
    """And says so where nothing has changed; a file that was only touched is nothing to speak of."""
    async with start() as running:
        await running.change("strict: true\n", "read again")  # by now it listens to signals
        os.kill(os.getpid(), signal.SIGHUP)
        assert await running.heard.wait_for("read again") == f"INFO {running.path}: read again, nothing changed"
        running.path.touch()
        assert await running.heard.wait_for("read again") == f"DEBUG {running.path}: read again, nothing changed"


async def test_what_can_not_be_started_is_not_used(start: Start) -> None:
    """The old one goes on, and nothing of the new one is left."""

    class Unstartable(ScriptedBackend):
        async def start(self) -> None:
            await super().start()
            raise PermissionError(13, "Permission denied", "/work")

    async with start() as running:
        running.parts.make = Unstartable
        line = await running.change("claude-cli: {path: /x}\n", "ERROR")

        assert line == "ERROR /work: Permission denied; the configuration stays as it was"
        assert running.parts.made[-1].closed
        assert not running.backend.closed


async def test_a_log_that_can_not_be_opened_is_not_used(start: Start) -> None:
    """Else there would be none."""
    async with start() as running:
        running.parts.log_failure = OSError("the disk is full")
        line = await running.change("logging-to-file: true\nclaude-cli: {path: /x}\n", "ERROR")

        assert line == "ERROR the disk is full; the configuration stays as it was"
        assert running.parts.made[-1].closed


async def test_a_bug_of_ours_leaves_the_server_as_it_was(start: Start) -> None:
    """And with a way to go on."""
    async with start() as running:
        running.parts.make = lambda **_: 1 / 0
        await running.change("claude-cli: {path: /x}\n", "ERROR .*can't be taken; the configuration stays as it was")
        await running.change("strict: true\n", "INFO .*changed: strict")


async def test_a_file_that_changes_while_it_is_read_is_read_again(start: Start) -> None:
    """What is used was there as a whole."""
    async with start() as running:
        later = iter(["strict: true\n", ""])

        def write(path: Path) -> None:
            if text := next(later):
                path.write_text(text)

        running.parts.read = write
        await running.change("model-aliases: {half: opus}\n", "INFO .*changed: strict$")


async def test_a_file_that_never_stays_the_same_is_not_used(start: Start) -> None:
    """It will be told of again when it does."""
    async with start() as running:
        sizes = iter(range(1, 100))
        running.parts.read = lambda path: path.write_text("strict: true #" + "x" * next(sizes))
        line = await running.change("strict: true", "ERROR")

        assert line == f"ERROR {running.path}: changes while it is read; the configuration stays as it was"
        running.parts.read = Path.exists


async def test_it_is_told_whether_a_new_backend_is_ready(start: Start) -> None:
    """As at the start; one that can't even say so harms nobody."""
    async with start() as running:
        running.parts.make = partial(ScriptedBackend, state=Health(ready=False, detail="not signed in"))
        line = await running.change("claude-cli: {path: /x}\n", "ready")
        assert line == "WARNING claude-cli isn't ready: not signed in"
        running.parts.make = partial(ScriptedBackend, state=ValueError("?"))
        await running.change("claude-cli: {path: /y}\n", "ERROR claude-cli can't say whether it is ready")
        await running.change("strict: true\n", "INFO .*changed: strict")


async def test_the_status_names_the_file(start: Start) -> None:
    """The one that is read."""
    async with start() as running, running.server.http.get(f"{running.server.url}/api/status") as response:
        assert (await response.json())["config"] == str(running.path)
