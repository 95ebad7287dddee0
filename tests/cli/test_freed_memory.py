"""Memory that large requests took goes back to the system."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from claude_proxy.cli.freed_memory import give_back_freed_memory

KEPT = """
import os
from pathlib import Path
from claude_proxy.cli.freed_memory import give_back_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

assert {told} is False or give_back_freed_memory()
before = resident()
for _ in range(3):
    block = bytearray(30_000_000)
    block[::4096] = bytes(len(block[::4096]))
    del block
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps it")
def test_a_large_block_is_given_back_when_it_is_freed() -> None:
    """Left to itself the C library keeps it, which is what this is for."""
    kept = [
        int(subprocess.run([sys.executable, "-c", KEPT.format(told=told)], capture_output=True, check=True).stdout)
        for told in (False, True)
    ]
    assert kept[0] > 25_000_000
    assert kept[1] < 5_000_000


def test_a_c_library_that_cant_be_told_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS there is nothing to set."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not give_back_freed_memory()
