"""Which upstream a key is for, and what it is asked."""

from __future__ import annotations

import asyncio

import pytest
from raw_upstreams import Handler, http_proxy, listening, read_request

from claude_proxy.cli.key_check import Use, asked, upstream_of, uses
from claude_proxy.config.schema import (
    ApiKeyEntry,
    ClaudeApiKey,
    ClaudeCliConfig,
    Config,
    ModelName,
    OpenAICompatibility,
)
from claude_proxy.errors import ConfigError

KEY = "sk-hidden"
REFERENCE = "keyring:mine"
LIST = b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\n{"data": []}'
NO = b"HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def upstream(seen: list[str], *, is_open: bool = False) -> Handler:
    """List models to who has the key, or to everybody, and note what was asked."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await read_request(reader)).decode().lower()
        seen.append(head)
        writer.write(LIST if is_open or KEY in head else NO)

    return handler


def claude(base_url: str = "", **more: str) -> ClaudeApiKey:
    """Give an entry that refers to the key."""
    return ClaudeApiKey(api_key=REFERENCE, base_url=base_url, **more)  # type: ignore[arg-type]  # only strings here


def openai(base_url: str, *references: str) -> OpenAICompatibility:
    """Give an entry with these keys, and a list of models that must not keep it from being asked."""
    keys = tuple(ApiKeyEntry(api_key=reference) for reference in references)
    return OpenAICompatibility(
        name="one", base_url=base_url, api_key_entries=keys, models=(ModelName(name="m"),), headers={"x-mine": "yes"}
    )


def test_the_places_of_a_key_are_found_upstreams_first() -> None:
    """By the names that the configuration has for them."""
    entry, other = claude(), openai("http://one", "keyring:other", REFERENCE)
    config = Config(
        api_keys=("plain", REFERENCE),
        claude_cli=ClaudeCliConfig(env={"A": REFERENCE, "B": "b"}),
        claude_api_key=(ClaudeApiKey(api_key="env:X"), entry),
        openai_compatibility=(other,),
    )

    assert list(uses(config, REFERENCE)) == [
        Use("claude-api-key[1].api-key", entry),
        Use("openai-compatibility[0].api-key-entries[1].api-key", other),
        Use("api-keys[1]"),
        Use("claude-cli.env.A"),
    ]


@pytest.mark.parametrize(
    ("places", "key", "wanted"),
    [
        ([Use("claude-api-key[0]", claude("http://one")), Use("api-keys[0]")], KEY, claude("http://one")),
        ([Use("api-keys[0]")], "sk-ant-api03-x", None),
        ([], "sk-ant-api03-x", ClaudeApiKey(api_key="sk-ant-api03-x")),
        ([], KEY, None),
    ],
)
def test_a_key_is_asked_of_nobody_whom_it_may_not_be_for(
    places: list[Use], key: str, wanted: ClaudeApiKey | None
) -> None:
    """Its entry says whose it is, else its beginning; else it stays here."""
    assert upstream_of(places, key) == wanted


async def test_an_upstream_that_speaks_messages_is_asked_once() -> None:
    """As the server would: with the entry's headers, and without the key of its reference."""
    seen: list[str] = []
    async with listening(upstream(seen)) as port:
        verdict = await asked(claude(f"http://127.0.0.1:{port}/v1", headers={"x-mine": "yes"}), KEY, "")  # type: ignore[arg-type]

    assert verdict.taken
    assert len(seen) == 1
    assert seen[0].startswith("get /v1/models?limit=1 ")
    for header in (f"x-api-key: {KEY}", "anthropic-version: 2023-06-01", "x-mine: yes"):
        assert header in seen[0]


async def test_the_configured_proxy_is_used_and_the_entrys_own_before_it() -> None:
    """A key may be bound to the address that requests come from."""
    seen: list[bytes] = []
    async with listening(upstream([])) as port, listening(http_proxy(seen)) as proxy:
        through, url = f"http://127.0.0.1:{proxy}", f"http://127.0.0.1:{port}"
        for verdict in (
            await asked(claude(url), KEY, through),
            await asked(claude(url, proxy_url=through), KEY, "http://127.0.0.1:9"),
            await asked(openai(url, REFERENCE), KEY, through),
        ):
            assert verdict.taken
    assert len(seen) == 4  # the last one is asked without the key, too


async def test_an_openai_upstream_that_refuses_the_key() -> None:
    """With one request; the other keys of the entry aren't sent."""
    seen: list[str] = []
    async with listening(upstream(seen)) as port:
        verdict = await asked(openai(f"http://127.0.0.1:{port}/v1", "plain-key", REFERENCE), "sk-wrong", "")

    assert (verdict.taken, len(seen)) == (False, 1)
    assert seen[0].startswith("get /v1/models ")
    assert "authorization: bearer sk-wrong" in seen[0]
    assert "x-mine: yes" in seen[0]
    assert "plain-key" not in seen[0]


async def test_an_open_list_says_nothing_of_a_key() -> None:
    """OpenRouter's is one: a wrong key would look like a good one."""
    seen: list[str] = []
    async with listening(upstream(seen, is_open=True)) as port:
        verdict = await asked(openai(f"http://127.0.0.1:{port}/v1", REFERENCE), KEY, "")

    assert (verdict.taken, verdict.said) == (None, "one lists its models to everybody, with or without a key")
    assert [KEY in head for head in seen] == [True, False]


async def test_an_entry_that_can_not_be_used_is_told() -> None:
    """The server would leave it out."""
    with pytest.raises(ConfigError, match=r"its `base-url` must look like"):
        await asked(claude("ftp://one"), KEY, "")
