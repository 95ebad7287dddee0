"""Has the C library give back what large requests took. By itself, glibc keeps tens of megabytes of it for good.

With each large block that is freed it learns to take blocks of that size from its heap the next time, up to 32 MB, and
to keep twice as much free there. One long conversation with images, and the server never comes back to its base line.
Besides, each thread gets a heap of its own, which keeps what is free in it from all others; few run here, and briefly.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of ``malloc.h``. Setting one of the thresholds also ends the learning."""

_LARGE_BYTES = 1 << 20
"""From here on a block is the system's own. Usual requests stay below: taking memory afresh each time costs time."""


def give_back_freed_memory() -> bool:
    """Have it so from now on; say whether this C library can be told (others than glibc needn't be)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    options = {_M_MMAP_THRESHOLD: _LARGE_BYTES, _M_TRIM_THRESHOLD: _LARGE_BYTES, _M_ARENA_MAX: 1}
    return all(mallopt(option, value) for option, value in options.items())
