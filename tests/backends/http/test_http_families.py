"""Which model stands in for an old one."""

from __future__ import annotations

import pytest

from claude_proxy.backends.base import Model
from claude_proxy.backends.http.families import Missing, current, family, is_of_model
from claude_proxy.errors import BadRequest, NotFound, ProxyError, UnknownModel

LIST = [Model(name, name) for name in ("claude-sonnet-5-5", "claude-sonnet-4-6", "claude-opus-5-5", "gpt-6")]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("claude-sonnet-4", "sonnet"),
        ("claude-3-5-sonnet-20241022", "sonnet"),
        ("claude-opus", "opus"),
        ("claude-2.1", None),
        ("gpt-6", None),
        ("my-claude-opus-4", None),
    ],
)
def test_a_name_has_a_family(name: str, found: str | None) -> None:
    """L02: old ones, too."""
    assert family(name) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("claude-3-5-sonnet-20241022", "claude-sonnet-5-5"),
        ("claude-sonnet-5-5", "claude-sonnet-4-6"),
        ("claude-opus-5-5", None),
        ("claude-haiku-3", None),
        ("gpt-5", None),
    ],
)
def test_the_first_of_the_family_is_its_current_one(name: str, found: str | None) -> None:
    """L02: a model never stands in for itself, nor for another family's."""
    assert current(name, LIST, "") == found


def test_a_prefix_is_a_world_of_its_own() -> None:
    """L02: another entry's model is another's."""
    assert current("claude-sonnet-4", LIST, "work") is None
    assert current("claude-sonnet-4", [Model("claude-sonnet-5", "S", prefix="work")], "work") == "claude-sonnet-5"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFound("model: claude-opus-4"), True),
        (UnknownModel("no such thing"), True),
        (NotFound("Not Found"), False),
        (BadRequest("claude-opus-4 is odd"), False),
    ],
)
def test_a_404_may_be_of_something_else(error: ProxyError, *, expected: bool) -> None:
    """L02: a wrong `base-url` teaches nothing about a model."""
    assert is_of_model(error, "claude-opus-4") is expected


def test_it_is_believed_for_a_day() -> None:
    """L02: and below its prefix only; what is remembered has a bound."""
    missing = Missing()
    missing.learn("", "m", 5.0)
    assert missing.holds("", "m", 5.0)
    assert missing.holds("", "m", 86_404.0)
    assert not missing.holds("", "m", 86_405.0)
    assert not missing.holds("p", "m", 5.0)
    for place in range(1001):
        missing.learn("", str(place), 5.0)
    assert len(missing._until) < 1000
