"""``docs/api.md`` names what the server has."""

from __future__ import annotations

import re
from pathlib import Path

from claude_proxy.server.exposition import exposition
from claude_proxy.server.metrics import Metrics
from claude_proxy.server.routes import GREETED_PATHS, routes

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text("utf-8")
ONLY_TO_REFUSE = {"/v1/responses/{id}/cancel"}


def test_every_endpoint_is_named() -> None:
    """But for what clients ask to see whether somebody is there, and what is there to be refused."""
    paths = {re.sub(r"{(\w+):.*}", r"{\1}", route.path) for route in routes()} - ONLY_TO_REFUSE - GREETED_PATHS

    assert [path for path in sorted(paths) if f"`{path}`" not in PAGE] == []


def test_exactly_the_metrics_there_are_are_named() -> None:
    """With the suffix that Prometheus shows."""
    text = exposition(Metrics(), 0, {}).decode()
    there = set(re.findall(r"^# HELP (claude_proxy_\w+)", text, re.MULTILINE))

    assert set(re.findall(r"`(claude_proxy_\w+)`", PAGE)) == there
