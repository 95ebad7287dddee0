"""Reads a request's body, and never more of it than allowed."""

from __future__ import annotations

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from claude_proxy.errors import BadRequest, TooLarge

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
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit_mb)
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise BadRequest("the body can't be read: its encoding is broken") from error
    return bytes(body)


def _too_large(limit_mb: int) -> TooLarge:
    return TooLarge(f"the request is larger than {limit_mb} MB (body-limit-mb)")
