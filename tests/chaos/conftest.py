"""One stage for all faults of a file: that it has lived through the one before is a part of each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from chaos_stage import Stage, staged


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Run a stage for the whole file."""
    async with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def stage(lasting_stage: Stage) -> AsyncIterator[Stage]:
    """Give the stage to one test. That the next request works is shown by the next test, and at the end of the file."""
    yield lasting_stage
    await lasting_stage.settled()
