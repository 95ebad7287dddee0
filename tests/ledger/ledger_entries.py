"""Short ways to make what the ledger keeps."""

from __future__ import annotations

from typing import Any

from claude_proxy.ledger.entry import Entry, Group

NOW = 1_795_600_000.0


def entry(**fields: Any) -> Entry:
    """Give a turn that went well."""
    usual: dict[str, Any] = {
        "at": NOW,
        "dialect": "chat",
        "backend": "claude-cli",
        "profile": "",
        "model": "claude-sonnet-5-5",
        "status": 200,
        "total_seconds": 1.5,
        "input_tokens": 10,
        "output_tokens": 20,
    }
    return Entry(**usual | fields)


def group(model: str = "claude-sonnet-5-5", **fields: Any) -> Group:
    """Give a sum of turns without tokens."""
    usual = dict.fromkeys(Group._fields, 0) | {"model": model, "backend": "claude-cli", "requests": 1}
    return Group(**usual | fields)  # type: ignore[arg-type]  # the test's own
