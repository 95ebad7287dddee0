"""Other rules for API keys in use: they hold for the next request, and connections stay."""

from __future__ import annotations

from msgspec.structs import replace

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.base import Call
from claude_proxy.canon.blocks import Text
from claude_proxy.canon.request import Message, Request
from claude_proxy.config.schema import ClaudeApiKey, Config, ModelName, Routing
from claude_proxy.errors import ProxyError
from claude_proxy.simulator import Simulator, script

MODEL = "claude-sonnet-5-5"


async def answered_by(backend: ClaudeApi) -> str:
    """Run a turn to its end; give who answered, or the status of its failure."""
    request = Request(model=MODEL, messages=(Message(role="user", content=(Text(text="hi"),)),), max_tokens=9)
    try:
        async with backend.turn(Call(request)) as turn:
            async for _ in turn.events:
                pass
    except ProxyError as error:
        return str(error.status)
    return turn.answered_by


async def test_retries_and_strategy_change_under_way() -> None:
    """The keys take turns until the first is to be filled first, and a failure is final until it isn't."""
    async with Simulator() as simulator:
        entry = ClaudeApiKey(api_key="k", base_url=simulator.base_url, models=(ModelName(name=MODEL),))
        config = Config(claude_api_key=(entry, entry), request_retry=0, max_retry_interval=0.05)
        backend = ClaudeApi(config)
        turns = [await answered_by(backend) for _ in range(4)]
        assert turns == ["claude-api-key/1", "claude-api-key/2"] * 2
        sessions = dict(backend._upstreams.sessions._sessions)

        backend.adapt(replace(config, routing=Routing(strategy="fill-first")))
        assert [await answered_by(backend) for _ in range(2)] == ["claude-api-key/1"] * 2
        simulator.queue.append(script.error(529, "overloaded_error", "busy"))
        assert await answered_by(backend) == "529"

        backend.adapt(replace(config, request_retry=2))
        simulator.queue.append(script.error(529, "overloaded_error", "busy"))
        assert (await answered_by(backend)).startswith("claude-api-key/")
        assert backend._upstreams.sessions._sessions == sessions
        await backend.close()
