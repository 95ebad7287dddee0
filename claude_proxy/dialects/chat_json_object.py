"""Makes sure that a reply that was asked to be a JSON object is one. Pure.

Models like to put JSON into a code fence, asked not to or not. The fence is taken off as the text streams by, and
whatever is no object at the end is an error, never an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from claude_proxy.canon.blocks import UNREADABLE
from claude_proxy.errors import UpstreamError

_OPENING = "```json"
_FENCE = "```"


@dataclass(slots=True)
class JsonObjectText:
    """Takes a reply's text piece by piece, and gives what of it belongs to the JSON.

    White space and backticks at the end of what has come are held back until it is clear whether they end the fence.
    """

    _held: str = ""
    _is_begun: bool = False
    _is_fenced: bool = False
    _given: list[str] = field(default_factory=list)

    def feed(self, piece: str) -> str:
        """Take the next piece; give the text that can be told by now."""
        self._held += piece
        if not self._is_begun and not self._begin():
            return ""
        text = self._held if self._given else self._held.lstrip()
        body = text.rstrip().rstrip("`").rstrip()
        self._held = text[len(body) :]
        if body:
            self._given.append(body)
        return body

    def _begin(self) -> bool:
        """Take off the opening fence; say whether enough has come to know if there is one."""
        text = self._held.lstrip()
        if _OPENING.startswith(text.lower()):
            return False
        self._is_begun = True
        self._is_fenced = text.startswith(_FENCE)
        if self._is_fenced:
            text = text[len(_OPENING) if text.lower().startswith(_OPENING) else len(_FENCE) :]
        self._held = text
        return True

    def close(self) -> str:
        """Give the text still held back, but for the fence's end, after the last piece."""
        end = _FENCE if self._is_fenced else ""
        rest = "" if self._held.strip() == end else self._held
        self._held = ""
        self._given.append(rest)
        return rest

    def check(self) -> None:
        """Raise ``UpstreamError`` where the whole text isn't one JSON object."""
        try:
            value = msgspec.json.decode("".join(self._given))
        except UNREADABLE:
            value = None
        if not isinstance(value, dict):
            raise UpstreamError("the model's reply isn't the JSON object that was asked for")
