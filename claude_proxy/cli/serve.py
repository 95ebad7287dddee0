"""``claude-proxy serve``: the one place where configuration, backends and server are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer

from claude_proxy.cli.options import ConfigOption, DebugOption, VersionOption, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from claude_proxy.backends.base import Backend
    from claude_proxy.backends.claude_cli.binary import Binary
    from claude_proxy.backends.claude_cli.features import Report
    from claude_proxy.cli.logfile import LogFile
    from claude_proxy.config.load import Loaded
    from claude_proxy.config.schema import Config
    from claude_proxy.config.watch import Version
    from claude_proxy.server.listen import Listening


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Whom the log is for."""

    RICH = "rich"
    JSON = "json"


def serve(
    ctx: typer.Context,
    *,
    demo: Annotated[
        bool, typer.Option("--demo", help="Answer from a built-in simulator: no account, nothing leaves this machine.")
    ] = False,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to listen.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The TCP port; 0: any free one.")] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="How much is logged.", show_default="info")] = None,
    log_format: Annotated[LogFormat | None, typer.Option(help="For people or for machines.")] = None,
    config: ConfigOption = None,
    debug: DebugOption = False,
    version: VersionOption = False,
) -> None:
    """Run the server until Ctrl-C, which lets open streams end."""
    import asyncio
    import logging
    import resource

    from claude_proxy.cli.freed_memory import give_back_freed_memory
    from claude_proxy.config.load import default_path, find
    from claude_proxy.config.watch import version as version_of

    del version
    chosen = settings(ctx, config, debug=debug)
    options = {"host": host, "port": port, "log_format": log_format and log_format.value, "debug": chosen.debug or None}
    parts = _Parts({name: value for name, value in options.items() if value is not None}, log_level)
    # The demo runs on defaults: nothing of the user's own set-up can break it, or be used by it.
    path = None if demo and not chosen.config else find(chosen.config)
    watched = path if path or demo else default_path()
    seen = version_of(watched) if watched else None
    loaded = parts.load(path)
    parts.open_log(loaded.config)()
    for line in loaded.warnings:
        logging.getLogger("claude_proxy.config").warning(line)
    # The memory of ours and of the CLI's processes holds keys, tokens and conversations: no crash writes it to a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    give_back_freed_memory()
    asyncio.run(_serve(parts, loaded, watched, seen, demo=demo))


@dataclass(slots=True)
class _Parts:
    """What the server is made of: implements ``server.reload.Parts``.

    ``overrides`` and ``level`` are the command line's, which wins over the file however often that changes. The demo
    has a ``workdir``, and an ``environment`` of its own.
    """

    overrides: Mapping[str, Any]
    level: LogLevel | None
    environment: Mapping[str, str] = field(default_factory=dict)
    workdir: Path | None = None
    _log_file: LogFile | None = None

    def load(self, path: Path | None) -> Loaded:
        from claude_proxy.config.load import load

        return load(path, overrides=self.overrides)

    def open_log(self, config: Config) -> Callable[[], None]:
        from claude_proxy.cli.logfile import LogFile, log_path
        from claude_proxy.server.logs import set_up_logging

        level = self.level or (LogLevel.DEBUG if config.debug else LogLevel.INFO)
        file = LogFile(log_path(), config.logs_max_total_size_mb * 1_000_000) if config.logging_to_file else None

        def turn() -> None:
            # What logging asks of a stream is write and flush, which TextIO says with many more words.
            set_up_logging(config.log_format, level.value.upper(), cast("TextIO | None", file))
            if self._log_file is not None:
                self._log_file.close()
            self._log_file = file

        return turn

    def makers(self, config: Config) -> Mapping[str, Callable[[], Backend]]:
        return _makers(config, self.environment, self.workdir)

    def adapt(self, backend: Backend, config: Config) -> None:
        from claude_proxy.backends.claude_cli.backend import ClaudeCli
        from claude_proxy.backends.http.backend import KeyBackend

        match backend:
            case ClaudeCli():
                backend.adapt(config.claude_cli)
            case KeyBackend():
                backend.adapt(config)

    def wind_down(self, backend: Backend) -> None:
        from claude_proxy.backends.claude_cli.backend import ClaudeCli

        if isinstance(backend, ClaudeCli):
            backend.wind_down()


async def _serve(parts: _Parts, loaded: Loaded, watched: Path | None, seen: Version, *, demo: bool) -> None:
    import asyncio
    from contextlib import AsyncExitStack

    from claude_proxy.cli import announce
    from claude_proxy.ledger.store import Ledger, usage_path
    from claude_proxy.server.app import serve_forever
    from claude_proxy.server.reload import Reloads
    from claude_proxy.store.responses import ResponseStore

    async with AsyncExitStack() as stack:
        if demo:
            parts.environment, parts.workdir = await stack.enter_async_context(_demo())
        config, stop = loaded.config, asyncio.Event()
        backends = [make() for make in parts.makers(config).values()]
        reloads = Reloads(parts, watched, seen, stop, set(loaded.warnings)) if watched else None
        reports: list[asyncio.Task[None]] = []

        def on_ready(where: Listening) -> None:
            announce.listening(config, where.urls[0], demo=demo)
            reports.append(asyncio.create_task(announce.readiness(config, backends, demo=demo)))

        try:
            store = ResponseStore(None if demo else _responses_path(), days=config.responses_days)
            ledger = Ledger(None if demo else usage_path())
            await serve_forever(
                config,
                backends,
                demo=demo,
                store=store,
                ledger=ledger,
                on_ready=on_ready,
                beside=reloads.run if reloads else None,
                stop=stop,
            )
        finally:
            for report in reports:
                report.cancel()
            await asyncio.gather(*reports, return_exceptions=True)


def _responses_path() -> Path:
    """Say where responses are kept."""
    from platformdirs import user_data_path

    return user_data_path("claude-proxy", appauthor=False) / "responses.sqlite3"


def _makers(
    config: Config, environment: Mapping[str, str], workdir: Path | None
) -> Mapping[str, Callable[[], Backend]]:
    """Give what makes each backend of a configuration, the preferred kind first. A new backend gets its line here."""
    from claude_proxy.errors import ConfigError

    made: dict[str, Mapping[str, Callable[[], Backend]]] = {}
    if config.claude_cli.enabled:
        made["claude-cli"] = _claude_cli(config, environment, workdir)
    # In the demo nothing leaves this machine, and nobody pays.
    if config.claude_api_key and workdir is None:
        from claude_proxy.backends.anthropic.backend import ClaudeApi

        made["claude-api-key"] = {"claude-api-key": partial(ClaudeApi, config)}
    if config.openai_compatibility and workdir is None:
        from claude_proxy.backends.openai.backend import OpenAICompatible

        made["openai-compatibility"] = {"openai-compatibility": partial(OpenAICompatible, config)}
    if not made:
        raise ConfigError(
            "no backend is set up: nothing could answer; set `claude-cli.enabled` to true, or add an API key"
        )
    order = [*config.routing.prefer, *made]
    return {name: make for kind in dict.fromkeys(order) for name, make in made.get(kind, {}).items()}


def _claude_cli(
    config: Config, environment: Mapping[str, str], workdir: Path | None
) -> Mapping[str, Callable[[], Backend]]:
    """Give what makes the CLI's backends: the default sign-in's, and one for each profile."""
    import asyncio

    from claude_proxy.backends.claude_cli.backend import ClaudeCli

    if workdir is not None:
        # The demo is for a first look: it starts at once, and writes and reads nothing outside of its own folder.
        return {"claude-cli": partial(ClaudeCli, config.claude_cli, extra_env=environment, workdir=workdir)}
    one_at_a_time = asyncio.Lock()

    async def probe(binary: Binary) -> Report:
        # They share the binary: the second one finds what the first has learnt.
        async with one_at_a_time:
            return await _probe(binary)

    make = partial(ClaudeCli, config.claude_cli, extra_env=environment, probe=probe)
    profiles = {f"claude-cli/{name}": partial(make, profile=name) for name in config.claude_cli.profiles}
    return {"claude-cli": make, **profiles}


async def _probe(binary: Binary) -> Report:
    """Find out what a version of the CLI does. Imported when it is wanted, which is after the server listens."""
    from platformdirs import user_cache_path

    from claude_proxy.backends.claude_cli.probe import cached

    return await cached(binary, user_cache_path("claude-proxy", appauthor=False))


@asynccontextmanager
async def _demo() -> AsyncIterator[tuple[Mapping[str, str], Path]]:
    """Start the simulator, and give what points a CLI to it: never the user's own HOME, sign-in or environment."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from claude_proxy.simulator import Simulator

    with TemporaryDirectory(prefix="claude-proxy-demo-", ignore_cleanup_errors=True) as folder:
        places = {name: Path(folder) / name for name in ("home", "config", "work")}
        for place in places.values():
            place.mkdir(mode=0o700)
        async with Simulator(demo=True, keeps=False) as simulator:
            environment = {
                "HOME": str(places["home"]),
                "CLAUDE_CONFIG_DIR": str(places["config"]),
                "CLAUDE_CODE_OAUTH_TOKEN": "demo",
                "ANTHROPIC_BASE_URL": simulator.base_url,
                # A proxy for the real network must not stand between two ends of this machine.
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
            }
            yield environment, places["work"]
