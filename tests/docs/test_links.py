"""The documents hang together: links lead somewhere, and every page is found from the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def named(path: Path) -> str:
    """Give a document's name."""
    return str(path.relative_to(ROOT))


def links(path: Path) -> list[tuple[str, str]]:
    """Give the links to files of ours, each with the heading that it names."""
    found = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", path.read_text("utf-8"))
    return [(target, heading) for target, heading in found if "://" not in target and not target.startswith("mailto:")]


def anchors(path: Path) -> set[str]:
    """Give the names under which a page's headings are linked to."""
    headings = re.findall(r"^#+ +(.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_a_link_leads_to_a_file_that_there_is(document: Path) -> None:
    """And to a heading in it."""
    broken = [
        (target, heading)
        for target, heading in links(document)
        if not (page := document.parent / target if target else document).exists()
        or (heading and heading not in anchors(page))
    ]

    assert broken == []


def test_every_page_is_found_from_the_readme() -> None:
    """A page that nothing links to is read by nobody."""
    linked = {(ROOT / target).resolve() for target, _ in links(ROOT / "README.md")}

    assert [named(page) for page in sorted((ROOT / "docs").glob("*.md")) if page not in linked] == []
