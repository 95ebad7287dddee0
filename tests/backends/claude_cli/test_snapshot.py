"""What the CLI's backend tells of its plan and its processes."""

from __future__ import annotations

from pathlib import Path

import fake_claude
from real_cli import MakeReal, Real, until, user

from claude_proxy.backends.base import Inspectable, Plan, PlanWindow
from claude_proxy.backends.claude_cli import snapshot
from claude_proxy.backends.claude_cli.limits import Limits, Window


def test_a_plan_that_was_reported() -> None:
    """Every window, and when that was."""
    limits = Limits("allowed", None, "five_hour", overage=True, windows={"five_hour": Window(0.5, 9.0, "allowed")})

    assert snapshot.plan(None, 0.0) is None
    assert snapshot.plan(limits, 7.0) == Plan(
        status="allowed",
        reported_at=7.0,
        extra_usage=True,
        binding="five_hour",
        windows=(PlanWindow("five_hour", 0.5, 9.0, "allowed"),),
    )


async def test_its_processes(make_real: MakeReal, tmp_path: Path) -> None:
    """What each does, for how long, and how much memory it takes."""
    fake: Real = await make_real(path=fake_claude.install(tmp_path), env={"FAKE": ""}, warm=1, max_processes=3)
    assert isinstance(fake.backend, Inspectable)
    await fake.ask(user("hi"))
    await until(lambda: fake.backend._pool.counts()["warm"] >= 1)
    shot = await fake.backend.snapshot()
    assert shot.profile == ""
    assert shot.pool is not None
    assert (shot.pool.phases, shot.pool.most, shot.pool.waiting) == (("warm", "busy", "idle", "leaving"), 3, 0)
    phases = [process.phase for process in shot.pool.processes]
    assert phases.count("idle") == 1
    assert "warm" in phases
    idle = shot.pool.processes[phases.index("idle")]
    assert idle.pid in [child.pid for _, child in fake.backend._pool.children()]
    assert idle.memory_bytes > 1_000_000
    assert 0 <= idle.seconds < 60
