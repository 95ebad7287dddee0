"""Model lists, health and readiness."""

from __future__ import annotations

import asyncio

import pytest
from scripted_server import ScriptedBackend, Serve

from claude_proxy import __version__
from claude_proxy.backends.base import Health
from claude_proxy.errors import NotSignedIn

ANTHROPIC = {"anthropic-version": "2023-06-01"}


async def test_l01_models_in_openai_s_shape(serve: Serve) -> None:
    """L01: every id, every alias that resolves, and the config's own, each once."""
    server = await serve(model_aliases={"gpt-4o": "sonnet", "nowhere": "nothing"})
    async with server.http.get(f"{server.url}/v1/models") as response:
        body = await response.json()
    assert body["object"] == "list"
    by_id = {entry["id"]: entry for entry in body["data"]}
    assert list(by_id) == ["claude-sonnet-5-5", "claude-opus-5-5", "sonnet", "opus", "gpt-4o"]
    assert by_id["sonnet"]["alias_of"] == by_id["gpt-4o"]["alias_of"] == "claude-sonnet-5-5"
    assert by_id["claude-sonnet-5-5"] == {
        "id": "claude-sonnet-5-5",
        "object": "model",
        "created": 0,
        "owned_by": "scripted",
        "display_name": "Sonnet 5.5",
        "backend": "scripted",
        "context_window": 1000,
        "max_output_tokens": None,
        "effort_levels": ["low", "high"],
    }


@pytest.mark.parametrize("headers", [ANTHROPIC, {"x-api-key": "any"}])
async def test_l01_models_in_anthropic_s_shape(serve: Serve, headers: dict[str, str]) -> None:
    """L01: a client of the other API gets the other list."""
    server = await serve()
    async with server.http.get(f"{server.url}/v1/models", headers=headers) as response:
        body = await response.json()
    assert [entry["id"] for entry in body["data"]] == ["claude-sonnet-5-5", "claude-opus-5-5"]
    assert body["data"][0]["type"] == "model"
    assert body["data"][0]["display_name"] == "Sonnet 5.5"
    assert (body["has_more"], body["first_id"], body["last_id"]) == (False, "claude-sonnet-5-5", "claude-opus-5-5")


async def test_an_empty_list_is_a_list(serve: Serve, backend: ScriptedBackend) -> None:
    """A backend that lists nothing is no failure."""
    backend.offered = []
    server = await serve()
    async with server.http.get(f"{server.url}/v1/models", headers=ANTHROPIC) as response:
        assert await response.json() == {"data": [], "has_more": False, "first_id": None, "last_id": None}


async def test_a_model_of_two_backends_is_listed_once(serve: Serve, backend: ScriptedBackend) -> None:
    """The preferred backend's entry is the one that counts."""
    server = await serve(backend, ScriptedBackend(name="second"))
    async with server.http.get(f"{server.url}/v1/models") as response:
        body = await response.json()
    assert [entry["owned_by"] for entry in body["data"]] == ["scripted"] * 4


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("claude-opus-5-5", "claude-opus-5-5"),
        ("opus", "opus"),
        ("OPUS", "opus"),
        ("claude-max/opus", "claude-opus-5-5"),
        ("sonnet-4.6", "claude-sonnet-4-6"),
    ],
)
async def test_l01_one_model(serve: Serve, name: str, shown: str) -> None:
    """L01: whatever can be asked for can be looked up."""
    server = await serve()
    async with server.http.get(f"{server.url}/v1/models/{name}") as response:
        body = await response.json()
    assert (response.status, body["id"], body["object"]) == (200, shown, "model")


@pytest.mark.parametrize(("name", "title"), [("opus", "Opus 5.5"), ("sonnet-4-6", "claude-sonnet-4-6")])
async def test_l01_one_model_in_anthropic_s_shape(serve: Serve, name: str, title: str) -> None:
    """L01: the other shape gives the exact id."""
    server = await serve()
    async with server.http.get(f"{server.url}/v1/models/{name}", headers=ANTHROPIC) as response:
        body = await response.json()
    assert body["type"] == "model"
    assert body["display_name"] == title


async def test_l01_an_unknown_model_is_404_in_both_shapes(serve: Serve) -> None:
    """L01: with suggestions, in the shape of who asks."""
    server = await serve()
    async with server.http.get(f"{server.url}/v1/models/sonet") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "model_not_found"
    async with server.http.get(f"{server.url}/v1/models/sonet", headers=ANTHROPIC) as response:
        body = await response.json()
    assert body["error"]["type"] == "not_found_error"
    assert "sonnet" in body["error"]["message"]


async def test_a_backend_that_is_not_signed_in_says_so_in_the_list(serve: Serve, backend: ScriptedBackend) -> None:
    """An empty list would hide why."""
    backend.offered = NotSignedIn("run claude-proxy login")
    server = await serve()
    async with server.http.get(f"{server.url}/v1/models") as response:
        assert response.status == 401


async def test_health_needs_nothing(serve: Serve, backend: ScriptedBackend) -> None:
    """A monitor learns that the server runs, without a key and whatever the backends do."""
    backend.offered = backend.state = NotSignedIn("run claude-proxy login")
    server = await serve(api_keys=("k",))
    async with server.http.get(f"{server.url}/health") as response:
        assert response.status == 200
        assert await response.json() == {"status": "ok", "version": __version__}


async def test_health_names_the_demo(serve: Serve) -> None:
    """Nobody mistakes the simulator for a model."""
    server = await serve(demo=True)
    async with server.http.get(f"{server.url}/health") as response:
        assert (await response.json())["demo"] is True
        assert response.headers["x-claude-proxy-demo"] == "1"


@pytest.mark.parametrize(
    ("state", "status", "detail"),
    [
        (Health(ready=True, detail="fine", account="me@example.com"), 200, None),
        (Health(ready=False, detail="not signed in"), 503, "not signed in"),
        (RuntimeError("inside"), 503, "no answer (RuntimeError)"),
    ],
)
async def test_ready_is_what_the_backends_are(
    serve: Serve, backend: ScriptedBackend, state: Health | Exception, status: int, detail: str | None
) -> None:
    """503 until one can answer, with the reason, without a key, and without a word on whose account it is."""
    backend.state = state
    server = await serve(api_keys=("k",))
    async with server.http.get(f"{server.url}/readyz") as response:
        body = await response.json()
    assert response.status == status
    assert body["backends"][0].get("detail") == detail
    assert "me@example.com" not in str(body)


async def test_one_ready_backend_is_enough(serve: Serve, backend: ScriptedBackend) -> None:
    """The others are named with what keeps them."""
    down = ScriptedBackend(name="down", state=Health(ready=False, detail="down"))
    server = await serve(down, backend)
    async with server.http.get(f"{server.url}/readyz") as response:
        assert response.status == 200
        assert [told["ready"] for told in (await response.json())["backends"]] == [False, True]


async def test_a_backend_that_is_slow_to_say_is_not_ready(
    serve: Serve, backend: ScriptedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe gets its answer in time."""
    monkeypatch.setattr("claude_proxy.server.status._HEALTH_SECONDS", 0.05)

    async def never() -> Health:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(backend, "health", never)
    server = await serve()
    async with server.http.get(f"{server.url}/readyz") as response:
        assert response.status == 503


async def test_a_backend_that_breaks_is_500(serve: Serve, backend: ScriptedBackend) -> None:
    """A failure that nobody foresaw says nothing of our insides."""
    backend.offered = RuntimeError("inside out")
    server = await serve()
    async with server.http.get(f"{server.url}/v1/models") as response:
        assert response.status == 500
        assert "inside out" not in await response.text()
