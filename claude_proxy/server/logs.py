"""Logging set-up: lines for people or JSON for machines; one record is one line, and secrets are masked in both."""

from __future__ import annotations

import codecs
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

import msgspec
from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler

from claude_proxy.server.exchange import CURRENT

LogFormat = Literal["rich", "json"]

_SECRET = re.compile(
    r"\b(sk-)[A-Za-z0-9_-]{6,}"
    r"|\b((?:cp|xai|key)-|(?:gsk|hf|ghp|github_pat)_|AIza)[A-Za-z0-9_-]{20,}"
    r"|(://[^/\s:@'\"]*:)[^/\s@'\"]+(?=@)"  # a proxy's password
    r"|(\bBearer\s+)[^\s'\",;]+"
    # The quotes may be escaped, any number of times: JSON in JSON.
    r"|(\b(?:x-api-key|api[-_]key|authorization|(?:\w+_)?(?:token|secret|password))\\*['\"]?\s*[:=]\s*\\*['\"]?(?:Basic\s+)?)(?!Bearer\b)[^\s'\",;\\]+",
    re.IGNORECASE,
)
_UNSEEN = r"\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
"""What acts on a terminal, ends a line for some reader, or hides or turns around what stands beside it."""

# Python reads its codec from a file when it is first needed, which fails where no more files can be opened.
codecs.lookup("unicode_escape")

_CONTROL = re.compile(rf"[\x00-\x1f{_UNSEEN}]")
_CONTROL_BUT_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_UNSEEN}]")
_CONTROL_IN_JSON = re.compile(rf"[{_UNSEEN}]")


def set_up_logging(log_format: LogFormat, level: int | str = logging.INFO, stream: TextIO | None = None) -> None:
    """Send all logging to ``stream`` (stderr unless told), ours from ``level`` on, other libraries' from WARNING on.

    Calling it again replaces what the last call set up.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler.formatter, _Formatter)]:
        root.removeHandler(old)
    root.addHandler(_handler(log_format, stream or sys.stderr))
    root.setLevel(logging.WARNING)
    logging.getLogger("claude_proxy").setLevel(level)


def masked(text: str) -> str:
    """Give ``text`` with everything that looks like a key or a token taken out."""
    return _SECRET.sub(lambda match: f"{next(part for part in match.groups() if part)}***", text)


def _handler(log_format: LogFormat, stream: TextIO) -> logging.Handler:
    handler: logging.Handler
    if log_format == "json":
        handler = logging.StreamHandler(stream)
        handler.setFormatter(_JsonFormatter())
    elif stream.isatty():
        handler = RichHandler(
            console=Console(file=stream), show_path=False, highlighter=NullHighlighter(), log_time_format="%X"
        )
        handler.setFormatter(_Formatter("%(message)s"))
    else:
        # Rich folds lines at the width of a terminal, and a file or the journal has none.
        handler = logging.StreamHandler(stream)
        handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


class _Formatter(logging.Formatter):
    """One line a record (and a traceback where there is one), with nothing in it that acts on a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        record.message = _CONTROL.sub(_escaped, record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        text = masked(_CONTROL_BUT_LINES.sub(_escaped, super().format(record)))
        # What a failure says may have lines of its own: none of them may pass for a record.
        return text.replace("\n", "\n    ")


class _JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        exchange = CURRENT.get(None)
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if exchange is not None:
            entry["request_id"] = exchange.id
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        text = msgspec.json.encode({key: _clean(value) for key, value in entry.items()}).decode()
        return _CONTROL_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _clean(value: object) -> object:
    # A lone surrogate (a file name that is no UTF-8, say) can't be JSON.
    return masked(value.encode("utf-8", "replace").decode()) if isinstance(value, str) else value


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
