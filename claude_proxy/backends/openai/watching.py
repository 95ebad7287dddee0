"""A stream that is handed on as it comes: cut where an event ends, and watched for a proper end. Pure.

Nothing is decoded but an error, and what says at the end how many tokens it took. In JSON a quote inside a string is
escaped and a line end can't stand there, so what is looked for here is never part of a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from claude_proxy.backends.base import UNTOLD, Used
from claude_proxy.backends.openai.ending import used
from claude_proxy.backends.openai.failures import find_error, from_object
from claude_proxy.canon.blocks import UNREADABLE
from claude_proxy.errors import ProxyError, UpstreamError

_DONE = re.compile(rb"^data:\s*\[DONE\]", re.MULTILINE)
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"(?!null"|")')
_FAILED = re.compile(rb'^data:\s*(\{\s*"error"\s*:\s*["{].*)$', re.MULTILINE)
_COUNT = re.compile(rb'^data:(.*"usage"\s*:\s*\{.*)$', re.MULTILINE)
_DATA = re.compile(rb"^data:(.*)$", re.MULTILINE)

_BLANK_LINES = (b"\n\n", b"\n\r\n")
_BEFORE = 2
"""How many bytes of a blank line may be there before its last one."""


@dataclass(slots=True)
class Watch:
    """Takes a stream's bytes and gives them back unchanged, whole events at a time.

    ``has_ended``: whoever reads what was given knows how the reply ended. ``is_done``: ``[DONE]`` was given.
    """

    has_ended: bool = False
    is_done: bool = False
    error: ProxyError | None = None
    """The failure that the stream told of behind its beginning. The one that it begins with is raised."""
    used: Used = UNTOLD
    """Who answered, and its tokens: where it said so at its end."""
    _is_begun: bool = False
    _held: list[bytes] = field(default_factory=list)
    _tail: bytes = b""
    """The last bytes of what is held: a blank line may begin in them. The rest is never looked at again."""

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; give those up to the end of the last event that is complete."""
        seen = self._tail + data
        cut = max((at + len(mark) for mark in _BLANK_LINES if (at := seen.rfind(mark)) >= 0), default=0)
        if not cut:
            self._held.append(data)
            self._tail = seen[-_BEFORE:]
            return b""
        cut -= len(self._tail)
        whole = b"".join([*self._held, data[:cut]])
        rest = data[cut:]
        self._held, self._tail = [rest] if rest else [], rest[-_BEFORE:]
        self._look(whole)
        return whole

    def end(self) -> bytes:
        """Take the end of the stream; give what is left, or raise ``UpstreamError`` where the reply broke off."""
        left = b"".join(self._held)
        self._held, self._tail = [], b""
        self._look(left)
        if not self.has_ended:
            raise UpstreamError("the upstream's reply broke off")
        return left

    def _look(self, whole: bytes) -> None:
        if not self._is_begun and (first := _DATA.search(whole)) is not None:
            self._is_begun = True
            if b'"error"' in first[1] and (error := _told(first[1])) is not None:
                raise error
        if b'"error"' in whole and (failed := _FAILED.search(whole)) is not None:
            self.error = _told(failed[1]) or UpstreamError("the upstream failed, and its reason can't be read")
        self.is_done = self.is_done or _DONE.search(whole) is not None
        self.has_ended = self.has_ended or self.is_done or self.error is not None or _FINISHED.search(whole) is not None
        # Told with the reason that it finished or behind it, if at all: no delta is looked at for it.
        if self.has_ended and b'"usage"' in whole and (counts := _COUNT.findall(whole)):
            self.used = _used(counts[-1]) or self.used


def _used(data: bytes) -> Used | None:
    try:
        return used(msgspec.json.decode(data))
    except UNREADABLE:
        return None


def _told(data: bytes) -> ProxyError | None:
    """Give the failure that an event's data stands for; ``None`` where it stands for none."""
    try:
        found = find_error(msgspec.json.decode(data))
    except UNREADABLE:
        return None
    return None if found is None else from_object(found)
