"""What keys offer, by the config or by their upstream's list."""

from __future__ import annotations

from typing import Any

from claude_proxy.backends.base import Model
from claude_proxy.backends.http.catalog import merged, offered
from claude_proxy.backends.http.keys import Credential
from claude_proxy.config.schema import ModelName


def key(*models: str, **fields: Any) -> Credential:
    """Give a key with models, each as ``name=alias``."""
    named = tuple(ModelName(name=one.partition("=")[0], alias=one.partition("=")[2]) for one in models)
    return Credential("k", "k", "u", models=named, **fields)


def test_the_config_names_models_and_aliases() -> None:
    """A model that stands there twice has both aliases, and is shown by the first."""
    assert offered(key("big/one=big", "small", "big/one=huge", "s=s", prefix="p"), ()) == (
        Model("big/one", "big", aliases=("big", "huge"), prefix="p"),
        Model("small", "small", prefix="p"),
        Model("s", "s", prefix="p"),
    )


def test_the_upstreams_list_says_more_of_what_the_config_names() -> None:
    """L01: and adds nothing to it."""
    listed = [Model("m", "M", max_output_tokens=7), Model("other", "Other")]
    assert offered(key("m=a", "n", prefix="p"), listed) == (
        Model("m", "M", aliases=("a",), max_output_tokens=7, prefix="p"),
        Model("n", "n", prefix="p"),
    )


def test_what_is_excluded_is_not_offered() -> None:
    """L01: neither a name nor an alias, named or listed."""
    assert offered(key("m=a", "m=x-b", "n", excluded_models=("x-*", "n")), ()) == (Model("m", "a", aliases=("a",)),)
    listed = [Model("claude-haiku-4", "H"), Model("claude-opus-4", "O")]
    assert offered(key(prefix="p", excluded_models=("*-haiku-*",)), listed) == (
        Model("claude-opus-4", "O", prefix="p"),
    )


def test_lists_are_put_together() -> None:
    """One model for each name and prefix; the first one says what is known of it, all give their aliases."""
    first = (Model("a", "A", aliases=("x",)), Model("b", "B"))
    second = (Model("a", "Z", aliases=("x", "y")), Model("a", "P", prefix="p"))
    assert merged([first, second]) == (
        Model("a", "A", aliases=("x", "y")),
        Model("b", "B"),
        Model("a", "P", prefix="p"),
    )
