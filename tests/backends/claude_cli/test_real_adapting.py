"""Other rules for a backend that runs, on real processes: what still fits them stays."""

from __future__ import annotations

from msgspec.structs import replace
from real_cli import MakeReal, Real, assistant, until, user

from claude_proxy.backends.base import Call
from claude_proxy.canon.request import Request


def adapt(real: Real, **fields: object) -> None:
    """Change some keys of the backend's configuration."""
    real.backend.adapt(replace(real.backend.config, **fields))


async def test_a_conversation_keeps_its_process_under_other_rules(make_real: MakeReal) -> None:
    """Its next turn runs on the same one; spares come and go as the rules say, and of too many the idle ones end."""
    real = await make_real()
    first = await real.ask(user("one"))
    (pid,) = real.pids()
    adapt(real, turn_seconds=99.0, max_processes=3, warm=1)
    await until(lambda: len(real.pids()) == 2, 20)
    second = await real.ask(user("one"), first.said, user("two"))
    assert pid in real.pids()

    adapt(real, warm=0, max_processes=1, idle_seconds=0)
    await until(lambda: not real.pids(), 20)
    await real.ask(user("one"), first.said, user("two"), second.said, user("three"))
    await until(lambda: not real.pids(), 20)


async def test_a_backend_that_winds_down_ends_what_is_idle_and_answers_what_it_has(make_real: MakeReal) -> None:
    """A turn under way comes to its end, and so does one that was on its way here; nothing is kept after them."""
    real = await make_real(warm=1)
    await until(real.pids, 20)
    async with real.backend.turn(Call(Request(model="sonnet", messages=(user("one"),)))) as turn:
        await anext(turn.events)
        real.backend.wind_down()
        rest = [event async for event in turn.events]
    assert rest
    await until(lambda: not real.pids(), 20)

    late = await real.ask(user("one"), assistant("yes"), user("two"))
    assert late.text
    await until(lambda: not real.pids(), 20)
