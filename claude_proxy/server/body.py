"""Reads a request's body, and never more of it than allowed, nor for ever."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from claude_proxy.errors import BadRequest, TooLarge

SLACK_SECONDS = 60.0
"""How long a body may take, beside the time for its bytes."""

SLOWEST_BYTES_A_SECOND = 2048
"""A client that sends fewer for long only holds a place that others want."""

_ENCODINGS = frozenset({"", "identity", "gzip", "deflate", "br", "zstd"})


async def expect(request: web.Request) -> None:
    """Hold back the answer to ``Expect: 100-continue``: a body that is refused anyway need not be sent."""


async def read_body(request: web.Request, limit_mb: int) -> bytes:
    """Give the body, decompressed; raise ``TooLarge`` before it is read where its length says so, else on the way."""
    limit = limit_mb << 20
    if (request.content_length or 0) > limit:
        raise _too_large(limit_mb)
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise BadRequest(f"the content encoding {encoding[:50]!a} is not supported", status=415)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # It is no part of the answer, and what is counted as sent decides whether an error can still be answered.
        request.writer.output_size = 0
    try:
        if request.content.is_eof():
            # Most are here already, in one piece with the headers.
            body = request.content.read_nowait()
        else:
            body = await _rest_of(request, limit)
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise BadRequest("the body can't be read: its encoding is broken") from error
    if len(body) > limit:
        raise _too_large(limit_mb)
    return body


async def _rest_of(request: web.Request, limit: int) -> bytes:
    """Give the body as it comes: all of it, or somewhat more than ``limit``."""
    body = bytearray()
    began = asyncio.get_running_loop().time()
    deadline = asyncio.timeout(SLACK_SECONDS)
    try:
        async with deadline:
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    break
                deadline.reschedule(began + SLACK_SECONDS + len(body) / SLOWEST_BYTES_A_SECOND)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise BadRequest(
            f"the body didn't come: {len(body)} bytes of it in {SLACK_SECONDS:g} seconds and more", status=408
        ) from None
    return bytes(body)


def _too_large(limit_mb: int) -> TooLarge:
    return TooLarge(f"the request is larger than {limit_mb} MB (body-limit-mb)")
