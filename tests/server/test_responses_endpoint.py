"""The Responses endpoint as its clients see it, and what is kept of its answers."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import Response, ResponseItemList
from real_cli import until
from scripted_server import Running, ScriptedBackend, Serve, reply

from claude_proxy.canon.blocks import Text, Thinking
from claude_proxy.canon.events import (
    AnyEvent,
    BlockStart,
    BlockStop,
    MessageDelta,
    MessageStart,
    MessageStop,
    SignatureDelta,
    ThinkingDelta,
    Usage,
)
from claude_proxy.config.schema import Streaming
from claude_proxy.dialects.responses import RESPONSES
from claude_proxy.errors import Overloaded, RateLimited, UpstreamError
from claude_proxy.store.responses import ResponseStore

KEYS = ("key-of-alice", "key-of-bob")
ALICE = {"Authorization": f"Bearer {KEYS[0]}"}
BOB = {"Authorization": f"Bearer {KEYS[1]}"}
ENCRYPTED = "reasoning.encrypted_content"
DAY = 86_400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where responses are kept."""
    return tmp_path / "claude-proxy/responses.sqlite3"


def mode(path: Path) -> int:
    """Give a file's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def novel(path: Path) -> None:
    """Put something else where the file would be."""
    path.parent.mkdir()
    path.write_bytes(b"my novel, chapter one" * 100)


async def asked(server: Running, *, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    """Give a response, having made sure that it is one."""
    async with server.respond(headers=headers, **fields) as response:
        assert response.status == 200, await response.text()
        body: dict[str, Any] = await response.json()
    Response.model_validate(body, strict=True)
    return body


async def streamed(server: Running, **fields: Any) -> list[dict[str, Any]]:
    """Give the events of a streamed response."""
    async with server.respond(stream=True, **fields) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        text = await response.text()
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]


async def called(
    server: Running, path: str, method: str = "GET", headers: dict[str, str] | None = None, **query: Any
) -> tuple[int, dict[str, Any]]:
    """Ask for what is kept; gives the status and the JSON."""
    url = f"{server.url}/v1/responses/{path}"
    async with server.http.request(method, url, params=query, headers=headers) as response:
        return response.status, await response.json()


def said(backend: ScriptedBackend) -> list[list[str]]:
    """Give the texts of the turns that the backend was asked with last."""
    messages = backend.calls[-1].request.messages
    return [[block.text for block in message.content if isinstance(block, Text)] for message in messages]


def thoughtful() -> list[AnyEvent]:
    """Give a reply that thinks first."""
    return [
        MessageStart(id="msg_1", model="claude-sonnet-5-5", usage=Usage(input_tokens=3)),
        BlockStart(index=0, block=Thinking(thinking="")),
        ThinkingDelta(index=0, thinking="hm"),
        SignatureDelta(index=0, signature="c2ln"),
        BlockStop(index=0),
        BlockStart(index=1, block=Text(text="Yes")),
        BlockStop(index=1),
        MessageDelta(stop_reason="end_turn", usage=Usage(output_tokens=5)),
        MessageStop(),
    ]


async def test_r01_a_whole_response(serve: Serve, backend: ScriptedBackend) -> None:
    """R01: a string in, a response out; the model is the exact one."""
    body = await asked(await serve(), instructions="be brief")
    assert (body["object"], body["status"], body["model"]) == ("response", "completed", "claude-sonnet-5-5")
    assert body["output"][0]["content"][0]["text"] == "Hello world"
    assert body["store"] is True
    assert said(backend) == [["hi"]]
    assert [block.text for block in backend.calls[0].request.system] == ["be brief"]


async def test_r02_a_streamed_response(serve: Serve) -> None:
    """R02: numbered events, of which the last has the whole response, which is the one that is kept."""
    server = await serve()
    events = await streamed(server)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")
    whole = events[-1]["response"]
    assert await called(server, whole["id"]) == (200, whole)


async def test_r05_a_failure_before_the_stream_is_an_error(serve: Serve, backend: ScriptedBackend) -> None:
    """R05: in OpenAI's shape, with a status."""
    backend.entry = [RateLimited("slow down", retry_after=3)]
    server = await serve()
    for stream in (True, False):
        async with server.respond(stream=stream) as response:
            assert (response.status, response.headers["retry-after"]) == (429, "3")
            error = (await response.json())["error"]
        assert (error["message"], error["type"], error["param"]) == ("slow down", "rate_limit_error", None)


async def test_r05_a_failure_in_mid_stream_is_response_failed(serve: Serve, backend: ScriptedBackend) -> None:
    """R05: with what came before it; and it isn't kept."""
    backend.script = [*reply("Hello")[:3], Overloaded("too much")]
    server = await serve()
    last = (await streamed(server))[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert (last["response"]["error"]["code"], last["response"]["error"]["message"]) == ("server_error", "too much")
    assert (await called(server, last["response"]["id"]))[0] == 404


async def test_r05_a_failure_after_a_sign_of_life_is_response_failed(serve: Serve, backend: ScriptedBackend) -> None:
    """R05: the stream has begun though the reply hasn't."""
    gate = asyncio.Event()
    backend.entry = [gate, UpstreamError("it broke")]
    server = await serve(streaming=Streaming(keepalive_seconds=0.02))
    async with server.respond(stream=True) as response:
        await response.content.readexactly(len(RESPONSES.keepalive))
        gate.set()
        text = await response.text()
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.failed"]
    assert events[-1]["response"]["error"]["message"] == "it broke"


async def test_r05_a_reply_that_ends_too_soon_is_incomplete_and_kept(serve: Serve, backend: ScriptedBackend) -> None:
    """R05: a client may go on from it."""
    cut = MessageDelta(stop_reason="max_tokens", usage=Usage(output_tokens=5))
    backend.script = [*reply("Hello")[:-2], cut, MessageStop()]
    server = await serve()
    body = await asked(server, max_output_tokens=1)
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (await called(server, body["id"]))[1] == body


@pytest.mark.parametrize("stream", [True, False])
async def test_r06_a_conversation_goes_on(serve: Serve, backend: ScriptedBackend, path: Path, *, stream: bool) -> None:
    """R06: at once, before anything is on disk, and again after it is; instructions aren't carried over."""
    server = await serve(store=ResponseStore(path))
    if stream:
        first = (await streamed(server, instructions="be"))[-1]["response"]
    else:
        first = await asked(server, instructions="be")
    second = await asked(server, input="more", previous_response_id=first["id"])
    assert said(backend) == [["hi"], ["Hello world"], ["more"]]
    assert backend.calls[-1].request.system == ()
    assert second["previous_response_id"] == first["id"]
    await server.end()
    again = await serve(store=ResponseStore(path))
    await asked(again, input="and more", previous_response_id=second["id"])
    assert said(backend) == [["hi"], ["Hello world"], ["more"], ["Hello world"], ["and more"]]


async def test_all_of_a_conversation_counts_as_kept_in_memory(serve: Serve, path: Path) -> None:
    """Its last response holds all of it, however little the last turn added: else short turns had no bound."""
    store = ResponseStore(path)
    server = await serve(store=store)
    first = await asked(server, input="x" * 10_000)
    second = await asked(server, input="more", previous_response_id=first["id"])
    await asked(server, input="more", previous_response_id=second["id"])
    await until(lambda: len(store._recent) == 3)
    sizes = [one.size for one in store._recent.values()]
    assert 10_000 < sizes[0] < sizes[1] < sizes[2] < 20_000


async def test_r06_an_unknown_previous_response_is_named(serve: Serve, backend: ScriptedBackend) -> None:
    """R06: 400 with the code that clients look for; the model isn't asked."""
    server = await serve()
    for stream in (True, False):
        async with server.respond(previous_response_id="resp_nope", stream=stream) as response:
            assert response.status == 400
            assert (await response.json())["error"] == {
                "message": "Previous response with id 'resp_nope' not found.",
                "type": "invalid_request_error",
                "param": "previous_response_id",
                "code": "previous_response_not_found",
            }
    assert backend.calls == []


async def test_r06_a_response_belongs_to_its_key(serve: Serve) -> None:
    """R06: for another key it isn't there, whatever is asked of it."""
    server = await serve(api_keys=KEYS)
    made = (await asked(server, headers=ALICE))["id"]
    for path, method in ((made, "GET"), (made, "DELETE"), (f"{made}/input_items", "GET"), (f"{made}/cancel", "POST")):
        status, body = await called(server, path, method, BOB)
        assert (status, body["error"]["message"]) == (404, f"Response with id '{made}' not found.")
        assert body["error"]["type"] == "invalid_request_error"
    async with server.respond(headers=BOB, previous_response_id=made) as response:
        assert response.status == 400
    async with server.http.get(f"{server.url}/v1/responses/{made}") as response:
        assert response.status == 401
    assert (await called(server, made, headers=ALICE))[0] == 200


async def test_r06_store_false_leaves_nothing(serve: Serve, path: Path) -> None:
    """R06: not in memory, and no file is even made; the response says so."""
    server = await serve(store=ResponseStore(path))
    body = await asked(server, store=False)
    assert body["store"] is False
    assert (await called(server, body["id"]))[0] == 404
    await streamed(server, store=False)
    await server.end()
    assert not path.parent.exists()


async def test_r06_store_false_can_go_on_from_what_is_kept(serve: Serve, backend: ScriptedBackend, path: Path) -> None:
    """R06: the words of such a turn are in no file."""
    server = await serve(store=ResponseStore(path))
    first = await asked(server, input="kept")
    second = await asked(server, input="the-secret-word", previous_response_id=first["id"], store=False)
    assert said(backend) == [["kept"], ["Hello world"], ["the-secret-word"]]
    assert (await called(server, second["id"]))[0] == 404
    await server.end()
    assert not any(b"the-secret-word" in file.read_bytes() for file in path.parent.iterdir())


async def test_r06_delete(serve: Serve) -> None:
    """R06: gone, for every use; what went on from it goes on."""
    server = await serve()
    first = await asked(server)
    second = await asked(server, input="more", previous_response_id=first["id"])
    assert await called(server, first["id"], "DELETE") == (
        200,
        {"id": first["id"], "object": "response", "deleted": True},
    )
    assert (await called(server, first["id"], "DELETE"))[0] == 404
    assert (await called(server, first["id"]))[0] == 404
    async with server.respond(previous_response_id=first["id"]) as response:
        assert response.status == 400
    assert (await asked(server, previous_response_id=second["id"]))["status"] == "completed"


async def test_input_items_are_paged(serve: Serve) -> None:
    """The newest first where nothing is said; earlier turns included; each once."""
    server = await serve()
    first = await asked(server, input="one")
    made = (await asked(server, input="two", previous_response_id=first["id"]))["id"]
    status, whole = await called(server, f"{made}/input_items")
    ResponseItemList.model_validate(whole, strict=True)
    texts = [item["content"][0]["text"] for item in whole["data"]]
    assert (status, texts, whole["has_more"]) == (200, ["two", "Hello world", "one"], False)
    _, page = await called(server, f"{made}/input_items", limit="2", order="asc")
    assert page["data"] == whole["data"][:0:-1]
    assert page["has_more"]
    _, rest = await called(server, f"{made}/input_items", limit="2", order="asc", after=page["last_id"])
    assert (rest["data"], rest["has_more"]) == (whole["data"][:1], False)


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "many"}, {"order": "up"}, {"after": "msg_nope"}, {"limit": "101"}]
)
async def test_a_page_that_isnt_there_is_refused(serve: Serve, query: dict[str, Any]) -> None:
    """400 naming the parameter."""
    server = await serve()
    made = (await asked(server))["id"]
    status, body = await called(server, f"{made}/input_items", **query)
    assert (status, body["error"]["param"]) == (400, next(iter(query)))


async def test_r04_what_was_thought_is_shown_for_who_asks(serve: Serve, backend: ScriptedBackend) -> None:
    """R04: sealed, in the response and in the input of the next; and the model gets it back."""
    backend.script = thoughtful()
    server = await serve()
    made = await asked(server, reasoning={"effort": "high"})
    assert "encrypted_content" not in made["output"][0]
    _, plain = await called(server, made["id"])
    assert plain == made
    for name in ("include", "include[]"):
        _, shown = await called(server, made["id"], **dict[str, Any]({name: ENCRYPTED}))
        assert shown["output"][0]["encrypted_content"].startswith("claude-proxy.1.")
        Response.model_validate(shown, strict=True)
    after = await asked(server, input="more", previous_response_id=made["id"], reasoning={"effort": "high"})
    assert backend.calls[-1].request.messages[1].content[0] == Thinking(thinking="hm", signature="c2ln")
    _, hidden = await called(server, f"{after['id']}/input_items", order="asc")
    _, sealed = await called(server, f"{after['id']}/input_items", order="asc", include=ENCRYPTED)
    assert ["encrypted_content" in listed["data"][1] for listed in (hidden, sealed)] == [False, True]


async def test_a_response_that_is_over_cant_be_cancelled(serve: Serve) -> None:
    """There are none in the background."""
    server = await serve()
    made = (await asked(server))["id"]
    status, body = await called(server, f"{made}/cancel", "POST")
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert "Cannot cancel a synchronous response" in body["error"]["message"]
    assert (await called(server, "resp_nope/cancel", "POST"))[0] == 404


async def test_a_response_isnt_streamed_again(serve: Serve) -> None:
    """Only those in the background are, which there are none of."""
    server = await serve()
    made = (await asked(server))["id"]
    status, body = await called(server, made, stream="true")
    assert (status, body["error"]["param"]) == (400, "stream")
    assert (await called(server, made, stream="false"))[0] == 200


async def test_a_strict_server_refuses_losses(serve: Serve, backend: ScriptedBackend) -> None:
    """Naming the field in the client's words; else they are named in a header."""
    fields: dict[str, Any] = {"truncation": "auto", "tools": [{"type": "web_search"}]}
    async with (await serve()).respond(**fields) as response:
        assert set(response.headers["x-claude-proxy-lost"].split(", ")) == {"truncation", "tools.web_search"}
    async with (await serve(strict=True)).respond(**fields) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] in ("truncation", "tools.web_search")
    assert len(backend.calls) == 1


async def test_a_body_that_cant_be_read_is_refused(serve: Serve) -> None:
    """In OpenAI's shape, naming the field."""
    server = await serve()
    async with server.respond(previous_response_id=7) as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "previous_response_id")
    async with server.respond(input=[{"role": "poet", "content": "x"}]) as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "input[0].role")
    async with server.http.post(f"{server.url}/v1/responses", data=b"{") as response:
        assert response.status == 400
    async with server.respond(model="gpt-nope") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "model_not_found")


async def test_with_0_days_none_is_kept(serve: Serve, path: Path) -> None:
    """What was asked for is named as lost; who doesn't ask loses nothing."""
    server = await serve(store=ResponseStore(path, days=0), responses_days=0)
    async with server.respond() as response:
        made = await response.json()
        assert "x-claude-proxy-lost" not in response.headers
    assert made["store"] is False
    async with server.respond(store=True) as response:
        assert response.headers["x-claude-proxy-lost"] == "store"
    async with server.respond(previous_response_id=made["id"]) as response:
        assert response.status == 400
        assert "responses-days is 0" in (await response.json())["error"]["message"]
    await server.end()
    assert not path.parent.exists()


async def test_only_the_owner_may_read_the_file(serve: Serve, path: Path) -> None:
    """The file and its folder."""
    server = await serve(store=ResponseStore(path))
    await asked(server)
    await server.end()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


async def test_a_restart_keeps_responses_and_their_owners(serve: Serve, path: Path) -> None:
    """What was answered a moment before the end, too."""
    first = await serve(store=ResponseStore(path), api_keys=KEYS)
    made = await asked(first, headers=ALICE)
    await first.end()
    second = await serve(store=ResponseStore(path), api_keys=KEYS)
    assert await called(second, made["id"], headers=ALICE) == (200, made)
    assert (await called(second, made["id"], headers=BOB))[0] == 404


async def test_old_responses_are_gone(serve: Serve, path: Path) -> None:
    """After as many days as the configuration says."""
    first = await serve(store=ResponseStore(path))
    made = await asked(first)
    await first.end()
    late = made["created_at"] + 31 * DAY
    second = await serve(store=ResponseStore(path, clock=lambda: late))
    assert (await called(second, made["id"]))[0] == 404
    await second.end()
    third = await serve(store=ResponseStore(path))
    assert (await called(third, made["id"]))[0] == 404


async def test_a_disk_that_cant_be_written_fails_no_request(
    serve: Serve, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The conversation goes on in memory; the log says it once."""
    path.parent.write_text("in the way")
    server = await serve(store=ResponseStore(path))
    first = await asked(server)
    second = await asked(server, previous_response_id=first["id"])
    assert (await called(server, second["id"]))[1] == second
    await server.end()
    assert caplog.text.count("responses can't be stored") == 1


async def test_a_broken_file_is_said(serve: Serve, path: Path) -> None:
    """Who goes on from a response that may be in it gets a 503, all others their answers."""
    novel(path)
    server = await serve(store=ResponseStore(path))
    made = await asked(server)
    assert (await called(server, made["id"]))[1] == made
    status, body = await called(server, "resp_other")
    assert (status, body["error"]["type"]) == (503, "server_error")
    async with server.respond(previous_response_id="resp_other") as response:
        assert response.status == 503
