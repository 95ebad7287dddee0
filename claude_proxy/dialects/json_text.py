"""JSON that stays one line for every client. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

_LINE_ENDS = ((b"\xc2\x85", rb"\u0085"), (b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"))
"""What Unicode calls line ends and SSE doesn't: some clients split a stream there, so they go out escaped."""


def json_text(value: Any) -> bytes:
    """Encode a value for an SSE frame."""
    encoded = msgspec.json.encode(value)
    if not encoded.isascii():
        for raw, escaped in _LINE_ENDS:
            encoded = encoded.replace(raw, escaped)
    return encoded
