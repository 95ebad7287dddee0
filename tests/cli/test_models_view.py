"""The list of models, rendered at fixed widths."""

import io
from typing import Any

import pytest
from rich.console import Console

from claude_proxy.cli.models_view import entry, in_short, view

EFFORTS = ("low", "medium", "high", "xhigh", "max")
OPUS = {
    "id": "claude-opus-5-5",
    "backend": "claude-cli",
    "context_window": 1_000_000,
    "max_output_tokens": 128_000,
    "effort_levels": EFFORTS,
}
HAIKU = {"id": "claude-haiku-4-5-20251001", "backend": "claude-cli", "context_window": 200_000}
ALIASES = (
    {**OPUS, "id": "opus", "alias_of": "claude-opus-5-5"},
    {**OPUS, "id": "default", "alias_of": "claude-opus-5-5"},
    {**HAIKU, "id": "haiku", "alias_of": "claude-haiku-4-5-20251001"},
)


def shown(*models: dict[str, Any], width: int = 80) -> str:
    """Render models."""
    written = io.StringIO()
    console = Console(file=written, width=width, highlight=False)
    console.print(view([entry(model) for model in models], "listed by me", width=width), soft_wrap=True)
    return written.getvalue()


def test_aliases_stand_under_their_model() -> None:
    """A line for each name, and 80 columns hold it: effort levels are told as a range."""
    assert shown(OPUS, HAIKU, *ALIASES) == (
        "id                         backend     context  max output  effort\n"
        "claude-opus-5-5            claude-cli       1M        128k  low to max\n"
        "  opus                     alias of claude-opus-5-5\n"
        "  default                  alias of claude-opus-5-5\n"
        "claude-haiku-4-5-20251001  claude-cli     200k           -\n"
        "  haiku                    alias of claude-haiku-4-5-20251001\n"
        "\n"
        "listed by me\n"
    )


def test_effort_levels_are_told_in_full_where_there_is_room() -> None:
    """One can paste them."""
    assert "        128k  low medium high xhigh max\n" in shown(OPUS, HAIKU, width=120)


def test_a_profile_s_models_fit_80_columns() -> None:
    """With the longest name there is."""
    work = {**HAIKU, "id": "work/claude-haiku-4-5-20251001", "backend": "claude-cli/work", "effort_levels": EFFORTS}

    assert max(map(len, shown(OPUS, work, *ALIASES).splitlines())) <= 80


def test_a_long_alias_makes_room_for_itself() -> None:
    """Columns stay aligned, and a line that is too long is not cut."""
    text = shown(OPUS, {"id": "a" * 90, "alias_of": "claude-opus-5-5"})

    assert f"  {'a' * 90}  alias of claude-opus-5-5\n" in text
    assert f"claude-opus-5-5{' ' * 77}  claude-cli" in text


def test_no_models_are_a_heading() -> None:
    """Nothing breaks."""
    assert shown().startswith("id  backend  context  max output  effort\n")


@pytest.mark.parametrize(
    ("efforts", "words"),
    [
        ("low medium high xhigh max", "low to max"),
        ("medium high xhigh", "medium to xhigh"),
        ("low high", "low high"),
        ("low high max", "low high max"),
        ("tiny huge immense", "tiny huge immense"),
        ("", ""),
    ],
)
def test_a_range_has_no_gaps(efforts: str, words: str) -> None:
    """What is missing between would be a promise that isn't kept."""
    assert in_short(efforts) == words


def test_an_entry_has_the_same_keys_whoever_lists_it() -> None:
    """What the API adds for its clients' sake is left out."""
    assert entry({"id": "x", "object": "model", "created": 0}) == {
        "id": "x",
        "alias_of": None,
        "display_name": None,
        "backend": None,
        "context_window": None,
        "max_output_tokens": None,
        "effort_levels": [],
    }
