"""``status --check``: what the installed CLI does, check by check, and what a failed one switches off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.backends.claude_cli.features import VITAL, Check, Report
from claude_proxy.backends.claude_cli.probe import probe
from claude_proxy.cli import console
from claude_proxy.cli.screen import LOOK
from claude_proxy.cli.status_view import BAD, GOOD, QUIET

OFF = {
    "next-turn": "a conversation's next turn starts another process",
    "thinking": "thinking is left out and named as lost",
    "effort": "the effort is left out and named as lost",
    "json-schema": "requests with a JSON schema are refused",
    "tools": "requests with tools are refused",
    "held-results": "tool results start another process",
    "parameters": "sampling parameters and max_tokens are left out and named as lost",
    "errors": "nothing: a refusal may come as another one",
    "early-stop": "nothing: a reply that was cut short may go on",
    "broken-stream": "nothing: a reply that broke off may be asked for again",
}
"""What follows when a check fails that isn't vital."""


def run(path: str, *, as_json: bool) -> int:
    """Check the CLI at ``path`` (empty: the one that ``serve`` would find), show the outcome, give the exit code."""
    binary = find_binary(path)
    with console.err().status(f"checking the claude CLI {binary.version} on loopback"):
        report = asyncio.run(probe(binary))
    if as_json:
        console.data(document(report, binary.path))
    else:
        console.out().print(view(report, binary.path))
    return 1 if report.refused else 0


def document(report: Report, path: str) -> dict[str, Any]:
    """Give the outcome for machines."""
    checks = [
        {"name": check.name, "passed": check.passed, "detail": check.detail, "off": _consequence(check) or None}
        for check in report.checks
    ]
    return {
        "version": report.version,
        "path": path,
        "refused": report.refused,
        "off": sorted(report.off),
        "checks": checks,
    }


def view(report: Report, path: str) -> RenderableType:
    """Give the outcome for people."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    for title in ("check", "result", "switched off"):
        table.add_column(title)
    for check in report.checks:
        result = Text("passed", GOOD) if check.passed else Text("failed" if check.shown else "not shown", BAD)
        table.add_row(check.name, result, _told(check))
    head = Text.assemble(("claude CLI ", "bold"), (report.version, "bold"), (f"  {path}", QUIET))
    return Group(head, Text(), table, Text(), *_verdict(report))


def _told(check: Check) -> Text:
    if check.passed:
        return Text()
    return Text.assemble((_consequence(check), LOOK), (f"\n{check.detail}", QUIET))


def _consequence(check: Check) -> str:
    if check.passed:
        return ""
    return "everything: this version isn't used" if check.name in VITAL else OFF[check.name]


def _verdict(report: Report) -> Iterator[Text]:
    if report.refused:
        yield Text(report.refused, BAD)
    elif report.off:
        yield Text("It is used without what is switched off.", LOOK)
    else:
        yield Text("It does all that is asked of it.", GOOD)
