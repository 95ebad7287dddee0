r"""A custom tool's text out of the function call that it is upstream: ``{"input": "…"}``. Pure.

The text is given as it streams by, whatever the pieces: what isn't whole yet (``\``, ``\u00``, half an emoji) waits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import msgspec

from claude_proxy.canon.blocks import Json
from claude_proxy.dialects.turns import read_arguments

_BEGIN = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_HEX = "[0-9a-fA-F]"
_HIGH = rf"\\u[dD][89abAB]{_HEX}{{2}}"
_LOW = rf"\\u[dD][c-fC-F]{_HEX}{{2}}"
_BROKEN = rf"\\u{_HEX}{{0,3}}[^0-9a-fA-F]"
_TOKEN = re.compile(
    "|".join(
        (
            rf'(?P<legal>[^"\\\x00-\x1f]+|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F]){_HEX}{{4}}|{_HIGH}{_LOW})',
            # What JSON doesn't allow and models write all the same: half an emoji, made-up escapes, bare line ends.
            rf"(?P<half>{_HIGH}(?=[^\\]|\\[^u]|\\u(?:[^dD]|[dD][^c-fC-F])|{_BROKEN})|{_LOW})",
            rf'(?P<made_up>\\(?=[^"\\/bfnrtu])|(?={_BROKEN})\\)',
            r"(?P<bare>[\x00-\x1f])",
        )
    )
)


@dataclass(slots=True)
class CustomInput:
    """Takes a call's arguments piece by piece, and gives what of them is the tool's text."""

    _raw: list[str] = field(default_factory=list)
    _given: list[str] = field(default_factory=list)
    _held: str = ""
    _is_begun: bool = False

    @property
    def text(self) -> str:
        """All that was given."""
        return "".join(self._given)

    def feed(self, piece: str) -> str:
        """Take the next piece; give the text that it completes."""
        self._raw.append(piece)
        self._held += piece
        if not self._is_begun:
            begin = _BEGIN.match(self._held)
            if begin is None:
                return ""
            self._is_begun = True
            self._held = self._held[begin.end() :]
        text, self._held = _decoded(self._held)
        return self._give(text)

    def close(self, whole: Json) -> str:
        """Give the rest after the last piece. ``whole`` are the arguments where they came without pieces.

        A model that didn't keep to the function's schema said something all the same: its words, as they are.
        """
        raw = "".join(self._raw)
        if self._is_begun:
            return ""
        arguments = read_arguments(raw) if raw else whole
        text = (arguments or {}).get("input", "" if arguments == {} else None)
        if not isinstance(text, str):
            text = raw or msgspec.json.encode(whole).decode()
        return self._give(text)

    def _give(self, text: str) -> str:
        if text:
            self._given.append(text)
        return text


def _decoded(escaped: str) -> tuple[str, str]:
    """Give the text that the beginning of ``escaped`` stands for, and what of it isn't whole yet."""
    found, at = [], 0
    while token := _TOKEN.match(escaped, at):
        found.append(_mended(token))
        at = token.end()
    text: str = msgspec.json.decode(f'"{"".join(found)}"')
    return text, escaped[at:]


def _mended(token: re.Match[str]) -> str:
    """Give a token as JSON has it."""
    match token.lastgroup:
        case "half":
            return r"\ufffd"
        case "made_up":
            return "\\" + token[0]
        case "bare":
            return f"\\u{ord(token[0]):04x}"
        case _:
            return token[0]
