"""What upstreams offer, by their own lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_proxy.backends.base import Model
from claude_proxy.backends.openai import catalog
from claude_proxy.errors import UpstreamError


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ({"id": "a"}, Model("a", "a")),
        (
            {"id": "a", "name": "A", "context_length": 10, "top_provider": {"max_completion_tokens": 5}},
            Model("a", "A", context_window=10, max_output_tokens=5),
        ),
        ({"id": "a", "max_model_len": 10}, Model("a", "a", context_window=10)),
        (
            {"id": "a", "name": 5, "context_window": 10, "max_completion_tokens": 3, "top_provider": None},
            Model("a", "a", context_window=10, max_output_tokens=3),
        ),
        ({"id": "a", "context_length": None}, Model("a", "a")),
        ({"id": "models/a"}, Model("a", "a")),
    ],
)
def test_an_upstream_lists_models(row: dict[str, Any], model: Model) -> None:
    """With what it tells of them, in the words of each kind of upstream."""
    assert catalog.listed(json.dumps({"object": "list", "data": [row]}).encode()) == (model,)


def test_what_is_no_model_is_passed_over() -> None:
    """A list may stand alone, and may hold anything."""
    assert catalog.listed(b'[{"id":"a"},{"id":5},{"id":""},7,{"id":"a"}]') == (Model("a", "a"),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data": 5}', b"5", b"[" * 100_000])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    """A page for people is none."""
    with pytest.raises(UpstreamError, match="list of models"):
        catalog.listed(body)
