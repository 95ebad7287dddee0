"""What ``serve`` tells at its start: where it listens, and who answers as soon as all have said so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from claude_proxy.backends.base import Backend
from claude_proxy.cli import console, screen
from claude_proxy.cli.screen import Answer
from claude_proxy.config.safety import is_loopback
from claude_proxy.config.schema import Config
from claude_proxy.errors import ProxyError


def listening(config: Config, base_url: str, *, demo: bool) -> None:
    """Tell where clients connect."""
    if config.log_format == "json":
        console.line(screen.listening_line(base_url, demo=demo))
        return
    console.out().print(screen.listening(base_url, demo=demo, everywhere=not is_loopback(config.host)))
    lines = screen.paste(base_url, keys=bool(config.api_keys), model=config.default_model)
    console.out().print(lines, soft_wrap=True)


async def readiness(config: Config, backends: Sequence[Backend], *, demo: bool) -> None:
    """Tell who answers, as soon as all backends have said so."""
    answers = await asyncio.gather(*(_ask(backend, demo=demo) for backend in backends))
    if config.log_format == "json":
        console.line(screen.backends_line(answers))
    else:
        console.out().print(screen.backends(answers))


async def _ask(backend: Backend, *, demo: bool) -> Answer:
    health = await backend.health()
    if demo:
        # The dummy token counts as a sign-in for the CLI, and is nobody's.
        health = replace(health, account=None)
    try:
        models = await backend.models() if health.ready else ()
    except ProxyError as error:
        return Answer(backend.name, health, error.message)
    return Answer(backend.name, health, models)
