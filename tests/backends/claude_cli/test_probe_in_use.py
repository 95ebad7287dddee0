"""What a probe's report means for requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from real_cli import OLDER, MakeReal, Real, results_for, until, user

from claude_proxy.backends.claude_cli.binary import Binary
from claude_proxy.backends.claude_cli.features import NAMES, Check, Report
from claude_proxy.canon.request import Tool
from claude_proxy.errors import Unavailable
from claude_proxy.simulator import tool_calls

NOTE = Tool(name="note", description="Take a note.", input_schema={"type": "object", "properties": {}})


class Probe:
    """A probe that finds what it is told to find."""

    def __init__(self, *failed: str, shown: bool = True) -> None:
        self.failed = failed
        self.shown = shown
        self.runs = 0

    async def __call__(self, binary: Binary) -> Report:
        """Give the report."""
        self.runs += 1
        await asyncio.sleep(0.05)
        checks = (Check(name, name not in self.failed, "seen", shown=self.shown) for name in NAMES)
        return Report(binary.version, tuple(checks))


async def probed(make_real: MakeReal, probe: Probe, **config: Any) -> Real:
    """Make a backend that believes the probe."""
    real: Real = await make_real(**config)
    real.backend.probe = probe
    return real


async def test_a_version_is_probed_once_for_all_requests(make_real: MakeReal) -> None:
    """Also for those that come while it runs."""
    probe = Probe()
    real = await probed(make_real, probe)
    await asyncio.gather(*(real.ask(user("hi")) for _ in range(3)), real.backend.health())
    assert probe.runs == 1


@pytest.mark.parametrize("name", ["history", "at-path", "slash"])
async def test_a_version_that_fails_a_vital_check_is_refused(make_real: MakeReal, name: str) -> None:
    """No request reaches it, and a person is told what to install."""
    real = await probed(make_real, Probe(name))
    with pytest.raises(Unavailable, match=f"{name}.*install"):
        await real.ask(user("hi"))
    health = await real.backend.health()
    assert not health.ready
    assert name in health.detail
    assert not real.upstream


async def test_a_refusal_is_probed_again(make_real: MakeReal) -> None:
    """A bad moment mustn't stick."""
    probe = Probe("history", shown=False)
    real = await probed(make_real, probe)
    with pytest.raises(Unavailable, match="try again"):
        await real.ask(user("hi"))
    probe.failed = ()
    assert (await real.ask(user("hi"))).text


async def test_without_held_results_the_conversation_is_rebuilt(
    make_real: MakeReal, caplog: pytest.LogCaptureFixture
) -> None:
    """The feature is switched off by name, said once, and the answer is the same."""
    real = await probed(make_real, Probe("held-results"))
    real.simulator.queue.append(tool_calls(("note", {})))
    first = await real.ask(user("go"), tools=(NOTE,))
    await until(lambda: not real.pids())
    second = await real.ask(user("go"), first.said, results_for(first.reply, "done"), tools=(NOTE,))
    assert second.text
    assert real.pids()  # a next turn is another feature
    assert caplog.text.count("held-results") == 1


async def test_without_next_turns_no_child_is_kept(make_real: MakeReal) -> None:
    """Each turn is told the whole conversation."""
    real = await probed(make_real, Probe("next-turn"))
    first = await real.ask(user("go"))
    await until(lambda: not real.pids())
    assert (await real.ask(user("go"), first.said, user("on"))).text


async def test_what_a_version_gets_wrong_is_a_named_loss(make_real: MakeReal) -> None:
    """Sampling parameters aren't sent, and the client is told."""
    real = await probed(make_real, Probe("parameters"), warm_models=(OLDER,))
    outcome = await real.ask(user("hi"), model=OLDER, temperature=0.5)
    assert outcome.turn.losses == ["temperature"]
    assert "temperature" not in real.upstream[0]
