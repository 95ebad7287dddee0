"""What a version of the CLI was seen to do, check by check, and what follows from it. Pure.

Three checks decide whether a version may be used at all; any other that fails only switches its feature off.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from claude_proxy import __version__
from claude_proxy.canon.request import Reasoning, Request
from claude_proxy.errors import Unavailable

VITAL = {
    "history": "changes a conversation's history",
    "at-path": "doesn't leave `@path` in a text alone",
    "slash": "doesn't leave commands in a text alone",
}
"""The checks without which a version is refused, and what a version does that fails them."""

OPTIONAL = (
    "next-turn",
    "thinking",
    "effort",
    "json-schema",
    "tools",
    "held-results",
    "parameters",
    "errors",
    "early-stop",
    "broken-stream",
)
"""The checks that stand for a feature each."""

NAMES = (*VITAL, *OPTIONAL)

KNOWN_GOOD = "2.1.329"
"""A version that passes every check."""

_PARAMETERS = ("max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "tool_choice")

_SCHEMA = 1


def one_line(words: str, characters: int) -> str:
    """Give the beginning of a text on one line."""
    line = " ".join(words.split())
    return line if len(line) <= characters else f"{line[:characters]} …"


@dataclass(frozen=True, slots=True)
class Check:
    """One check's outcome. ``detail`` is one line on what was seen when it failed.

    ``shown`` is false where it counts as failed only because it couldn't be carried out: it may pass the next time.
    """

    name: str
    passed: bool
    detail: str = ""
    shown: bool = True


@dataclass(frozen=True)
class Report:
    """What was found out about one version of the CLI. It is asked with every request, so answers are kept."""

    version: str
    checks: tuple[Check, ...]

    @cached_property
    def refused(self) -> str | None:
        """Why this version can't be used and what to do, as a sentence; ``None`` where it can be used."""
        failed = [(name, check) for name, check in self._failed().items() if name in VITAL]
        if not failed:
            return None
        good = f"install version {KNOWN_GOOD} with `claude install {KNOWN_GOOD}` and point claude-cli.path to it"
        if any(check.shown for _, check in failed):
            does = " and ".join(f"{VITAL[name]} ({name}: {check.detail})" for name, check in failed if check.shown)
            return f"the claude CLI {self.version} can't be used, as it {does}: {good}"
        unshown = ", ".join(f"{name}: {check.detail}" for name, check in failed)
        return f"the claude CLI {self.version} couldn't be checked ({unshown}): try again, or {good}"

    @cached_property
    def off(self) -> frozenset[str]:
        """The names of the features that this version doesn't get."""
        return frozenset(self._failed()).intersection(OPTIONAL)

    @cached_property
    def lasting(self) -> bool:
        """Whether the outcome holds for this version for good: nothing was left open, and it isn't refused."""
        return self.refused is None and all(check.shown for check in self._failed().values())

    def _failed(self) -> dict[str, Check]:
        """Give what failed by name, in the usual order; a check that isn't there has failed."""
        found = {check.name: check for check in self.checks}
        all_checks = {
            name: found.get(name, Check(name, passed=False, detail="not made", shown=False)) for name in NAMES
        }
        return {name: check for name, check in all_checks.items() if not check.passed}


@dataclass(frozen=True, slots=True)
class _Document:
    schema: int
    claude_proxy: str
    report: Report


_decode = msgspec.json.Decoder(_Document).decode


def restricted(request: Request, off: frozenset[str], version: str) -> tuple[Request, tuple[str, ...]]:
    """Give the request without what this version gets wrong, and what that loses, by our field names.

    Raises ``Unavailable`` where the answer would be another one without it.
    """
    for name, used in (("tools", bool(request.tools)), ("json-schema", request.output_schema is not None)):
        if name in off and used:
            raise Unavailable(f"the claude CLI {version} fails the check {name!r}: install another version")
    changes: dict[str, Any] = {}
    if "thinking" in off and request.reasoning.mode == "on":
        changes["reasoning"] = Reasoning()
    elif "effort" in off and request.reasoning.effort is not None:
        changes["reasoning"] = msgspec.structs.replace(request.reasoning, effort=None)
    if "parameters" in off:
        unset = Request(model="", messages=())
        changes |= {
            name: getattr(unset, name) for name in _PARAMETERS if getattr(request, name) != getattr(unset, name)
        }
    return msgspec.structs.replace(request, **changes) if changes else request, tuple(changes)


def to_json(report: Report) -> bytes:
    """Give a report as a document to be kept."""
    return msgspec.json.encode(_Document(_SCHEMA, __version__, report))


def from_json(data: bytes) -> Report | None:
    """Read a kept report; ``None`` where it can't be read, or was made by another version of ours."""
    try:
        document = _decode(data)
    except (msgspec.DecodeError, ValueError):  # not JSON, not of this shape, not UTF-8
        return None
    same = (document.schema, document.claude_proxy) == (_SCHEMA, __version__)
    complete = {check.name for check in document.report.checks} == set(NAMES)
    return document.report if same and complete else None
