"""What is known of the models: what the CLI says it offers, and what upstream refusals have taught since. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from claude_proxy.backends.base import Model
from claude_proxy.backends.claude_cli.parameters import Abilities
from claude_proxy.canon.blocks import Json

_DAY = 86_400.0
_MOST_REMEMBERED = 256
"""Of so many names something is remembered, those that it was learnt of last: clients can make up any number."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The models of an account: exact ids, the names that lead to them, and their abilities by exact id."""

    models: tuple[Model, ...] = ()
    abilities: dict[str, Abilities] = field(default_factory=dict)

    def exact(self, name: str) -> str:
        """Give the exact id of a listed name; any other name as it is."""
        for model in self.models:
            if name == model.id or name in model.aliases:
                return model.id
        return name

    def shortest(self, exact: str) -> str:
        """Give the listed model's family name, ``sonnet`` say; any other name as it is."""
        for model in self.models:
            if exact == model.id:
                return min((name for name in model.aliases if name != "default"), key=len, default=exact)
        return exact

    def current(self, name: str) -> str | None:
        """Give the exact id of the current model of the family that ``claude-sonnet-4``, say, is an old name of."""
        words = name.split("-")
        families = (model for model in self.models if any(alias in words for alias in model.aliases))
        return next((model.id for model in families if model.id != name), None)

    def with_sizes(self, max_output: dict[str, int], context: dict[str, int]) -> Catalog:
        """Give the catalog with sizes that the CLI reported after a turn."""
        models = tuple(_sized(model, max_output.get(model.id), context.get(model.id)) for model in self.models)
        return replace(self, models=models)


def _sized(model: Model, most: int | None, window: int | None) -> Model:
    most, window = most or model.max_output_tokens, window or model.context_window
    # Nearly always nothing is new, and this comes after every turn.
    if (most, window) == (model.max_output_tokens, model.context_window):
        return model
    return replace(model, max_output_tokens=most, context_window=window)


@dataclass(slots=True)
class Knowledge:
    """The catalog, and what refusals have taught: parameters that a model doesn't take, names that are no model."""

    catalog: Catalog = field(default_factory=Catalog)
    _refused: dict[str, frozenset[str]] = field(default_factory=dict)
    _missing: dict[str, float] = field(default_factory=dict)
    """Names that the upstream answered 404 to, and until when that is believed, in seconds."""
    yardsticks: dict[str, int] = field(default_factory=dict)
    """What ``counting.YARDSTICK`` comes to, by exact model, once it was counted."""

    def resolve(self, name: str, now: float) -> str:
        """Give the exact model for a name: for one that the upstream doesn't know, its family's current model."""
        exact = self.catalog.exact(name)
        if self._missing.get(exact, now) > now:
            return self.catalog.current(exact) or exact
        return exact

    def able(self, exact: str) -> Abilities:
        """Give what is known of a model."""
        known = self.catalog.abilities.get(exact, Abilities())
        sizes = (model.max_output_tokens for model in self.catalog.models if model.id == exact)
        return replace(known, max_output=next(sizes, None)).without(self._refused.get(exact, frozenset()))

    def learn_refusal(self, exact: str, parameters: frozenset[str]) -> None:
        """Remember that a model doesn't take ``parameters``."""
        _remember(self._refused, exact, self._refused.get(exact, frozenset()) | parameters)

    def learn_missing(self, exact: str, now: float) -> bool:
        """Remember for a day that the upstream doesn't know a model; say whether another one can stand in for it."""
        if self._missing.get(exact, now) > now or self.catalog.current(exact) is None:
            return False
        _remember(self._missing, exact, now + _DAY)
        return True

    def learn_yardstick(self, exact: str, tokens: int) -> None:
        """Remember what ``counting.YARDSTICK`` comes to."""
        _remember(self.yardsticks, exact, tokens)


def _remember(known: dict[str, T], name: str, value: T) -> None:
    known.pop(name, None)
    known[name] = value
    if len(known) > _MOST_REMEMBERED:
        del known[next(iter(known))]


def parse(entries: Sequence[Json]) -> Catalog:
    """Read the ``models`` of ``list_models`` or ``initialize``: one entry a name, several of which may be one model."""
    models: dict[str, Model] = {}
    abilities: dict[str, Abilities] = {}
    for entry in entries:
        name = str(entry.get("value") or "")
        exact = str(entry.get("resolvedModel") or name)
        if not exact:
            continue
        efforts = _efforts(entry)
        seen = models.get(exact)
        aliases = () if name in {exact, ""} else (name,)
        shown = str(entry.get("displayName") or exact)
        if seen is None:
            models[exact] = Model(id=exact, display_name=shown, aliases=aliases, effort_levels=efforts or ())
        else:
            better = shown if seen.aliases == ("default",) else seen.display_name
            models[exact] = replace(seen, display_name=better, aliases=tuple(dict.fromkeys(seen.aliases + aliases)))
        abilities[exact] = Abilities(
            thinking_off=_flag(entry, "supportsThinkingOff"),
            adaptive=_flag(entry, "supportsAdaptiveThinking"),
            efforts=efforts,
        )
    return Catalog(tuple(models.values()), abilities)


def _efforts(entry: Json) -> tuple[str, ...] | None:
    """Give the effort levels: none where the CLI says so, unknown where it says nothing."""
    if entry.get("supportsEffort"):
        return tuple(entry.get("supportedEffortLevels") or ()) or None
    return () if entry.get("supportsEffort") is False else None


def _flag(entry: Json, name: str) -> bool | None:
    value = entry.get(name)
    return value if isinstance(value, bool) else None
