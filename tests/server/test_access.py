"""Keys, hosts and origins over a real socket: what a browser and a client without a key get."""

from __future__ import annotations

import pytest
from scripted_server import ScriptedBackend, Serve

APP = "https://app.example"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"x-api-key": "wrong"}])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/nope"])
async def test_without_the_key_everything_is_401(
    serve: Serve, backend: ScriptedBackend, headers: dict[str, str], path: str
) -> None:
    """Not even which paths there are can be learned without a key."""
    server = await serve(api_keys=("right",))
    async with server.http.post(server.url + path, headers=headers, json={}) as response:
        body = await response.json()
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    message = body["error"]["message"]
    assert "key" in message
    assert "right" not in message
    assert not backend.calls


async def test_a_wrong_key_in_the_other_api_s_shape(serve: Serve) -> None:
    """The shape is that of the endpoint."""
    server = await serve(api_keys=("right",))
    async with server.http.post(f"{server.url}/v1/messages", json={}) as response:
        assert response.status == 401
        assert (await response.json())["error"]["type"] == "authentication_error"


async def test_a_foreign_host_is_refused_on_every_path(serve: Serve, backend: ScriptedBackend) -> None:
    """DNS rebinding ends at the door, health included."""
    server = await serve()
    for path in ("/v1/models", "/health", "/readyz", "/"):
        async with server.http.get(server.url + path, headers={"Host": "evil.example"}) as response:
            assert response.status == 403
            assert "allowed-hosts" in (await response.json())["error"]["message"]
    assert not backend.calls


async def test_a_page_elsewhere_can_not_start_a_turn(serve: Serve, backend: ScriptedBackend) -> None:
    """A text/plain POST needs no preflight: the origin is what stops it."""
    server = await serve()
    async with server.http.post(
        f"{server.url}/v1/chat/completions",
        data='{"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}',
        headers={"Origin": "https://evil.example", "Content-Type": "text/plain"},
    ) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers
    assert not backend.calls


async def test_a_foreign_page_s_preflight_is_refused(serve: Serve) -> None:
    """Nobody is told what they may send before they are allowed."""
    server = await serve()
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    async with server.http.options(f"{server.url}/v1/chat/completions", headers=headers) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_an_allowed_page_passes_its_preflight_without_a_key(serve: Serve) -> None:
    """Browsers send no key with a preflight."""
    server = await serve(cors_origins=(APP,), api_keys=("k",))
    headers = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    async with server.http.options(f"{server.url}/v1/chat/completions", headers=headers) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert response.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("stream", [False, True])
async def test_an_allowed_page_can_read_every_header_of_ours(
    serve: Serve, backend: ScriptedBackend, *, stream: bool
) -> None:
    """Whatever we tell in headers is exposed, the upstream's rate limits included."""
    backend.headers, backend.timings = {"x-ratelimit-remaining": "40"}, {"queue": 0.0}
    server = await serve(cors_origins=(APP,))
    async with server.chat(stream=stream, seed=1, headers={"Origin": APP}) as response:
        exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed == {
        "request-id",
        "x-request-id",
        "x-claude-proxy-backend",
        "x-claude-proxy-lost",
        "x-ratelimit-remaining",
        "server-timing",
    }


async def test_an_allowed_page_can_read_a_failure(serve: Serve) -> None:
    """An error without CORS headers would be a riddle in the browser."""
    server = await serve(cors_origins=(APP,), api_keys=("k",))
    async with server.chat(headers={"Origin": APP}) as response:
        assert response.status == 401
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert "x-should-retry" in response.headers["Access-Control-Expose-Headers"]


async def test_our_own_pages_may_ask(serve: Serve) -> None:
    """Same origin is no foreign origin, and needs no CORS."""
    server = await serve()
    async with server.chat(headers={"Origin": server.url, "Sec-Fetch-Site": "same-origin"}) as response:
        assert response.status == 200
        assert "Access-Control-Allow-Origin" not in response.headers
