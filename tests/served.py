"""Our server inside a test, on the backend that the test gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from claude_proxy.backends.base import Backend
from claude_proxy.config.schema import Config
from claude_proxy.ledger.store import Ledger
from claude_proxy.server.app import serve_forever
from claude_proxy.server.listen import Listening
from claude_proxy.store.responses import ResponseStore


@asynccontextmanager
async def serving(
    backend: Backend, config: Config | None = None, store: ResponseStore | None = None, ledger: Ledger | None = None
) -> AsyncIterator[str]:
    """Run a server, which starts and closes the backend; give its URL without a path."""
    where: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    settings = config or Config(port=0, shutdown_seconds=1)
    task = asyncio.create_task(
        serve_forever(settings, [backend], store=store, ledger=ledger, on_ready=where.set_result, stop=stop)
    )
    task.add_done_callback(lambda _: where.cancel())  # a server that ends before it listens
    try:
        yield (await where).urls[0]
    finally:
        stop.set()
        await task
