"""The simulator in a process of its own."""

from __future__ import annotations

import asyncio
import signal
import sys

import aiohttp
import pytest


@pytest.mark.parametrize("flags", [[], ["--demo"], ["--lenient"], ["--gap-ms", "1", "--stamped"]])
async def test_prints_its_url_and_ends_at_a_signal(flags: list[str]) -> None:
    """Its first line is where it listens; SIGTERM ends it cleanly."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "claude_proxy.simulator", *flags, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        body = {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
        async with (
            aiohttp.ClientSession(url, headers=headers) as client,
            client.post("/v1/messages", json=body) as response,
        ):
            assert ("x-claude-proxy-demo" in response.headers) is bool({"--demo", "--gap-ms"} & {*flags})
            assert response.status == 200
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
