"""How much is tried: a little with every run of the tests, as much as ``make fuzz EXAMPLES=…`` says with that."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""0: an ordinary run of the tests."""

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example)


def tried(few: int, **more: object) -> settings:
    """Give the settings of a test that tries ``few`` inputs in an ordinary run."""
    return settings(
        max_examples=max(few, EXAMPLES),
        deadline=None,
        # An ordinary run tries the same each time: what it finds is due to what was changed.
        derandomize=not EXAMPLES,
        suppress_health_check=[*_SLOW, HealthCheck.function_scoped_fixture],
        **more,  # type: ignore[arg-type]  # hypothesis' own names
    )
