"""The pages that ``make docs`` writes are what it would write now."""

from __future__ import annotations

import re
from pathlib import Path

import generate
import pytest

from claude_proxy.config.keys import keys

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", generate.PAGES)
def test_a_generated_page_is_up_to_date(page: str) -> None:
    """After a change to a command or to a key: ``make docs``."""
    text = (DOCS / page).read_text("utf-8")

    assert text == generate.written(page, text), "run `make docs`"


@pytest.mark.parametrize("page", generate.PAGES)
def test_what_is_written_by_hand_stays(page: str) -> None:
    """Only what stands between the marks is replaced."""
    text = generate.written(page, f"before\n{generate.BEGIN}\nold\n{generate.END}\nafter\n")

    assert text.startswith(f"before\n{generate.BEGIN}\n\n## ")
    assert text.endswith(f"\n\n{generate.END}\nafter\n")
    assert "\nold\n" not in text


def test_every_command_has_two_examples() -> None:
    """Each help page ends with at least two, each of which is a call of ours."""
    sections = re.split(r"^## `", "\n\n".join(generate.commands()), flags=re.MULTILINE)[1:]
    shown = {
        section.partition("`")[0]: re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        for section in sections
    }

    assert {name for name, (block,) in shown.items() if len(block.splitlines()) < 2} == set()
    assert [line for (block,) in shown.values() for line in block.splitlines() if "claude-proxy" not in line] == []


def test_the_configuration_page_names_every_key_but_the_sections() -> None:
    """A key stands in one row; a section is a heading."""
    text = "\n\n".join(generate.configuration())
    rows, headings = re.findall(r"^\| `([^`]+)`", text, re.MULTILINE), re.findall(r"^## `(.+)`", text, re.MULTILINE)

    assert sorted(rows + headings) == sorted(key.name for key in keys())


@pytest.mark.parametrize(
    ("signature", "spelt"),
    [
        ("--port <int range>", "--port NUMBER"),
        ("--port INTEGER RANGE", "--port NUMBER"),
        ("--log-format <rich|json>", "--log-format rich|json"),
        ("--log-format [rich|json]", "--log-format rich|json"),
        ("--profile NAME", "--profile NAME"),
        ("[NAME]", "[NAME]"),
    ],
)
def test_an_option_is_spelt_the_same_with_every_version_of_typer(signature: str, spelt: str) -> None:
    """Else the page would be out of date with the next one."""
    assert generate.spelt(signature) == spelt


@pytest.mark.parametrize(
    ("shown", "meant"),
    [
        ("How much.  [default: (info)]", "How much. Default: `info`."),
        ("How much.  [default: info]", "How much. Default: `info`."),
        ("The port.  [0<=x<=65535]", "The port."),
        ("The port.  [default: 1; 0<=x<=65535]", "The port. Default: `1`."),
        ("One that\nis folded [or not].", "One that is folded [or not]."),
    ],
)
def test_a_default_is_a_sentence_and_a_range_is_left_out(shown: str, meant: str) -> None:
    """Each in the ways that versions of Typer have had."""
    assert generate.meant(shown) == meant
