"""Which upstream a key is for, as the configuration says, and whether that upstream takes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from msgspec import structs

from claude_proxy.backends.anthropic import entries as anthropic
from claude_proxy.backends.anthropic.headers import VERSION
from claude_proxy.backends.http.check import SECONDS, Verdict, check
from claude_proxy.backends.http.entries import Source
from claude_proxy.backends.http.keys import Credential
from claude_proxy.backends.openai import entries as openai
from claude_proxy.config.schema import ApiKeyEntry, ClaudeApiKey, Config, OpenAICompatibility
from claude_proxy.errors import ConfigError

_ANTHROPIC_KEY = "sk-ant-"


@dataclass(frozen=True, slots=True)
class Use:
    """A place where the configuration refers to a key; ``upstream`` is whose key it is, where it is an upstream's."""

    where: str
    upstream: ClaudeApiKey | OpenAICompatibility | None = None


def uses(config: Config, reference: str) -> Iterator[Use]:
    """Give the places of a reference, upstreams first. ``config`` holds references, not secrets."""
    for i, entry in enumerate(config.claude_api_key):
        if entry.api_key == reference:
            yield Use(f"claude-api-key[{i}].api-key", entry)
    for i, upstream in enumerate(config.openai_compatibility):
        for j, key in enumerate(upstream.api_key_entries):
            if key.api_key == reference:
                yield Use(f"openai-compatibility[{i}].api-key-entries[{j}].api-key", upstream)
    yield from (Use(f"api-keys[{i}]") for i, value in enumerate(config.api_keys) if value == reference)
    yield from (Use(f"claude-cli.env.{name}") for name, value in config.claude_cli.env.items() if value == reference)


def upstream_of(places: list[Use], key: str) -> ClaudeApiKey | OpenAICompatibility | None:
    """Say where a key can be checked: where it is used, else at Anthropic if it is one of theirs.

    A key is never sent to who it may not be for.
    """
    if places:
        return places[0].upstream
    return ClaudeApiKey(api_key=key) if is_anthropic(key) else None


def is_anthropic(key: str) -> bool:
    """Say whether a key looks like one of Anthropic's."""
    return key.startswith(_ANTHROPIC_KEY)


async def asked(
    upstream: ClaudeApiKey | OpenAICompatibility, key: str, proxy_url: str, *, seconds: float = SECONDS
) -> Verdict:
    """Ask an upstream whether it takes a key, as the server would ask it."""
    if isinstance(upstream, ClaudeApiKey):
        entry = structs.replace(upstream, api_key=key)
        credential = _first(anthropic.sources([entry], proxy_url))
        credential = replace(credential, headers={"anthropic-version": VERSION, **credential.headers})
        return await check(credential, "/v1/models?limit=1", seconds=seconds)
    keys = [ApiKeyEntry(api_key=key)], ()
    with_key, without = (
        _first(openai.sources([structs.replace(upstream, api_key_entries=tuple(some))], proxy_url)) for some in keys
    )
    verdict = await check(with_key, "/models", seconds=seconds)
    if verdict.taken and (await check(without, "/models", seconds=seconds)).taken:
        # OpenRouter's list, for one, is open to everybody.
        return Verdict(None, f"{upstream.name} lists its models to everybody, with or without a key")
    return verdict


def _first(made: tuple[tuple[Source, ...], tuple[str, ...]]) -> Credential:
    sources, reasons = made
    if not sources:
        raise ConfigError("; ".join(reasons))
    return sources[0].credentials[0]
