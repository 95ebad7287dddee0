"""A client's model name to one backend's model. Pure; an unknown name is an error with suggestions, never a default."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from claude_proxy.backends.base import Model
from claude_proxy.errors import UnknownModel

PREFIXES = ("claude-max/", "claude-code-cli/", "openai/", "anthropic/")
"""What other gateways make their users write in front of a name. It says nothing here, so it is taken off."""

_ID_FAMILY = re.compile(r"claude-(?:[0-9]+-)*([a-z]+)")
_FULL_NAME = re.compile(r"claude-([a-z]+)-[a-z0-9.-]*[a-z0-9]")
_SHORT_NAME = re.compile(r"([a-z]+)-[0-9][0-9.-]*")
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a request goes: the backend's name, and the exact model id to ask it for."""

    model_id: str
    backend: str


def resolve(name: str, models: Mapping[str, Sequence[Model]], aliases: Mapping[str, str], default: str) -> Resolved:
    """Give the model that ``name`` means; raise ``UnknownModel`` where nobody has it.

    ``models`` is what each backend lists, by the backend's name, the preferred backend first. Case doesn't matter.
    """
    asked = name.strip() or default
    wanted = _aliased(asked.lower(), {key.lower(): value.strip().lower() for key, value in aliases.items()})
    for candidate in _spellings(wanted):
        found = _listed(candidate, models) or _of_family(candidate, models)
        if found:
            return found
    found = _versioned(_bare(wanted), models)
    if found:
        return found
    raise UnknownModel(_unknown(asked, [*known_names(models), *aliases]), param="model")


def known_names(models: Mapping[str, Sequence[Model]]) -> list[str]:
    """Give every id and alias once, in the backends' order."""
    every = (name for offered in models.values() for model in offered for name in (model.id, *model.aliases))
    return list(dict.fromkeys(every))


def family(model: Model) -> str | None:
    """Give the family that a model's id names (``sonnet`` of ``claude-sonnet-5-5``), ``None`` where it has none."""
    match = _ID_FAMILY.match(model.id.lower())
    return match[1] if match else None


def _aliased(name: str, aliases: Mapping[str, str]) -> str:
    return aliases.get(name) or aliases.get(_bare(name)) or name


def _bare(name: str) -> str:
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return _bare(name.removeprefix(prefix))
    return name


def _spellings(name: str) -> Iterator[str]:
    # The name as it came is first: an upstream may list ids that begin with one of the prefixes.
    yield name
    yield _bare(name)
    yield _bare(name).removesuffix("-max")


def _listed(name: str, models: Mapping[str, Sequence[Model]]) -> Resolved | None:
    """Find a listed id, else a listed alias: an id of a later backend goes before an alias of an earlier one."""
    for names in (lambda model: (model.id,), lambda model: model.aliases):
        for backend, model in _each(models):
            if name in {listed.lower() for listed in names(model)}:
                return Resolved(model.id, backend)
    return None


def _of_family(name: str, models: Mapping[str, Sequence[Model]]) -> Resolved | None:
    # Upstreams list their newest model first, so the first of a family is its current one.
    return next((Resolved(model.id, backend) for backend, model in _each(models) if family(model) == name), None)


def _versioned(name: str, models: Mapping[str, Sequence[Model]]) -> Resolved | None:
    """Take a versioned name of a known family as it is: whether it exists, only the upstream knows."""
    full = _FULL_NAME.fullmatch(name)
    match = full or _SHORT_NAME.fullmatch(name)
    home = _of_family(match[1], models) if match else None
    if home is None:
        return None
    model_id = (name if full else f"claude-{name}").replace(".", "-")
    return _listed(model_id, models) or Resolved(model_id, home.backend)


def _each(models: Mapping[str, Sequence[Model]]) -> Iterator[tuple[str, Model]]:
    return ((backend, model) for backend, offered in models.items() for model in offered)


def _unknown(asked: str, known: Iterable[str]) -> str:
    shown = ascii(asked if len(asked) <= _LONGEST_NAME else asked[:_LONGEST_NAME] + "…")
    by_lower = {name.lower(): name for name in known}
    bare = _bare(asked.lower())[:_LONGEST_NAME]
    near = [by_lower[match] for match in get_close_matches(bare, by_lower, n=3, cutoff=0.5)]
    if near:
        return f"there is no model {shown}; the nearest names are {', '.join(near)}"
    if by_lower:
        return f"there is no model {shown}; known are {', '.join(by_lower.values())}. `model-aliases` can map it to one"
    return f"there is no model {shown}: no backend offers any model now"
