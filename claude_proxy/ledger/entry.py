"""One finished turn as the ledger has it, and many of them together. Pure."""

from __future__ import annotations

from typing import NamedTuple

CLIENT_GONE = 499
"""The status of a turn whose client left before its end: nobody's failure."""

_FIRST_FAILURE = 400
_LARGEST = 1 << 53
_LONGEST_NAME = 200


class Entry(NamedTuple):
    """One finished turn, in the order of the file's columns.

    ``at`` is when it ended, in Unix seconds. Token counts are the upstream's own, ``None`` where it gave none; cached
    ones are not in ``input_tokens``. ``cache_write_1h_tokens`` are those of the cache writes that are kept for an hour.
    ``model`` is the one that answered, where it has said so.
    """

    at: float
    dialect: str
    backend: str
    profile: str
    model: str
    status: int
    total_seconds: float
    queue_seconds: float | None = None
    first_byte_seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None


class Group(NamedTuple):
    """Turns of one model at one backend, added up. ``long`` says how many of the price list's limits they exceed."""

    model: str
    backend: str
    long: int
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int


def count(value: object) -> int | None:
    """Give a token count that can be one, and fits a column."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST else None


def name(value: str) -> str:
    """Give an upstream's word as it can be kept: no longer than a name, and no half characters in it."""
    return value[:_LONGEST_NAME].encode("utf-8", "replace").decode()


def is_failure(status: int) -> bool:
    """Say whether a turn failed; a client that left is none."""
    return status >= _FIRST_FAILURE and status != CLIENT_GONE
