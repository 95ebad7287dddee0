"""What ``serve`` shows: where it listens at once, who answers as soon as that is known. Renders, and asks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from claude_proxy import __version__
from claude_proxy.backends.base import Health, Model

DEMO = "demo: a built-in simulator answers, nothing leaves this machine"
_SHOWN = 8

LOOK = "color(166)"
"""An orange for what wants a look; a terminal's yellow can't be read on white."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend said of itself; ``models`` is the reason where it couldn't list them."""

    name: str
    health: Health
    models: Sequence[Model] | str


def listening(base_url: str, *, demo: bool, everywhere: bool) -> RenderableType:
    """Show where clients connect."""
    addresses = Table.grid(padding=(0, 2))
    addresses.add_row("[dim]OpenAI[/]", Text(f"{base_url}/v1", "bold"))
    addresses.add_row("[dim]Anthropic[/]", Text(base_url, "bold"))
    if everywhere:
        addresses.add_row("[dim]Network[/]", Text("the same port on every address of this machine"))
    if demo:
        addresses.add_row("[dim]Backend[/]", Text(DEMO, LOOK))
    title = f"[bold]claude-proxy[/] {__version__}"
    return Panel(addresses, title=title, title_align="left", border_style="cyan", expand=False, padding=(0, 2))


def paste(base_url: str, *, keys: bool, model: str) -> Text:
    """Give the lines that point a client of either API here. Print them unfolded, so that they can be copied."""
    key = "'one of your api-keys'" if keys else "unused"
    authorization = '  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n' if keys else ""
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    lines = (
        f"export OPENAI_BASE_URL={base_url}/v1\n"
        f"export OPENAI_API_KEY={key}\n"
        "curl $OPENAI_BASE_URL/chat/completions -H 'Content-Type: application/json' \\\n"
        f"{authorization}"
        f"  -d '{body}'\n"
        "\n"
        f"export ANTHROPIC_BASE_URL={base_url}\n"
        f"export ANTHROPIC_API_KEY={key}\n"
    )
    return Text.assemble("\n", (lines, "green"))


def backends(answers: Sequence[Answer]) -> RenderableType:
    """Show which backends can answer, for whom, and with what."""
    table = Table.grid(padding=(0, 2))
    for answer in answers:
        health = answer.health
        mark = Text("ready", "green") if health.ready else Text("not ready", "bold red")
        table.add_row(Text(answer.name, "bold"), mark, Text(_who(health)))
        if health.ready:
            table.add_row("", Text("models", "dim"), Text(_names(answer.models)))
    return Group(table, Text("\nCtrl-C stops.", "dim"))


def _who(health: Health) -> str:
    return f"{health.detail}, signed in: {health.account}" if health.account else health.detail


def _names(models: Sequence[Model] | str) -> str:
    if isinstance(models, str):
        return models
    names = [_asked_as(model, name) for model in models for name in model.aliases or (model.id,)]
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _asked_as(model: Model, name: str) -> str:
    return f"{model.prefix}/{name}" if model.prefix else name


def listening_line(base_url: str, *, demo: bool) -> dict[str, object]:
    """Give ``listening`` for machines."""
    urls = {"openai_base_url": f"{base_url}/v1", "anthropic_base_url": base_url}
    return {"event": "listening", "version": __version__, "demo": demo, **urls}


def backends_line(answers: Sequence[Answer]) -> dict[str, object]:
    """Give ``backends`` for machines."""
    return {"event": "backends", "backends": [_machine(answer) for answer in answers]}


def _machine(answer: Answer) -> dict[str, object]:
    health = answer.health
    return {
        "name": answer.name,
        "ready": health.ready,
        "detail": health.detail,
        "account": health.account,
        "version": health.version,
        "models": [] if isinstance(answer.models, str) else [_asked_as(model, model.id) for model in answer.models],
    }
