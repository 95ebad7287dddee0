"""What tokens cost by Anthropic's public list. Pure: the list's text is an argument."""

from __future__ import annotations

import re
from datetime import date
from fnmatch import fnmatchcase

import msgspec

from claude_proxy.ledger.entry import Group

_NAME = re.compile(r"(?:anthropic/)?(claude-[a-z0-9.-]+?)(?:[-@]\d{8}|-latest)?(?:\[1m\])?", re.IGNORECASE)
_PER = 1_000_000


class Rates(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """US dollars for a million tokens of each kind."""

    input: float
    output: float
    cache_read: float
    cache_write_5m: float
    cache_write_1h: float

    def cost(self, group: Group) -> float:
        """Give the price of a group's tokens; a cache write is for five minutes where nobody says otherwise."""
        for_an_hour = min(group.cache_write_1h_tokens, group.cache_write_tokens)
        return (
            group.input_tokens * self.input
            + group.output_tokens * self.output
            + group.cache_read_tokens * self.cache_read
            + (group.cache_write_tokens - for_an_hour) * self.cache_write_5m
            + for_an_hour * self.cache_write_1h
        ) / _PER


class LongRates(Rates, frozen=True, kw_only=True, rename="kebab"):
    """What each token of a request costs whose prompt has more than ``above`` tokens."""

    above: int


class Model(Rates, frozen=True, kw_only=True, rename="kebab"):
    """The rates of the models whose names fit one of ``names``."""

    names: tuple[str, ...]
    long: LongRates | None = None


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """A price list and the day it was looked up."""

    date: date
    models: tuple[Model, ...]

    @property
    def limits(self) -> tuple[int, ...]:
        """The prompt sizes above which something costs another price, in order."""
        return tuple(sorted({model.long.above for model in self.models if model.long is not None}))

    def cost(self, group: Group) -> float | None:
        """Give the list price of a group of turns, ``None`` for a model that isn't on the list."""
        model = self._model(group.model)
        if model is None:
            return None
        is_long = model.long is not None and group.long > self.limits.index(model.long.above)
        return (model.long if is_long and model.long is not None else model).cost(group)

    def _model(self, name: str) -> Model | None:
        match = _NAME.fullmatch(name)
        bare = match[1].replace(".", "-").lower() if match else name
        return next((model for model in self.models if any(fnmatchcase(bare, one) for one in model.names)), None)


def parse(text: bytes) -> Prices:
    """Read a price list."""
    return msgspec.toml.decode(text, type=Prices)
