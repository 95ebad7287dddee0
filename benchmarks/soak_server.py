"""``claude-proxy serve`` that says, at SIGUSR1, what /proc can't know: how many tasks and objects it has."""

import asyncio
import gc
import json
import os
import signal
from collections import Counter
from types import FrameType

from claude_proxy.cli.main import run

TOLD = b'{"inside":'
"""How the line begins that is written then."""

_KINDS = 200


def tell(_number: int, _frame: FrameType | None) -> None:
    """Write a line; the loop is running when a signal comes."""
    objects = gc.get_objects()
    kinds = Counter(type(one).__qualname__ for one in objects)
    inside = {"tasks": len(asyncio.all_tasks()), "objects": len(objects), "kinds": dict(kinds.most_common(_KINDS))}
    os.write(1, json.dumps({"inside": inside}).encode() + b"\n")


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    run()
