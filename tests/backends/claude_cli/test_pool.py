"""What the pool tells its spares and what it lets go of, with processes that do nothing."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_cli import until

from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.crew import Crew
from claude_proxy.backends.claude_cli.policy import ChildState, Phase, Rules
from claude_proxy.backends.claude_cli.pool import Pool
from claude_proxy.backends.claude_cli.prediction import Preparation
from claude_proxy.canon.blocks import Json


def told(key: str, **settings: str) -> Preparation:
    """Give what a client tells its conversations."""
    return Preparation(key, f"The system prompt of {key}.", (), settings)


class Noting(Child):
    """Remembers what it was told."""

    system = ""
    settings: Json

    def prepare(self, system: str, listed: Sequence[Json]) -> None:
        """Note it."""
        self.system = system

    def apply(self, settings: Json) -> None:
        """Note it."""
        self.settings = settings


@dataclass
class Stage:
    """A pool, and the time that it goes by."""

    folder: Path
    now: float = 0.0

    def __post_init__(self) -> None:
        self.pool = Pool(Rules(max_children=99), Crew(self.make, clock=lambda: self.now))

    def make(self, _: str) -> Child:
        """Make a process that waits to be ended."""
        return Noting(("/bin/sleep", "60"), {}, str(self.folder))

    async def conversation(self, model: str, preparation: Preparation) -> None:
        """Begin a conversation, and end its process."""
        lease = await self.pool.claim(model, None, preparation)
        self.pool.retire(lease.id)

    def spares(self, model: str) -> list[tuple[ChildState, Noting]]:
        """Give the processes that were told something before anybody asked for them."""
        found = [(state, child) for state, child in self.pool.children() if state.model == model and state.prepared]
        return [(state, child) for state, child in found if isinstance(child, Noting)]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a pool that runs."""
    stage = Stage(tmp_path)
    await stage.pool.start()
    yield stage
    await stage.pool.close()


async def test_a_spare_counts_as_told_what_it_was_told(stage: Stage) -> None:
    """K02: what that is changes with each conversation that begins. Nobody gets another one's system prompt."""
    for key in ("p", "p", "q", "q"):
        await stage.conversation("a", told(key))
    stage.pool.turn_answered()  # time for a spare
    await until(lambda: bool(stage.spares("a")))

    [(state, spare)] = stage.spares("a")
    assert spare.system == f"The system prompt of {state.prepared}."


async def test_a_blank_spare_is_set_as_the_last_conversation_was(stage: Stage) -> None:
    """That is most of what a model's conversations have in common; it is told nobody's prompt and nobody's tools."""
    await stage.conversation("a", told("p", effortLevel="low"))
    stage.pool.turn_answered()
    await until(lambda: stage.pool.counts()["warm"] == 1)

    [(state, spare)] = [(state, child) for state, child in stage.pool.children() if state.phase is Phase.WARM]
    assert isinstance(spare, Noting)
    assert (state.prepared, spare.system, spare.settings) == (None, "", {"effortLevel": "low"})


async def test_a_spare_is_started_when_the_turn_that_took_the_last_one_has_been_answered(stage: Stage) -> None:
    """Its start competes with that turn for the processor; where no answer comes it waits for a moment only."""
    stage.pool.adapt(Rules(max_children=99, warm_models=("a",)), math.inf)
    for answered in (True, False):
        await until(lambda: stage.pool.counts()["warm"] == 1)
        stage.now += 10.0
        lease = await stage.pool.claim("a", None, told(f"{answered}"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert stage.pool.counts()["warm"] == 0
        if answered:
            stage.pool.turn_answered()
        else:
            stage.now += 1.0
        await until(lambda: stage.pool.counts()["warm"] == 1)
        stage.pool.retire(lease.id)


async def test_no_spare_is_started_for_what_is_no_model(stage: Stage) -> None:
    """L02: an old name in everybody's examples takes no place in the pool."""
    for key in ("p", "p", "p"):
        await stage.conversation("no-model", told(key))
    stage.pool.forget("no-model")
    for key in ("p", "p"):
        await stage.conversation("a", told(key))
    stage.pool.turn_answered()
    await until(lambda: bool(stage.spares("a")))

    assert stage.spares("no-model") == []


async def test_a_process_that_has_ended_is_let_go_at_once(stage: Stage) -> None:
    """Its pipes and what it said don't wait for the garbage collector."""
    gc.disable()
    try:
        lease = await stage.pool.claim("a", None, told("p"))
        child = weakref.ref(lease.child)
        stage.pool.retire(lease.id)
        del lease
        await until(lambda: child() is None)
    finally:
        gc.enable()
