"""What upstreams offer, by the config or by their own lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_proxy.backends.base import Model
from claude_proxy.backends.openai import catalog
from claude_proxy.config.schema import ModelName, OpenAICompatibility
from claude_proxy.errors import UpstreamError


def entry(*models: tuple[str, str], prefix: str = "") -> OpenAICompatibility:
    """Give an entry with these models, as name and alias."""
    named = tuple(ModelName(name=name, alias=alias) for name, alias in models)
    return OpenAICompatibility(name="up", base_url="http://x", models=named, prefix=prefix)


def test_the_config_names_models_and_aliases() -> None:
    """A model that stands there twice has both aliases."""
    found = catalog.configured(entry(("big/one", "big"), ("small", ""), ("big/one", "huge"), ("s", "s"), prefix="p"))

    assert found == (
        Model("big/one", "big", aliases=("big", "huge"), prefix="p"),
        Model("small", "small", prefix="p"),
        Model("s", "s", prefix="p"),
    )


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ({"id": "a"}, Model("a", "a", prefix="p")),
        (
            {"id": "a", "name": "A", "context_length": 10, "top_provider": {"max_completion_tokens": 5}},
            Model("a", "A", context_window=10, max_output_tokens=5, prefix="p"),
        ),
        ({"id": "a", "max_model_len": 10}, Model("a", "a", context_window=10, prefix="p")),
        (
            {"id": "a", "name": 5, "context_window": 10, "max_completion_tokens": 3, "top_provider": None},
            Model("a", "a", context_window=10, max_output_tokens=3, prefix="p"),
        ),
        ({"id": "a", "context_length": None}, Model("a", "a", prefix="p")),
        ({"id": "models/a"}, Model("a", "a", prefix="p")),
    ],
)
def test_an_upstream_lists_models(row: dict[str, Any], model: Model) -> None:
    """With what it tells of them, in the words of each kind of upstream."""
    assert catalog.listed(json.dumps({"object": "list", "data": [row]}).encode(), "p") == (model,)


def test_what_is_no_model_is_passed_over() -> None:
    """A list may stand alone, and may hold anything."""
    assert catalog.listed(b'[{"id":"a"},{"id":5},{"id":""},7,{"id":"a"}]', "") == (Model("a", "a"),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data": 5}', b"5", b"[" * 100_000])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    """A page for people is none."""
    with pytest.raises(UpstreamError, match="list of models"):
        catalog.listed(body, "")


def test_entries_are_put_together() -> None:
    """One model for each name and prefix; the first one says what is known of it, all give their aliases."""
    first = (Model("a", "A", aliases=("x",)), Model("b", "B"))
    second = (Model("a", "Z", aliases=("x", "y")), Model("a", "P", prefix="p"))

    assert catalog.merged([first, second]) == (
        Model("a", "A", aliases=("x", "y")),
        Model("b", "B"),
        Model("a", "P", prefix="p"),
    )
