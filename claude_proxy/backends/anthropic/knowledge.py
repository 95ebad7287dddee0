"""What is known of the upstream's models: what it lists, and what its refusals have taught since. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from claude_proxy.backends.anthropic.listing import Listed
from claude_proxy.backends.parameters import Abilities, refused_parameters
from claude_proxy.errors import BadRequest, ProxyError

_MOST_REMEMBERED = 1000
_MAXIMUM = re.compile(r"max_tokens\D+\d[\d,_]* > (\d[\d,_]*)|(?:at most|maximum\D*|less than or equal to) (\d[\d,_]*)")
_GUESSES = (64_000, 32_000, 8_192, 4_096)
"""Tried from the top where an upstream refuses ``max_tokens`` and doesn't say what it would take."""

UNKNOWN_MAXIMUM = 128_000
"""Asked for first where nobody knows: an upstream that gives less says how much."""


@dataclass(slots=True)
class Knowledge:
    """By the upstream's model id. What it learns is what a 400 says, for as long as the server runs."""

    _listed: dict[str, Abilities] = field(default_factory=dict)
    _learnt: dict[str, Abilities] = field(default_factory=dict)

    def note(self, listed: Sequence[Listed]) -> None:
        """Take down what an upstream lists."""
        self._listed.update({one.model.id: one.abilities for one in listed})

    def able(self, model: str) -> Abilities:
        """Give what is known of a model."""
        known, learnt = self._listed.get(model, Abilities()), self._learnt.get(model, Abilities())
        return replace(known, max_output=learnt.max_output or known.max_output).without(learnt.refused)

    def learn(self, model: str, error: ProxyError, sent: frozenset[str], max_tokens: int) -> bool:
        """Take down what a refusal of ``sent`` parameters teaches; say whether asking again may go better."""
        known = self._learnt.get(model, Abilities())
        refused = refused_parameters(error, sent)
        maximum = _maximum(error, max_tokens)
        if maximum is not None:
            known = replace(known, max_output=maximum)
        elif refused:
            known = known.without(refused)
        else:
            return False
        if len(self._learnt) >= _MOST_REMEMBERED:
            self._learnt.clear()
        self._learnt[model] = known
        return True


def _maximum(error: ProxyError, max_tokens: int) -> int | None:
    """Give the greatest ``max_tokens`` there may be, where that is what a 400 is about."""
    if not isinstance(error, BadRequest) or "max_tokens" not in error.message or "budget" in error.message:
        return None
    match = _MAXIMUM.search(error.message)
    said = int((match[1] or match[2]).replace(",", "").replace("_", "")) if match else 0
    if 0 < said < max_tokens:
        return said
    return next((guess for guess in _GUESSES if guess < max_tokens), None)
