"""What the documentation tells its readers to paste, taken out of its pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADDRESS = "http://127.0.0.1:8317"
BY_TESTS, BY_HAND, NOT_RUN = "Run by the tests", "Run by hand", "Not run here"


@dataclass(frozen=True)
class Snippet:
    """A block of code of a page."""

    page: str
    section: str
    language: str
    text: str

    def at(self, base_url: str) -> str:
        """Give it for a server that listens somewhere else."""
        return self.text.replace(ADDRESS, base_url)


@dataclass(frozen=True)
class Section:
    """A client's section: how far it was tried, and what to paste."""

    title: str
    tried: str
    snippets: tuple[Snippet, ...]


def sections(page: str) -> list[Section]:
    """Give the sections of a page."""
    _, *parts = re.split(r"^## ", (ROOT / page).read_text("utf-8"), flags=re.MULTILINE)
    return [_section(page, *part.split("\n", 1)) for part in parts]


def _section(page: str, title: str, body: str) -> Section:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
    tried = re.match(rf"\s*\*({BY_TESTS}|{BY_HAND}|{NOT_RUN})\b", body)
    return Section(title, tried[1] if tried else "", tuple(Snippet(page, title, *block) for block in blocks))
