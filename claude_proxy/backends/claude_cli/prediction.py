"""What the next conversation is likely to be told, so that a spare child can be told it beforehand. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from claude_proxy.backends.claude_cli.policy import Demand
from claude_proxy.canon.blocks import Json

_REMEMBERED = 16
_MODELS = 32
"""Of so many models it is remembered, those asked for last: clients can make up any number of names."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a child can be told before its conversation begins. ``key`` stands for all of it, the client included."""

    key: str
    system: str
    tools: Sequence[Json]
    settings: Json = field(default_factory=dict)
    """No part of the key: they can be set anew."""


@dataclass(slots=True)
class Asked:
    """What new conversations of a model were told. ``guess`` is what the next one will be: the latest that came again.

    What came only once is no guess: many clients put the time into their system prompt.
    """

    at: float = 0.0
    guess: Preparation | None = None
    settings: Json = field(default_factory=dict)
    """The latest: most of them are the model's, not the client's."""
    _seen: dict[str, None] = field(default_factory=dict)

    def note(self, preparation: Preparation | None, now: float) -> None:
        """A new conversation has begun."""
        self.at = now
        if preparation is None:
            return
        self.settings = preparation.settings
        if preparation.key in self._seen:
            self.guess = preparation
        self._seen.pop(preparation.key, None)
        self._seen[preparation.key] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]


@dataclass(slots=True)
class Prediction:
    """All models' demand. Times are in seconds on one clock."""

    _asked: dict[str, Asked] = field(default_factory=dict)
    """The latest last."""

    def note(self, model: str, preparation: Preparation | None, now: float) -> None:
        """A new conversation with ``model`` has begun, told what ``preparation`` says."""
        asked = self._asked.pop(model, None) or Asked()
        asked.note(preparation, now)
        self._asked[model] = asked
        if len(self._asked) > _MODELS:
            del self._asked[next(iter(self._asked))]

    def forget(self, model: str) -> None:
        """It turned out to be no model."""
        self._asked.pop(model, None)

    def demand(self, since: float) -> Demand:
        """Give what was asked for after ``since``, the latest first."""
        lately = {model: asked for model, asked in self._asked.items() if asked.at > since}
        guesses = {model: asked.guess.key for model, asked in lately.items() if asked.guess is not None}
        return Demand(tuple(reversed(lately)), guesses)

    def guess(self, model: str) -> Preparation | None:
        """Give what the next conversation with ``model`` will be told, as far as that can be guessed."""
        asked = self._asked.get(model)
        return asked.guess if asked is not None else None

    def settings(self, model: str) -> Json:
        """Give what a blank child of ``model`` can be set to, since it can be set anew."""
        asked = self._asked.get(model)
        return asked.settings if asked is not None else {}
