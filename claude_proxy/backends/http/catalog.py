"""What keys offer: the models that the config names, or those that their upstream lists. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from claude_proxy.backends.base import Model
from claude_proxy.backends.http.keys import Credential


def offered(credential: Credential, listed: Iterable[Model]) -> tuple[Model, ...]:
    """Give what a key offers. Where the config names the models, the upstream's list only says more of them."""
    known = {model.id: model for model in listed}
    if not credential.models:
        mine = (model for name, model in known.items() if credential.serves(name))
        return tuple(replace(model, prefix=credential.prefix) for model in mine)
    aliases: dict[str, list[str]] = {}
    for entry in credential.models:
        names = aliases.setdefault(entry.name, [])
        if entry.alias and entry.alias not in (entry.name, *names) and not credential.excludes(entry.alias):
            names.append(entry.alias)
    return tuple(
        replace(
            known.get(name) or Model(id=name, display_name=names[0] if names else name),
            aliases=tuple(names),
            prefix=credential.prefix,
        )
        for name, names in aliases.items()
        if credential.serves(name)
    )


def merged(lists: Iterable[Sequence[Model]]) -> tuple[Model, ...]:
    """Give each model once for each prefix, with all of its aliases; who comes first says what is known of it."""
    found: dict[tuple[str, str], Model] = {}
    for model in (model for models in lists for model in models):
        known = found.setdefault((model.prefix, model.id), model)
        more = tuple(alias for alias in model.aliases if alias not in known.aliases)
        if more:
            found[model.prefix, model.id] = replace(known, aliases=known.aliases + more)
    return tuple(found.values())
