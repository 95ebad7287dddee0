"""What can be asked for, over all backends: the lists in both APIs' shapes, and the way from a name to a model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from claude_proxy.backends.base import Backend, Model
from claude_proxy.errors import ProxyError, Unavailable, UnknownModel
from claude_proxy.routing import CLI, Offers, Resolved, costs_unasked, named
from claude_proxy.server.exchange import Server

Json = dict[str, Any]

_EPOCH = "1970-01-01T00:00:00Z"
"""What the Anthropic API gives where a release date isn't known."""


async def offers(server: Server) -> tuple[Offers, dict[str, ProxyError]]:
    """Ask every backend; give the lists, and the failures of those that can't say, by the backend's name."""
    if all(backend.name in server.listed for backend in server.backends):
        # They know by now, and answer at once: a task for each would cost more than the answers.
        answers = [await _list(backend) for backend in server.backends]
    else:
        answers = await asyncio.gather(*(_list(backend) for backend in server.backends))
    lists: dict[str, Sequence[Model]] = {}
    failures: dict[str, ProxyError] = {}
    for backend, answer in zip(server.backends, answers, strict=True):
        if isinstance(answer, ProxyError):
            failures[backend.name] = answer
            server.listed.discard(backend.name)
        else:
            lists[backend.name] = tuple(answer)
            server.listed.add(backend.name)
    if not lists:
        raise next(iter(failures.values()), Unavailable("no backend is set up: enable one in the config"))
    return lists, failures


async def _list(backend: Backend) -> Sequence[Model] | ProxyError:
    try:
        return await backend.models()
    except ProxyError as error:
        return error


async def find(server: Server, name: str) -> tuple[Resolved, ...]:
    """Give who has the model that ``name`` means, the best first; raise ``UnknownModel`` where nobody has."""
    lists, failures = await offers(server)
    try:
        found = server.names.find(name, lists, server.config.model_aliases, server.config.default_model)
    except UnknownModel:
        for failure in failures.values():
            # The backend that can't answer now may be the one that has it: 404 would be a guess.
            raise failure from None
        raise
    if failures:
        _check_cost(server, found[0], failures)
    return found


def _check_cost(server: Server, found: Resolved, failures: Mapping[str, ProxyError]) -> None:
    """Raise why the plan can't answer, where the request would cost money because of it and nobody has allowed that."""
    names = [backend.name for backend in server.backends]
    before = server.backends[: names.index(found.backend)]
    silent = {backend.kind: failures[backend.name] for backend in before if backend.name in failures}
    kind = server.backends[len(before)].kind
    if costs_unasked(found, kind, silent, fall_back_to_api_key=server.config.routing.fall_back_to_api_key):
        raise silent[CLI]


def openai_entries(lists: Offers, aliases: Mapping[str, str]) -> list[Json]:
    """Give every name that can be asked for, once, as OpenAI lists models, with what else we know."""
    entries: dict[str, Json] = {}
    for backend, models in lists.items():
        for model in models:
            name = named(model, model.id)
            entries.setdefault(name, _openai_entry(name, model, backend))
        for model in models:
            for alias in (named(model, alias) for alias in model.aliases):
                known = {**_openai_entry(alias, model, backend), "alias_of": named(model, model.id)}
                entries.setdefault(alias, known)
    for alias, target in aliases.items():
        meant = entries.get(target)
        if meant is not None:
            entries.setdefault(alias, {**meant, "id": alias, "alias_of": meant.get("alias_of", target)})
    return list(entries.values())


def _openai_entry(name: str, model: Model, backend: str) -> Json:
    known: Json = {
        "display_name": model.display_name,
        "backend": backend,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "effort_levels": list(model.effort_levels),
    }
    # ``created`` is obligatory and unknown; ``owned_by`` says who serves it.
    return {"id": name, "object": "model", "created": 0, "owned_by": backend, **known}


def anthropic_entries(lists: Offers) -> list[Json]:
    """Give every model, once, as Anthropic lists models."""
    titles: dict[str, str] = {}
    for models in lists.values():
        for model in models:
            titles.setdefault(named(model, model.id), model.display_name)
    return [anthropic_entry(model_id, display_name) for model_id, display_name in titles.items()]


def anthropic_entry(model_id: str, display_name: str) -> Json:
    """Give one model as Anthropic describes it."""
    return {"type": "model", "id": model_id, "display_name": display_name, "created_at": _EPOCH}


def openai_list(entries: list[Json]) -> Json:
    """Wrap entries as OpenAI does."""
    return {"object": "list", "data": entries}


def anthropic_list(entries: list[Json]) -> Json:
    """Wrap entries as Anthropic does: one page, and nothing after it."""
    ends = (
        {"first_id": entries[0]["id"], "last_id": entries[-1]["id"]} if entries else {"first_id": None, "last_id": None}
    )
    return {"data": entries, "has_more": False, **ends}
