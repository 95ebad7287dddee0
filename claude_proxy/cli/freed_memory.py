"""Has the C library give back what large requests took. By itself, glibc keeps tens of megabytes of it for good.

With each large block that is freed it learns to take blocks of that size from its heap the next time, up to 32 MB, and
to keep twice as much free there. One long conversation with images, and the server never comes back to its base line.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of ``malloc.h``. Setting either also ends the learning."""

_LARGE_BYTES = 1 << 20
"""From here on a block is the system's own. Usual requests stay below: taking memory afresh each time costs time."""


def give_back_freed_memory() -> bool:
    """Have it so from now on; say whether this C library can be told (others than glibc needn't be)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(option, _LARGE_BYTES) for option in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD))
