"""SIGHUP: in a service it means to read the configuration again, in a terminal that nobody is there any more.

A terminal that goes away is closed under a real server, in ``cli/test_serve_in_terminal.py``.
"""

from __future__ import annotations

import asyncio
import os
import signal

from claude_proxy.server.listen import told_by_hangup


async def test_a_hangup_is_told_inside_and_has_its_usual_meaning_after() -> None:
    """Only while somebody wants to know."""
    stop, told = asyncio.Event(), asyncio.Event()
    before = signal.getsignal(signal.SIGHUP)
    with told_by_hangup(told.set, stop):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(told.wait(), 10)

    assert not stop.is_set()
    assert signal.getsignal(signal.SIGHUP) == before


async def test_who_was_told_to_ignore_it_goes_on_doing_so() -> None:
    """As ``nohup`` does."""
    stop, told, later = asyncio.Event(), asyncio.Event(), asyncio.Event()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with told_by_hangup(told.set, stop):
            os.kill(os.getpid(), signal.SIGHUP)
            asyncio.get_running_loop().call_soon(later.set)
            await later.wait()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not told.is_set()
    assert not stop.is_set()
