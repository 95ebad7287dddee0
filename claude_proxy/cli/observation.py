"""What can be seen of the server from outside: its own answer, or, without one, the same keys with what is known."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_proxy import __version__
from claude_proxy.cli.server_client import NoServer, Place, ask
from claude_proxy.cli.status_document import Status
from claude_proxy.errors import ProxyError
from claude_proxy.ledger.store import read_usage, usage_path

Json = dict[str, Any]


def observe(where: Place, *, now: float) -> tuple[Json, ProxyError | None]:
    """Give the document of ``status --json``, and what kept the server from answering.

    Usage is in a file, so it is there without a server, too.
    """
    try:
        answer = ask(where, "/api/status")
        understood(found := {"running": True, "url": where.url, "detail": None, **answer})
    except ProxyError as failure:
        runs = not isinstance(failure, NoServer)
        absent = msgspec.to_builtins(Status(running=runs, url=where.url, detail=failure.message))
        return {**absent, "usage": None if runs else read_usage(usage_path(), now)}, failure
    return found, None


def understood(document: Json) -> Status:
    """Read the document; raise ``ProxyError`` for one that another version has written."""
    try:
        return msgspec.convert(document, Status)
    except msgspec.ValidationError as error:
        theirs = document.get("version")
        message = f"the answer of the server, version {theirs}, isn't understood by this command's, {__version__}"
        raise ProxyError(f"{message} ({error}): restart the server") from error
