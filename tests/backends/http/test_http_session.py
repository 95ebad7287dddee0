"""Connections go through the proxy that was asked for, and carry nothing that nobody asked for."""

from __future__ import annotations

import aiohttp
import pytest
from raw_upstreams import free_port, http_proxy, listening, read_request, socks5_proxy

from claude_proxy.backends.http.session import Sessions, SocksProxyFailed, check_proxy, is_loopback, proxy_for

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a=b\r\n\r\nok"


async def fetched(url: str, proxy_url: str = "", times: int = 1) -> str:
    """Get a page."""
    sessions, text = Sessions(), ""
    try:
        for _ in range(times):
            response = await sessions.request(
                "GET", url, headers={}, proxy_url=proxy_url, deadlines=aiohttp.ClientTimeout(total=5)
            )
            text = await response.text()
        return text
    finally:
        await sessions.close()


async def served(proxy_url: str, host: str = "127.0.0.1", seen: list[bytes] | None = None, times: int = 1) -> str:
    """Get a page of an upstream through a proxy."""

    async def upstream(reader, writer) -> None:  # type: ignore[no-untyped-def]  # a handler as raw_upstreams has them
        while True:
            request = await read_request(reader)
            if seen is not None:
                seen.append(request)
            writer.write(OK)

    async with listening(upstream) as port:
        return await fetched(f"http://{host}:{port}/", proxy_url, times)


async def test_a_plain_proxy_is_used_and_gets_its_password() -> None:
    """The request goes to the proxy, with the sign-in that the URL holds."""
    seen: list[bytes] = []
    async with listening(http_proxy(seen)) as port:
        assert await served(f"http://me:secret@127.0.0.1:{port}") == "ok"
    assert seen[0].startswith(b"GET http://127.0.0.1:")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in seen[0]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_is_used_and_looks_names_up(scheme: str) -> None:
    """The proxy gets the name, not an address of ours."""
    seen: list[tuple[str, int]] = []
    async with listening(socks5_proxy(seen)) as port:
        assert await served(f"{scheme}://127.0.0.1:{port}", host="upstream.invalid") == "ok"
    assert seen[0][0] == "upstream.invalid"


async def test_a_socks_proxy_gets_its_password() -> None:
    """RFC 1929."""
    seen: list[tuple[str, int]] = []
    async with listening(socks5_proxy(seen, password="secret")) as port:
        assert await served(f"socks5://me:secret@127.0.0.1:{port}") == "ok"
    assert len(seen) == 1


async def test_a_socks_proxy_that_fails_is_an_error_of_a_connection() -> None:
    """Where nobody listens, and where it wants another password: who asks expects aiohttp's errors."""
    with pytest.raises(SocksProxyFailed):
        await fetched("http://upstream.invalid/", f"socks5://127.0.0.1:{free_port()}")
    async with listening(socks5_proxy([], password="secret")) as port:
        with pytest.raises(SocksProxyFailed):
            await fetched("http://upstream.invalid/", f"socks5://me:wrong@127.0.0.1:{port}")


async def test_a_request_carries_nothing_of_its_own() -> None:
    """No cookie of an earlier answer, and no wish for compression: bytes are handed on as they come."""
    seen: list[bytes] = []
    assert await served("", seen=seen, times=2) == "ok"
    assert len(seen) == 2
    assert b"accept-encoding: identity" in seen[1].lower()
    assert b"cookie" not in seen[1].lower()


def test_the_environments_proxy_is_used_but_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy out there can't reach our loopback; ``NO_PROXY`` is honoured, a configured proxy comes first."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "http://env:1")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_for("https://api.example/v1", "") == "http://env:1"
    assert proxy_for("http://api.example/v1", "") is None
    assert proxy_for("https://inside.example/v1", "") is None
    assert proxy_for("https://localhost:1/v1", "") is None
    assert proxy_for("https://api.example/v1", "http://own:2") == "http://own:2"
    assert proxy_for("https://127.0.0.1/v1", "http://own:2") == "http://own:2"
    assert proxy_for("https://api.example/v1", "direct") is None
    monkeypatch.setenv("all_proxy", "socks5://env:3")
    assert proxy_for("http://api.example/v1", "") == "socks5://env:3"


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("a.localhost", True),
        ("10.0.0.1", False),
        ("a.b", False),
    ],
)
def test_what_is_this_machine(host: str, ours: bool) -> None:  # noqa: FBT001  # expected
    """By name and by address."""
    assert is_loopback(host) is ours


@pytest.mark.parametrize("url", ["", "direct", "http://h:1", "https://u:p@h", "socks5://h:1080", "socks5h://h"])
def test_a_proxy_that_can_be_used(url: str) -> None:
    """The schemes there are."""
    assert check_proxy(url) is None


@pytest.mark.parametrize("url", ["h:1", "ftp://h", "http://", "http://u:geheim@h:port", "http://[h"])
def test_a_proxy_that_can_not(url: str) -> None:
    """What is wrong is said without repeating a password."""
    problem = check_proxy(url)
    assert problem is not None
    assert "geheim" not in problem
