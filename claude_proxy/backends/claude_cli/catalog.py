"""What the CLI says it offers, as our models and what each is able to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from claude_proxy.backends.base import Model
from claude_proxy.backends.claude_cli.parameters import Abilities
from claude_proxy.canon.blocks import Json


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

    def able(self, name: str) -> Abilities:
        """Give what is known of a model."""
        return self.abilities.get(self.exact(name), Abilities())

    def with_sizes(self, max_output: dict[str, int], context: dict[str, int]) -> Catalog:
        """Give the catalog with sizes that the CLI reported after a turn."""
        models = tuple(
            replace(
                model,
                max_output_tokens=max_output.get(model.id, model.max_output_tokens),
                context_window=context.get(model.id, model.context_window),
            )
            for model in self.models
        )
        return replace(self, models=models)


def parse(entries: Sequence[Json]) -> Catalog:
    """Read the ``models`` of ``list_models`` or ``initialize``: one entry a name, several of which may be one model."""
    models: dict[str, Model] = {}
    abilities: dict[str, Abilities] = {}
    for entry in entries:
        name = str(entry.get("value") or "")
        exact = str(entry.get("resolvedModel") or name)
        if not exact:
            continue
        efforts = tuple(entry.get("supportedEffortLevels") or ()) if entry.get("supportsEffort") else ()
        seen = models.get(exact)
        aliases = () if name in {exact, ""} else (name,)
        shown = str(entry.get("displayName") or exact)
        if seen is None:
            models[exact] = Model(id=exact, display_name=shown, aliases=aliases, effort_levels=efforts)
        else:
            better = seen.display_name if "default" not in seen.aliases else shown
            models[exact] = replace(seen, display_name=better, aliases=tuple(dict.fromkeys(seen.aliases + aliases)))
        abilities[exact] = Abilities(
            thinking_off=_flag(entry, "supportsThinkingOff"),
            adaptive=_flag(entry, "supportsAdaptiveThinking"),
            efforts=efforts or None,
        )
    return Catalog(tuple(models.values()), abilities)


def _flag(entry: Json, name: str) -> bool | None:
    value = entry.get(name)
    return value if isinstance(value, bool) else None
