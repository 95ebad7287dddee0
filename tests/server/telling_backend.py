"""A scripted backend with a plan and processes."""

from __future__ import annotations

from dataclasses import dataclass, field

from scripted_server import ScriptedBackend

from claude_proxy.backends.base import Plan, PlanWindow, Process, ProcessPool, Snapshot

SNAPSHOT = Snapshot(
    profile="work",
    plan=Plan(
        status="allowed",
        reported_at=1000.0,
        extra_usage=True,
        binding="five_hour",
        windows=(PlanWindow("five_hour", 0.375, 2000.0, "allowed"), PlanWindow("seven_day")),
    ),
    pool=ProcessPool(
        phases=("warm", "busy", "idle", "leaving"),
        most=4,
        waiting=2,
        processes=(Process(7, "sonnet", "busy", 3.24, 150_000_000), Process(None, "opus", "warm", 0.0, 0)),
    ),
)


@dataclass
class TellingBackend(ScriptedBackend):
    """Tells what a test wants it to."""

    name: str = "claude-cli/work"
    snapshots: Snapshot = field(default_factory=lambda: SNAPSHOT)

    async def snapshot(self) -> Snapshot:
        """Tell it."""
        return self.snapshots
