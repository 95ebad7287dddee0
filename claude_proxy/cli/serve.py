"""``claude-proxy serve``: the one place where configuration, backends and server are put together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

import typer

from claude_proxy.cli.options import ConfigOption, DebugOption, Settings, VersionOption, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from claude_proxy.backends.base import Backend
    from claude_proxy.backends.claude_cli.binary import Binary
    from claude_proxy.backends.claude_cli.features import Report
    from claude_proxy.cli.screen import Answer
    from claude_proxy.config.load import Loaded
    from claude_proxy.config.schema import Config
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

    del version
    chosen = settings(ctx, config, debug=debug)
    options = {"host": host, "port": port, "log_format": log_format and log_format.value, "debug": chosen.debug or None}
    loaded = _load(chosen, options, demo=demo)
    _set_up_logging(loaded, log_level)
    asyncio.run(_serve(loaded.config, demo=demo))


def _load(chosen: Settings, options: Mapping[str, Any], *, demo: bool) -> Loaded:
    from claude_proxy.config.load import find, load

    # The demo runs on defaults: nothing of the user's own set-up can break it, or be used by it.
    path = None if demo and not chosen.config else find(chosen.config)
    overrides = {name: value for name, value in options.items() if value is not None}
    return load(path, overrides=overrides)


def _set_up_logging(loaded: Loaded, level: LogLevel | None) -> None:
    import logging

    from claude_proxy.cli.logfile import LogFile, log_path
    from claude_proxy.server.logs import set_up_logging

    config = loaded.config
    chosen = level or (LogLevel.DEBUG if config.debug else LogLevel.INFO)
    stream = LogFile(log_path(), config.logs_max_total_size_mb * 1_000_000) if config.logging_to_file else None
    # What logging asks of a stream is write and flush, which TextIO says with many more words.
    set_up_logging(config.log_format, chosen.value.upper(), cast("TextIO | None", stream))
    for line in loaded.warnings:
        logging.getLogger("claude_proxy.config").warning(line)


async def _serve(config: Config, *, demo: bool) -> None:
    import asyncio
    from contextlib import AsyncExitStack

    from claude_proxy.ledger.store import Ledger, usage_path
    from claude_proxy.server.app import serve_forever
    from claude_proxy.store.responses import ResponseStore

    async with AsyncExitStack() as stack:
        environment: Mapping[str, str] = {}
        workdir: Path | None = None
        if demo:
            environment, workdir = await stack.enter_async_context(_demo())
        backends = _backends(config, environment, workdir)
        reports: list[asyncio.Task[None]] = []

        def on_ready(where: Listening) -> None:
            _show_listening(config, where, demo=demo)
            reports.append(asyncio.create_task(_report(config, backends, demo=demo)))

        try:
            store = ResponseStore(None if demo else _responses_path(), days=config.responses_days)
            ledger = Ledger(None if demo else usage_path())
            await serve_forever(config, backends, demo=demo, store=store, ledger=ledger, on_ready=on_ready)
        finally:
            for report in reports:
                report.cancel()
            await asyncio.gather(*reports, return_exceptions=True)


def _responses_path() -> Path:
    """Say where responses are kept."""
    from platformdirs import user_data_path

    return user_data_path("claude-proxy", appauthor=False) / "responses.sqlite3"


def _backends(config: Config, environment: Mapping[str, str], workdir: Path | None) -> Sequence[Backend]:
    """Make what the configuration asks for, the preferred kind first. A new backend gets its line here."""
    from claude_proxy.errors import ConfigError

    made: dict[str, Sequence[Backend]] = {}
    if config.claude_cli.enabled:
        made["claude-cli"] = _claude_cli(config, environment, workdir)
    # In the demo nothing leaves this machine, and nobody pays.
    if config.claude_api_key and workdir is None:
        from claude_proxy.backends.anthropic.backend import ClaudeApi

        made["claude-api-key"] = [ClaudeApi(config)]
    if config.openai_compatibility and workdir is None:
        from claude_proxy.backends.openai.backend import OpenAICompatible

        made["openai-compatibility"] = [OpenAICompatible(config)]
    if not made:
        raise ConfigError(
            "no backend is set up: nothing could answer; set `claude-cli.enabled` to true, or add an API key"
        )
    order = [*config.routing.prefer, *made]
    return [backend for kind in dict.fromkeys(order) for backend in made.get(kind, ())]


def _claude_cli(config: Config, environment: Mapping[str, str], workdir: Path | None) -> Sequence[Backend]:
    """Make the CLI's backends: the default sign-in, and one for each profile."""
    import asyncio

    from claude_proxy.backends.claude_cli.backend import ClaudeCli

    if workdir is not None:
        # The demo is for a first look: it starts at once, and writes and reads nothing outside of its own folder.
        return [ClaudeCli(config.claude_cli, extra_env=environment, workdir=workdir)]
    one_at_a_time = asyncio.Lock()

    async def probe(binary: Binary) -> Report:
        # They share the binary: the second one finds what the first has learnt.
        async with one_at_a_time:
            return await _probe(binary)

    profiles = ("", *config.claude_cli.profiles)
    return [ClaudeCli(config.claude_cli, extra_env=environment, probe=probe, profile=name) for name in profiles]


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
        async with Simulator(demo=True) as simulator:
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


def _show_listening(config: Config, where: Listening, *, demo: bool) -> None:
    from claude_proxy.cli import console, screen
    from claude_proxy.config.safety import is_loopback

    base_url = where.urls[0]
    if config.log_format == "json":
        console.line(screen.listening_line(base_url, demo=demo))
        return
    console.out().print(screen.listening(base_url, demo=demo, everywhere=not is_loopback(config.host)))
    lines = screen.paste(base_url, keys=bool(config.api_keys), model=config.default_model)
    console.out().print(lines, soft_wrap=True)


async def _report(config: Config, backends: Sequence[Backend], *, demo: bool) -> None:
    """Tell who answers, as soon as all backends have said so."""
    import asyncio

    from claude_proxy.cli import console, screen

    answers = await asyncio.gather(*(_ask(backend, demo=demo) for backend in backends))
    if config.log_format == "json":
        console.line(screen.backends_line(answers))
    else:
        console.out().print(screen.backends(answers))


async def _ask(backend: Backend, *, demo: bool) -> Answer:
    from dataclasses import replace

    from claude_proxy.cli.screen import Answer
    from claude_proxy.errors import ProxyError

    health = await backend.health()
    if demo:
        # The dummy token counts as a sign-in for the CLI, and is nobody's.
        health = replace(health, account=None)
    try:
        models = await backend.models() if health.ready else ()
    except ProxyError as error:
        return Answer(backend.name, health, error.message)
    return Answer(backend.name, health, models)
