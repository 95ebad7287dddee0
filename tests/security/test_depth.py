"""Bodies that are nested without end: refused or answered, whichever dialect, field and backend; never a failure."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import fake_claude
import pytest
from aiohttp import web
from scripted_server import Running, Serve

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.claude_cli.backend import ClaudeCli
from claude_proxy.backends.openai.backend import OpenAICompatible
from claude_proxy.config.schema import ClaudeApiKey, ClaudeCliConfig, Config, ModelName, OpenAICompatibility
from claude_proxy.simulator import Simulator

USER = '"messages":[{"role":"user","content":"hi"}]'
DEPTHS = (60, 400, 960, 20_000)
"""Python's own limit is 1,000; what stands around a value, and what takes it apart, needs some of that."""

SHAPES = {
    "objects": ('{"a":', "1", "}"),
    "lists": ("[", "", "]"),
    "a schema": ('{"type":"object","properties":{"a":', '{"type":"string"}', "}}"),
    "alternatives": ('{"anyOf":[', '{"type":"string"}', "]}"),
}

TAKEN_APART = ("a schema", "alternatives")
"""What is translated level by level."""


def nested(shape: str, depth: int) -> str:
    """Give a value of one shape inside itself."""
    opening, inside, closing = SHAPES[shape]
    return opening * depth + inside + closing * depth


def requests(deep: str) -> list[tuple[str, str]]:
    """Give requests that have a value in each place where any value can stand."""
    chat, messages, count, responses = (
        f"/v1/{name}" for name in ("chat/completions", "messages", "messages/count_tokens", "responses")
    )
    call = f'{{"id":"c","type":"function","function":{{"name":"t","arguments":{json.dumps(deep)}}}}}'
    called = f'{{"type":"function_call","call_id":"c","name":"t","arguments":{json.dumps(deep)}}}'
    used = f'{{"role":"assistant","content":[{{"type":"tool_use","id":"c","name":"t","input":{deep}}}]}}'
    result = '{"type":"tool_result","tool_use_id":"c","content":"x"}'
    schema = f'"schema":{deep}'
    return [
        (chat, deep),
        (chat, f'{{{USER},"x":{deep}}}'),
        (chat, f'{{"messages":[{{"role":"user","content":{deep}}}]}}'),
        (chat, f'{{{USER},"tools":[{{"type":"function","function":{{"name":"t","parameters":{deep}}}}}]}}'),
        (chat, f'{{{USER},"response_format":{{"type":"json_schema","json_schema":{{"name":"x",{schema}}}}}}}'),
        (chat, f'{{"messages":[{{"role":"assistant","tool_calls":[{call}]}},{{"role":"tool","tool_call_id":"c"}}]}}'),
        (messages, f'{{"max_tokens":9,{USER},"x":{deep}}}'),
        (messages, f'{{"max_tokens":9,{USER},"tools":[{{"name":"t","input_schema":{deep}}}]}}'),
        (messages, f'{{"max_tokens":9,{USER},"output_config":{{"format":{{"type":"json_schema",{schema}}}}}}}'),
        (messages, f'{{"max_tokens":9,"messages":[{{"role":"user","content":[{{"type":"new","x":{deep}}}]}}]}}'),
        (messages, f'{{"max_tokens":9,"messages":[{used},{{"role":"user","content":[{result}]}}]}}'),
        (count, f'{{{USER},"tools":[{{"name":"t","input_schema":{deep}}}]}}'),
        (responses, f'{{"input":{deep}}}'),
        (responses, f'{{"input":"hi","tools":[{{"type":"function","name":"t","parameters":{deep}}}]}}'),
        (responses, f'{{"input":"hi","text":{{"format":{{"type":"json_schema","name":"x",{schema}}}}}}}'),
        (responses, f'{{"input":[{called},{{"type":"function_call_output","call_id":"c","output":"x"}}]}}'),
    ]


async def try_all(
    server: Running, caplog: pytest.LogCaptureFixture, shapes: Iterable[str] = SHAPES, depths: Iterable[int] = DEPTHS
) -> None:
    """Ask with each depth, in each place; then ask an ordinary question."""
    caplog.set_level(logging.WARNING)
    for path, body in [asked for shape in shapes for depth in depths for asked in requests(nested(shape, depth))]:
        async with server.http.post(server.url + path, data=body) as response:
            told = await response.text()
            assert response.status in {200, 400}, (path, body[:90], response.status, told[:200])
            assert response.status == 200 or json.loads(told)["error"]["message"]
    async with server.chat() as response:
        assert response.status == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_depth_is_no_failure_where_it_is_read(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever comes behind that."""
    await try_all(await serve(), caplog)


@pytest.mark.parametrize("shape", TAKEN_APART)
async def test_depth_is_no_failure_for_the_cli(serve: Serve, tmp_path: Path, shape: str) -> None:
    """Where a tool's schema is taken apart level by level; no process is asked, and the pool goes on."""
    config = ClaudeCliConfig(path=fake_claude.install(tmp_path), warm=0)
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    server = await serve(ClaudeCli(config, environment=environment, workdir=tmp_path / "work"))
    for path, body in [
        asked for depth in (400, 480) for asked in requests(nested(shape, depth)) if "tools" in asked[1]
    ]:
        async with server.http.post(server.url + path, data=body) as response:
            assert response.status == 400
            assert "nested too deeply" in (await response.json())["error"]["message"]
    async with server.chat() as response:
        assert response.status == 200


async def test_depth_is_no_failure_for_anthropic_s_api(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Translated or handed on: there, what is to be said of it is the upstream's to say."""
    async with Simulator() as simulator:
        config = Config(claude_api_key=(ClaudeApiKey(api_key="k", base_url=simulator.base_url),))
        await try_all(await serve(ClaudeApi(config)), caplog, TAKEN_APART, (400, 480))


async def test_depth_is_no_failure_for_an_openai_upstream(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The same in the other direction."""
    async with upstream() as url:
        entry = OpenAICompatibility(name="up", base_url=url, models=(ModelName(name="m", alias="sonnet"),))
        config = Config(openai_compatibility=(entry,))
        await try_all(await serve(OpenAICompatible(config)), caplog, TAKEN_APART, (400, 480))


@asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    """Run an OpenAI-compatible upstream that says hi to everything; give its URL."""
    said = {"id": "c", "model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(said)

    app = web.Application(client_max_size=0)
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
