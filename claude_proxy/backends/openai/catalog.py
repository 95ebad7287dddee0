"""An upstream's answer to ``GET /models`` as our models. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from claude_proxy.backends.base import Model
from claude_proxy.canon.blocks import UNREADABLE, Json
from claude_proxy.errors import UpstreamError

_WINDOWS = ("context_length", "context_window", "max_model_len", "max_context_length")
"""What OpenRouter, Groq, vLLM and others call it. OpenAI doesn't say."""

_OUTPUTS = ("max_completion_tokens", "max_output_tokens")


def listed(body: bytes) -> tuple[Model, ...]:
    """Read an upstream's list; raise ``UpstreamError`` for what is none."""
    try:
        document = msgspec.json.decode(body)
    except UNREADABLE as error:
        raise UpstreamError("the upstream's list of models isn't JSON") from error
    rows = document.get("data") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise UpstreamError("the upstream's list of models isn't one")
    found = {row["id"]: row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"]}
    return tuple(_model(row) for row in found.values())


def _model(row: Json) -> Model:
    model_id: str = row["id"]
    # One well-known upstream lists its models as ``models/name``, and takes the name alone.
    short = model_id.removeprefix("models/")
    name = row.get("name")
    top = row.get("top_provider")
    return Model(
        id=short,
        display_name=name if isinstance(name, str) and name else short,
        context_window=_first(row, _WINDOWS),
        max_output_tokens=_first(top if isinstance(top, dict) else row, _OUTPUTS),
    )


def _first(row: Json, names: Iterable[str]) -> int | None:
    values: list[Any] = [row.get(name) for name in names]
    return next((value for value in values if isinstance(value, int) and value > 0), None)
