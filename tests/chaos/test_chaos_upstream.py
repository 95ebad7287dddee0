"""An upstream that has a bad day: silent, overloaded, limited, or that knows nobody any more."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator

import pytest
from chaos_stage import DIALECTS, SCALE, Stage, asked, client
from real_cli import until
from served import serving

from claude_proxy.backends.anthropic.backend import ClaudeApi
from claude_proxy.backends.claude_cli.policy import Phase
from claude_proxy.config.schema import ClaudeApiKey, Config
from claude_proxy.simulator import Reply, Simulator, error

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_silence_is_a_504_in_each_clients_own_shape(stage: Stage) -> None:
    """Before the first byte: a stream has had signs of life, and then the error; the upstream request is gone."""
    before = len(stage.simulator.seen)
    stage.simulator.queue.extend([Reply(silent=True)] * 3)
    with stage.configured(first_byte_seconds=3):
        answers = await asyncio.gather(*(stage.ask(dialect, stream=dialect == "messages") for dialect in DIALECTS))
    assert [answer.status for answer in answers] == [504, 200, 504]
    assert all("no sign of life" in answer.failed for answer in answers)
    await until(lambda: all(seen.gone for seen in stage.simulator.seen[before:]), 5)


async def test_a_sign_out_ends_the_processes_that_were_signed_in(stage: Stage) -> None:
    """In mid-use: a 401 that says what to do; whoever signs in again is answered by processes that know of it."""
    first = await stage.ask(messages=[{"role": "user", "content": "one"}])
    assert first.is_whole
    kept = stage.children(Phase.KEPT)
    assert kept
    stage.simulator.queue.extend([error(401, "authentication_error", "OAuth token has been revoked")] * 3)
    answer = await stage.ask("messages", "who am I?")
    assert answer.status == 401
    assert "claude-proxy login" in answer.failed
    await until(lambda: not set(kept) & {child.pid for _, child in stage.backend._pool.children()}, 10)
    stage.simulator.queue.clear()
    said = json.loads(first.text)["choices"][0]["message"]
    again = [{"role": "user", "content": "one"}, said, {"role": "user", "content": "two"}]
    assert (await stage.ask(messages=again)).is_whole


async def test_a_plan_that_ends_while_many_wait_is_not_asked_for_each(stage: Stage) -> None:
    """Who waited for a process is refused as those are who come now: all of them could cost money."""
    before = len(stage.simulator.seen)
    end = int(time.time()) + 1000
    prefix = "anthropic-ratelimit-unified"
    told = {f"{prefix}-status": "rejected", f"{prefix}-reset": f"{end}"}
    stage.simulator.queue.extend([error(429, "rate_limit_error", "used up", headers=told)] * 12)
    answers = await asyncio.gather(*(stage.ask(DIALECTS[n % 3]) for n in range(12)))
    assert {answer.status for answer in answers} == {429}
    assert all(900 < int(answer.headers["retry-after"]) <= 1000 for answer in answers)
    assert len(stage.simulator.seen) <= before + 3
    async with stage.http.get(f"{stage.url}/readyz") as response:
        assert response.status == 503
        assert "the plan is used up until" in await response.text()
    stage.backend._shared.limits = None


async def test_an_overloaded_upstream_is_told_to_each_client_once(stage: Stage) -> None:
    """Through the CLI: 529 keeps its status, and nothing is asked again behind anybody's back."""
    before, number = len(stage.simulator.seen), 3 * SCALE
    stage.simulator.queue.extend([error(529, "overloaded_error", "Overloaded")] * number)
    answers = await asyncio.gather(*(stage.ask(DIALECTS[n % 3]) for n in range(number)))
    assert {answer.status for answer in answers} == {529}
    assert all(answer.failed for answer in answers)
    assert len(stage.simulator.seen) == before + number


@pytest.fixture
async def stormy() -> AsyncIterator[Simulator]:
    """Give an upstream that refuses everything, in turn with 429 and 529."""
    count = iter(range(1_000_000))
    refusals = (
        error(429, "rate_limit_error", "slow down", headers={"retry-after": "7"}),
        error(529, "overloaded_error", "Overloaded"),
    )
    async with Simulator(lambda _: refusals[next(count) % 2]) as simulator:
        yield simulator


@pytest.mark.asyncio(loop_scope="function")
async def test_a_storm_is_tried_again_within_bounds(stormy: Simulator) -> None:
    """With an API key: sixty clients get an error each within the retries' time, then the sun shines again."""
    key = ClaudeApiKey(api_key="dummy-key-for-tests", base_url=stormy.base_url)
    config = Config(port=0, claude_api_key=(key,), request_retry=2, max_retry_interval=2, shutdown_seconds=1)
    async with serving(ClaudeApi(config), config) as url, client() as http:
        asking = (asked(http, url, DIALECTS[n % 3], model="claude-sonnet-5-5") for n in range(60))
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*asking)
        assert {answer.status for answer in answers} <= {429, 529}
        assert all(answer.failed for answer in answers)
        assert all("retry-after" in answer.headers for answer in answers if answer.status == 429)
        assert len(stormy.seen) <= 60 * 3
        stormy._answer = Simulator()._answer
        assert (await asked(http, url, "chat", model="claude-sonnet-5-5")).is_whole


async def test_a_child_killed_in_the_storm_changes_nothing(stage: Stage) -> None:
    """Two faults at once: the one that waits is killed, and the next upstream request is refused."""
    before = len(stage.simulator.seen)
    stage.simulator.queue.extend([Reply(silent=True), error(529, "overloaded_error", "Overloaded")])
    answer = stage.asking("responses")
    await until(lambda: len(stage.simulator.seen) > before, 20)
    await stage.signal(signal.SIGKILL, Phase.BUSY)
    assert (await answer).status == 529
