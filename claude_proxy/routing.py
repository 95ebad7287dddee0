"""A client's model name to the backends that have the model, the best first; and when to go on to the next. Pure.

An unknown name is an error with suggestions, never a default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from claude_proxy.backends.base import Model
from claude_proxy.errors import NotSignedIn, ProxyError, RateLimited, Unavailable, UnknownModel

PREFIXES = ("claude-max/", "claude-code-cli/", "openai/", "anthropic/")
"""What other gateways make their users write in front of a name. It says nothing here, so it is taken off."""

CLI = "claude-cli"
"""The one kind of backend that is paid for by a plan; each of the others has an API key."""

Offers = Mapping[str, Sequence[Model]]
"""What each backend lists, by the backend's name, the preferred one first."""

_ID_FAMILY = re.compile(r"claude-(?:[0-9]+-)*([a-z]+)")
_FULL_NAME = re.compile(r"claude-([a-z]+)-[a-z0-9.-]*[a-z0-9]")
_SHORT_NAME = re.compile(r"([a-z]+)-[0-9][0-9.-]*")
_LONGEST_NAME = 200
_MOST_NAMES = 256
_FIRST_SERVER_ERROR = 500
_ANOTHER_KEY_MAY_HELP = frozenset({401, 402, 403, 408, 429})


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a request goes: the backend's name, the exact model id to ask it for, and the prefix it was asked with."""

    model_id: str
    backend: str
    prefix: str = ""


def resolve(name: str, models: Offers, aliases: Mapping[str, str], default: str) -> tuple[Resolved, ...]:
    """Give who has the model that ``name`` means, the best first; raise ``UnknownModel`` where nobody has it.

    A name below a known prefix (``work/sonnet``) reaches what is offered with that prefix, any other name what is
    offered without one. Case doesn't matter.
    """
    asked = name.strip() or default
    table = {key.strip().lower(): value.strip().lower() for key, value in aliases.items()}
    wanted = _aliased(asked.lower(), table)
    prefix, rest = _split(wanted, models)
    found = _found(_aliased(rest, table) if prefix else rest, _below(prefix, models))
    if not found and prefix:
        # An upstream may list an id that begins like somebody's prefix: written in full, it is still that id.
        found = _listed(wanted, _below("", models))
    if not found:
        elsewhere = [
            f"{other}/{wanted}" for other in _prefixes(models) if _found(wanted, _below(other.lower(), models))
        ]
        raise UnknownModel(_unknown(asked, [*known_names(models), *aliases], elsewhere), param="model")
    return tuple(found)


@dataclass(slots=True)
class Names:
    """Remembers what names lead to for as long as the lists stay the same: some upstreams list hundreds of models."""

    _found: dict[str, tuple[Resolved, ...]] = field(default_factory=dict)
    _facts: tuple[Offers, Mapping[str, str], str] | None = None
    _ids: frozenset[str] = frozenset()

    def find(self, name: str, models: Offers, aliases: Mapping[str, str], default: str) -> tuple[Resolved, ...]:
        """Do what :func:`resolve` does. Pass lists that nobody changes afterwards."""
        facts = (models, aliases, default)
        if facts != self._facts or len(self._found) >= _MOST_NAMES:
            self._found.clear()
            self._facts = facts
            self._ids = frozenset(model.id for _, model in _each(models))
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = resolve(name, models, aliases, default)
        return found

    def is_listed(self, model_id: str) -> bool:
        """Say whether a model is one of those that were listed last, not a name that somebody made up."""
        return model_id in self._ids


def goes_on(error: ProxyError, here: str, there: str, *, fall_back_to_api_key: bool) -> bool:
    """Say whether a request that failed before its first byte is tried with the next candidate.

    ``here`` and ``there`` are the kinds of the two. Nothing that was asked of an API key ever goes on to the plan: who
    prefers the key has chosen whom the request is for, and what a plan's CLI can't honour would depend on the weather.
    """
    if there == CLI:
        return False
    if here == CLI:
        # From here on it costs money.
        return fall_back_to_api_key and isinstance(error, RateLimited | NotSignedIn | Unavailable)
    return error.status in _ANOTHER_KEY_MAY_HELP or error.status >= _FIRST_SERVER_ERROR


def costs_unasked(found: Resolved, kind: str, silent: Collection[str], *, fall_back_to_api_key: bool) -> bool:
    """Say whether a request would go to an API key only because the plan's CLI can't say now what it offers.

    ``kind`` is that of the backend found, ``silent`` are the kinds of those before it that failed to list their models.
    The plan has Claude's models, so other ones are never meant for it.
    """
    is_the_plans = not found.prefix and found.model_id.startswith("claude-")
    return kind != CLI and CLI in silent and is_the_plans and not fall_back_to_api_key


def known_names(models: Offers) -> list[str]:
    """Give every name that a listed model can be asked for by, once, in the backends' order."""
    every = (named(model, name) for _, model in _each(models) for name in (model.id, *model.aliases))
    return list(dict.fromkeys(every))


def named(model: Model, name: str) -> str:
    """Give one of a model's names as clients write it."""
    return f"{model.prefix}/{name}" if model.prefix else name


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


def _split(name: str, models: Offers) -> tuple[str, str]:
    """Take a known prefix off; the longest that fits, as one may begin like another."""
    known = sorted((prefix.lower() for prefix in _prefixes(models)), key=len, reverse=True)
    for spelling in (name, _bare(name)):
        for prefix in known:
            if spelling.startswith(f"{prefix}/"):
                return prefix, spelling[len(prefix) + 1 :]
    return "", name


def _prefixes(models: Offers) -> list[str]:
    return list(dict.fromkeys(model.prefix for _, model in _each(models) if model.prefix))


def _below(prefix: str, models: Offers) -> Offers:
    return {
        backend: [model for model in offered if model.prefix.lower() == prefix] for backend, offered in models.items()
    }


def _found(name: str, models: Offers) -> list[Resolved]:
    for spelling in _spellings(name):
        if found := _listed(spelling, models):
            return found
    return _versioned(_bare(name), models)


def _spellings(name: str) -> Iterator[str]:
    # The name as it came is first: an upstream may list ids that begin with one of the prefixes.
    yield name
    yield _bare(name)
    yield _bare(name).removesuffix("-max")


_Way = Callable[[Model, str], bool]


def _is_id(model: Model, name: str) -> bool:
    return model.id.lower() == name


def _is_alias(model: Model, name: str) -> bool:
    return any(alias.lower() == name for alias in model.aliases)


def _is_family(model: Model, name: str) -> bool:
    return family(model) == name


_WAYS: tuple[_Way, ...] = (_is_id, _is_alias, _is_family)


def _listed(name: str, models: Offers) -> list[Resolved]:
    """Find a listed id, else an alias, else a family: an id of a later backend goes before an alias of an earlier one.

    The others that are given have the same model, or (not for an id) their own of what the same word means.
    """
    for way in _WAYS:
        best = next(((backend, model) for backend, model in _each(models) if way(model, name)), None)
        if best is None:
            continue
        words = [] if way is _is_id else [(_is_alias, name), (_is_family, name)]
        ways = [(_is_id, best[1].id.lower()), *words]
        others = ((backend, _first(offered, ways)) for backend, offered in models.items() if backend != best[0])
        return [Resolved(model.id, backend, model.prefix) for backend, model in (best, *others) if model is not None]
    return []


def _first(offered: Sequence[Model], ways: Sequence[tuple[_Way, str]]) -> Model | None:
    # Upstreams list their newest model first, so the first of a family is its current one.
    return next((model for way, name in ways for model in offered if way(model, name)), None)


def _versioned(name: str, models: Offers) -> list[Resolved]:
    """Take a versioned name of a known family as it is: whether it exists, only the upstream knows."""
    full = _FULL_NAME.fullmatch(name)
    match = full or _SHORT_NAME.fullmatch(name)
    if match is None or len(name) > _LONGEST_NAME:
        # No model has such a name, and it would be more than a command line can hold.
        return []
    model_id = (name if full else f"claude-{name}").replace(".", "-")
    if listed := _listed(model_id, models):
        return listed
    homes = ((backend, _first(offered, [(_is_family, match[1])])) for backend, offered in models.items())
    return [Resolved(model_id, backend, relative.prefix) for backend, relative in homes if relative is not None]


def _each(models: Offers) -> Iterator[tuple[str, Model]]:
    return ((backend, model) for backend, offered in models.items() for model in offered)


def _unknown(asked: str, known: Iterable[str], elsewhere: Sequence[str]) -> str:
    shown = ascii(asked if len(asked) <= _LONGEST_NAME else asked[:_LONGEST_NAME] + "…")
    by_lower = {name.lower(): name for name in known}
    bare = _bare(asked.lower())[:_LONGEST_NAME]
    near = list(elsewhere) or [by_lower[match] for match in get_close_matches(bare, by_lower, n=3, cutoff=0.5)]
    if near:
        return f"there is no model {shown}; the nearest names are {', '.join(near)}"
    if by_lower:
        return f"there is no model {shown}; known are {', '.join(by_lower.values())}. `model-aliases` can map it to one"
    return f"there is no model {shown}: no backend offers any model now"
