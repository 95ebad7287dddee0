"""What is counted for ``/metrics``: plain numbers, which cost a request next to nothing. ``exposition`` renders them.

Every label has few values: names of ours, backends of the configuration, and models that a backend lists.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from claude_proxy.ledger.entry import Entry

UNLISTED = "other"
"""The label of all models that no backend lists: whoever makes up names makes up no labels."""

FIRST_BYTE_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0)
TOTAL_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

KINDS = ("input", "output", "cache_read", "cache_write")


@dataclass(slots=True)
class Histogram:
    """How many values were at most each of ``bounds``, in seconds; the last count is of those above all."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Metrics:
    """Counts since the server started.

    ``requests`` are by dialect, backend, model and class of status (``2xx``), ``tokens`` by backend, model and kind,
    both kinds of durations by dialect and backend.
    """

    requests: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    tokens: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    first_byte: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    total: dict[tuple[str, str], Histogram] = field(default_factory=dict)

    def note(self, entry: Entry, *, is_listed: bool) -> None:
        """Count a finished request for a turn; its backend is empty where it reached none."""
        backend = f"{entry.backend}/{entry.profile}" if entry.profile else entry.backend
        model = entry.model if is_listed else UNLISTED
        self.requests[entry.dialect, backend, model, f"{entry.status // 100}xx"] += 1
        counts = (entry.input_tokens, entry.output_tokens, entry.cache_read_tokens, entry.cache_write_tokens)
        for kind, count in zip(KINDS, counts, strict=True):
            if count:
                self.tokens[backend, model, kind] += count
        if not backend:
            return  # refusing takes no time, and says nothing of what an answer takes
        by = entry.dialect, backend
        self.total.setdefault(by, Histogram(TOTAL_BOUNDS)).observe(entry.total_seconds)
        if entry.first_byte_seconds is not None:
            self.first_byte.setdefault(by, Histogram(FIRST_BYTE_BOUNDS)).observe(entry.first_byte_seconds)
