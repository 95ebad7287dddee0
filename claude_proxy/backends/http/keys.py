"""Which API key answers the next request, and which ones are left alone for a while. Pure.

``now`` is in seconds on a clock that only goes forward. Where a key has failed, it cools down: for as long as the
upstream said, else for 1, 2, 4 … seconds. A key that was refused, or that can't be reached, cools down for every model,
any other for the model that failed.

Cooling down never makes an error of its own. CLIProxyAPI answers 429 by itself where all keys are cooling down; here
the one that is free soonest is asked all the same, so that a client always hears the upstream's real reason and
``retry-after``, and an upstream that has recovered is found at once. So a lone key is never blacked out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from claude_proxy.backends.http.families import family
from claude_proxy.config.schema import ModelName

_EVERY_MODEL = ""
_LONGEST = 86_400.0
"""However long an upstream says to wait: after a day it is asked again."""

_MOST_REMEMBERED = 1000
_OTHER_KEY_ONLY = frozenset((401, 402, 403))
_AGAIN = _OTHER_KEY_ONLY | {408, 429}
_SERVER_ERRORS = 500


def worth_another_try(status: int | None) -> bool:
    """Say whether a request that failed so may be tried again; ``None`` is no answer at all."""
    return status is None or status in _AGAIN or status >= _SERVER_ERRORS


def wants_another_key(status: int | None) -> bool:
    """Say whether the key itself was refused, so that it is of no use to ask with it again."""
    return status in _OTHER_KEY_ONLY


@dataclass(frozen=True, slots=True)
class Credential:
    """One key of one upstream.

    ``label`` tells it from all others and may be logged; ``owner`` is who a reply says it is from. Without ``models``
    it serves whatever the upstream has, less ``excluded_models``; ``*`` stands for anything, and case doesn't matter.
    """

    label: str
    owner: str
    base_url: str
    secret: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    proxy_url: str = field(default="", repr=False)
    prefix: str = ""
    models: tuple[ModelName, ...] = ()
    excluded_models: tuple[str, ...] = ()

    def serves(self, model: str) -> bool:
        """Say whether the upstream's model may be asked for with this key."""
        listed = not self.models or any(_matches(entry.name, model) for entry in self.models)
        return listed and not self.excludes(model)

    def excludes(self, name: str) -> bool:
        """Say whether a name is one of those it must not serve."""
        return any(_matches(pattern, name) for pattern in self.excluded_models)


def _matches(pattern: str, name: str) -> bool:
    if "*" not in pattern:
        return pattern.lower() == name.lower()
    return re.fullmatch(".*".join(map(re.escape, pattern.lower().split("*"))), name.lower(), re.DOTALL) is not None


class Choice(NamedTuple):
    """Whom to ask, after ``wait`` seconds."""

    credential: Credential
    wait: float


@dataclass(frozen=True, slots=True)
class _Cooling:
    until: float
    failures: int


@dataclass(slots=True)
class Keys:
    """All keys of a backend.

    ``round-robin`` asks them in turn, ``fill-first`` asks the first one for as long as it answers.
    """

    credentials: Sequence[Credential]
    strategy: Literal["round-robin", "fill-first"] = "round-robin"
    longest_cooldown: float = 30.0
    listed: Mapping[str, Collection[str]] = field(default_factory=dict)
    """What the upstream of each key lists, by label, as far as that is known."""
    _cooling: dict[tuple[str, str], _Cooling] = field(default_factory=dict)
    _last: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Whose turn it was, by all whose turn it could be."""

    def serving(self, model: str, prefix: str = "") -> list[Credential]:
        """Give the keys that a model may be asked for with, in the order of the configuration.

        Those whose upstream has it; where none says so, those whose upstream has one of its family, then all.
        """
        may = [one for one in self.credentials if one.prefix == prefix and one.serves(model)]
        if len(may) == 1:
            return may
        kin = family(model)
        return (
            [one for one in may if one.models or model in self.listed.get(one.label, ())]
            or [one for one in may if kin and any(family(name) == kin for name in self.listed.get(one.label, ()))]
            or may
        )

    def choose(
        self, model: str, prefix: str, now: float, *, asked: Collection[str] = (), barred: Collection[str] = ()
    ) -> Choice | None:
        """Give the key for a request's next attempt; ``None`` where there is none.

        ``asked`` are the labels of those that this request has already failed with, ``barred`` those of them that it
        mustn't try again. The first attempt never waits.
        """
        serving = [one for one in self.serving(model, prefix) if one.label not in barred]
        free = [one for one in serving if one.label not in asked and self.free_at(one, model) <= now]
        if free:
            return Choice(self._next(serving, free), 0.0)
        if not serving:
            return None
        soonest = min(serving, key=lambda one: self.free_at(one, model))
        return Choice(soonest, max(0.0, self.free_at(soonest, model) - now) if asked else 0.0)

    def _next(self, serving: list[Credential], free: list[Credential]) -> Credential:
        if self.strategy == "fill-first" or len(serving) == 1:
            return free[0]
        everyone = tuple(one.label for one in serving)
        last = self._last.get(everyone, -1)
        turns = {label: (place - last - 1) % len(everyone) for place, label in enumerate(everyone)}
        chosen = min(free, key=lambda one: turns[one.label])
        self._last[everyone] = everyone.index(chosen.label)
        return chosen

    def free_at(self, credential: Credential, model: str) -> float:
        """Say when a key may be asked again for a model."""
        rows = ((credential.label, model), (credential.label, _EVERY_MODEL))
        return max((self._cooling[row].until for row in rows if row in self._cooling), default=-math.inf)

    def failed(
        self, credential: Credential, model: str, status: int | None, retry_after: float | None, now: float
    ) -> None:
        """Let a key cool down. ``status`` is the upstream's, ``None`` where there was no answer."""
        row = (credential.label, _EVERY_MODEL if status in {401, None} else model)
        before = self._cooling.get(row)
        failures = before.failures if before else 0
        if retry_after is not None:
            seconds = min(max(0.0, retry_after), _LONGEST)
        elif before and before.until > now:
            return  # several requests at once have failed in the same way: that is one failure
        else:
            failures += 1
            seconds = min(2.0 ** min(failures - 1, 20), self.longest_cooldown)
        if len(self._cooling) >= _MOST_REMEMBERED:
            self._cooling = {known: cooling for known, cooling in self._cooling.items() if cooling.until > now}
        self._cooling[row] = _Cooling(max(now + seconds, before.until if before else now), failures)

    def succeeded(self, credential: Credential, model: str) -> None:
        """Take a key that has answered as good again."""
        for row in ((credential.label, model), (credential.label, _EVERY_MODEL)):
            self._cooling.pop(row, None)
