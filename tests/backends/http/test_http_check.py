"""One request says whether an upstream takes a key, and why it can't be told where it can't."""

from __future__ import annotations

import pytest
from raw_upstreams import free_port, http_proxy, listening, saying, silent, socks5_proxy

from claude_proxy.backends.http.check import Verdict, check
from claude_proxy.backends.http.keys import Credential
from claude_proxy.simulator import Simulator

KEY = "sk-ant-api03-abc"
PATH = "/v1/models?limit=1"


def credential(base_url: str, proxy_url: str = "") -> Credential:
    """Give a key of an upstream."""
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    return Credential("one", "one", base_url, secret=KEY, headers=headers, proxy_url=proxy_url)


async def answered(status: str, body: bytes, *, seconds: float = 15) -> Verdict:
    """Give what is made of an upstream's answer."""
    head = b"HTTP/1.1 %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (status.encode(), len(body))
    async with listening(saying(head, body)) as port:
        return await check(credential(f"http://127.0.0.1:{port}"), PATH, seconds=seconds)


async def test_a_key_that_is_taken() -> None:
    """The upstream lists what it has."""
    async with Simulator() as simulator:
        assert await check(credential(simulator.base_url), PATH) == Verdict(taken=True, said="127.0.0.1 takes the key")


@pytest.mark.parametrize("status", ["401 Unauthorized", "400 Bad Request"])
async def test_a_key_that_is_refused(status: str) -> None:
    """In the upstream's own words, and never with the key in them."""
    body = b'{"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key %b."}}'

    assert await answered(status, body % KEY.encode()) == Verdict(
        taken=False, said="127.0.0.1 refuses the key: invalid x-api-key ***"
    )


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("403 Forbidden", b'{"error": {"message": "missing scope"}}', "127.0.0.1 answers 403: missing scope"),
        ("503 Sorry", b"", "127.0.0.1 answers 503: the upstream answered 503 without a reason"),
        ("200 OK", b"<html>", "what 127.0.0.1 answers is no list of models: is its `base-url` right?"),
        ("200 OK", b'{"data": {}}', "what 127.0.0.1 answers is no list of models: is its `base-url` right?"),
    ],
)
async def test_an_answer_that_does_not_tell(status: str, body: bytes, said: str) -> None:
    """A key that may not list models can be good, and so can one of an upstream that is out of order."""
    assert await answered(status, body) == Verdict(None, said)


async def test_a_plain_list_is_one_too() -> None:
    """Not every upstream puts it into an object."""
    assert (await answered("200 OK", b"[]")).taken


async def test_an_upstream_that_does_not_answer_is_not_waited_for() -> None:
    """Nobody sits before a terminal for longer."""
    async with listening(silent) as port:
        verdict = await check(credential(f"http://127.0.0.1:{port}"), PATH, seconds=0.05)

    assert verdict == Verdict(None, "127.0.0.1 didn't answer within 0.05 s")


async def test_an_upstream_that_can_not_be_reached() -> None:
    """With the reason that the system gives."""
    verdict = await check(credential(f"http://127.0.0.1:{free_port()}"), PATH)

    assert verdict.taken is None
    assert verdict.said.startswith("127.0.0.1 can't be reached: Connect")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_the_keys_proxy_is_used(scheme: str) -> None:
    """A proxy that fails is told of without its password."""
    heads: list[bytes] = []
    asked: list[tuple[str, int]] = []
    handler = http_proxy(heads) if scheme == "http" else socks5_proxy(asked)
    async with Simulator() as simulator, listening(handler) as port:
        verdict = await check(credential(simulator.base_url, f"{scheme}://127.0.0.1:{port}"), PATH)
    gone = await check(credential("http://upstream.invalid", f"{scheme}://me:hidden@127.0.0.1:{free_port()}"), PATH)

    assert verdict.taken
    assert len(heads) + len(asked) == 1
    assert gone.taken is None
    assert "hidden" not in gone.said
