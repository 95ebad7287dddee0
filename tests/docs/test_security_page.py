"""``docs/security.md`` names a test for each defence, and each is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text("utf-8")


def existing() -> set[str]:
    """Give every test there is, as the page names them: a file's name is given once only."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [node.name] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
            if isinstance(node, ast.Assign):
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            found |= {f"{path.name}::{name}" for name in names if name.lower().startswith("test")}
    return found


def test_every_test_that_is_named_is_there() -> None:
    """A defence whose test was renamed or taken out would stand there unshown."""
    named = set(re.findall(r"`(test_\w+\.py::\w+)`", PAGE))
    assert named
    assert named - existing() == set()


def test_every_defence_names_a_test() -> None:
    """A row of a table without one is a promise."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    defences = [row for row in rows if not row.endswith("| shown by |")]
    assert [row for row in defences if not re.search(r"`test_\w+\.py::\w+`[^|]*\|$", row)] == []
