"""``docs/reliability.md`` names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text("utf-8")
FAULTS, _, _ = PAGE.partition("## A day of use")  # what comes there are measurements


def test_every_fault_has_a_test_that_there_is() -> None:
    """A row without one is a promise that nobody keeps."""
    rows = [line for line in FAULTS.splitlines() if line.startswith("| ") and not line.startswith(("| fault", "| ---"))]
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }

    assert rows
    assert [row for row in rows if not re.search(r"`test_\w+`", row)] == []
    assert [name for name in re.findall(r"`(test_\w+)`", PAGE) if name not in there] == []


def test_every_test_of_the_chaos_suite_is_named() -> None:
    """So the page shows all that was tried."""
    files = (ROOT / "tests/chaos").glob("test_*.py")
    tried = {name for file in files for name in re.findall(r"^async def (test_\w+)", file.read_text(), re.MULTILINE)}

    assert [name for name in sorted(tried) if f"`{name}`" not in PAGE] == []
