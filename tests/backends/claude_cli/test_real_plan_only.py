"""The plan at its limit, on the real CLI: what is refused, what is told, and what passes."""

from __future__ import annotations

import time

import pytest
from real_cli import MakeReal, Real, until, user

from claude_proxy.backends.base import Call
from claude_proxy.canon.request import Request
from claude_proxy.errors import RateLimited
from claude_proxy.simulator import Reply, error, text

PREFIX = "anthropic-ratelimit-unified-"


def used_up(end: int) -> Reply:
    """Give the upstream's refusal of a plan that is used up."""
    headers = {f"{PREFIX}status": "rejected", f"{PREFIX}reset": str(end), f"{PREFIX}representative-claim": "five_hour"}
    return error(429, "rate_limit_error", "used up", headers=headers)


def at_extra_cost(end: int) -> Reply:
    """Give a good answer that the plan doesn't pay for any more."""
    headers = {
        f"{PREFIX}status": "rejected",
        f"{PREFIX}reset": str(end),
        f"{PREFIX}overage-status": "allowed",
        f"{PREFIX}overage-reset": str(end),
    }
    return text("Fine.", headers=headers)


async def test_a_used_up_plan_is_asked_no_more_until_it_resets(real: Real) -> None:
    """K10: the first 429 is the upstream's; the next are ours, with the same end, and nothing goes out."""
    end = int(time.time()) + 3600
    real.simulator.queue.append(used_up(end))
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            await real.ask(user("hi"))
        assert caught.value.reset_at == end
        assert 3500 < (caught.value.retry_after or 0) <= 3600
    assert len(real.upstream) == 1


async def test_after_the_reset_requests_pass_again(real: Real) -> None:
    """The window's end is the end of it."""
    real.simulator.queue.append(used_up(int(time.time()) - 1))
    with pytest.raises(RateLimited):
        await real.ask(user("hi"))
    await real.ask(user("hi"))
    assert len(real.upstream) == 2


async def test_extra_usage_is_refused_after_the_one_request_that_showed_it(real: Real) -> None:
    """It costs money: one answer may slip through, no second one."""
    real.simulator.queue.append(at_extra_cost(int(time.time()) + 3600))
    await real.ask(user("hi"))
    await until(lambda: real.backend._shared.limits)  # the CLI reports it a moment after the reply's end
    with pytest.raises(RateLimited, match="extra cost"):
        await real.ask(user("hi"))
    assert len(real.upstream) == 1


async def test_switched_off_requests_pass(make_real: MakeReal) -> None:
    """``plan-only: false``: the upstream decides, each time."""
    real = await make_real(plan_only=False)
    real.simulator.queue.append(used_up(int(time.time()) + 3600))
    with pytest.raises(RateLimited):
        await real.ask(user("hi"))
    await real.ask(user("hi"))
    assert len(real.upstream) == 2


async def test_an_api_key_is_no_plan(make_real: MakeReal) -> None:
    """Where a key of one's own pays, there is no plan to be kept."""
    real = await make_real(signed_in=False, env={"ANTHROPIC_API_KEY": "sk-dummy"})
    real.simulator.queue.append(used_up(int(time.time()) + 3600))
    with pytest.raises(RateLimited):
        await real.ask(user("hi"))
    await real.ask(user("hi"))
    assert len(real.upstream) == 2


async def test_every_later_turn_tells_the_plans_state(real: Real) -> None:
    """The unified headers as last reported, and what is left of the tightest window in percent."""
    await real.ask(user("hi"))
    await until(lambda: real.backend._shared.limits)
    headers = (await real.ask(user("hi"))).turn.headers
    assert headers[f"{PREFIX}status"] == "allowed"
    assert headers["x-ratelimit-limit"] == "100"
    assert 0 <= int(headers["x-ratelimit-remaining"]) <= 100
    assert headers["x-ratelimit-reset"].endswith("Z")


async def test_a_refused_turn_tells_the_plans_state_too(real: Real) -> None:
    """So that a client sees why."""
    real.simulator.queue.append(used_up(int(time.time()) + 3600))
    with pytest.raises(RateLimited):
        await real.ask(user("hi"))
    async with real.backend.turn(Call(Request(model="sonnet", messages=(user("hi"),)))) as turn:
        with pytest.raises(RateLimited):
            await anext(turn.events)
    assert turn.headers[f"{PREFIX}status"] == "rejected"
    assert turn.headers["x-ratelimit-remaining"] == "0"
