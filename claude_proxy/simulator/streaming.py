"""How an answer goes out: event by event, with the waits and the faults that the script asks for."""

from __future__ import annotations

import asyncio
import time

import msgspec
from aiohttp import web

from claude_proxy.framing import sse_event
from claude_proxy.simulator.call import OK, Call
from claude_proxy.simulator.render import Rendered, events
from claude_proxy.simulator.script import Json, Reply
from claude_proxy.simulator.seen import Seen

_DEFAULT_ERROR: Json = {"type": "api_error", "message": "Internal server error"}
_encode = msgspec.json.encode


async def stream(call: Call, reply: Reply, rendered: Rendered, seen: Seen) -> web.StreamResponse:
    """Send the reply's events; with ``error_after`` or ``cut_after`` it ends the way that the script says."""
    over = {"cache-control": "no-cache", **reply.headers}
    response = web.StreamResponse(headers=call.headers("text/event-stream; charset=utf-8", OK, over))
    await response.prepare(call.request)
    seen.status = OK
    deltas = 0
    for sent, event in enumerate(events(rendered)):
        kind = event["type"]
        if sent == reply.cut_after:
            return cut(call, response)
        if reply.error_after is not None and (deltas >= reply.error_after or kind == "message_delta") and sent:
            await response.write(sse_event("error", _encode(call.failure(reply.error or _DEFAULT_ERROR))))
            break
        if reply.stamped and "text" in event.get("delta", ()):
            event["delta"]["text"] = f"{time.monotonic()} "
        await response.write(sse_event(kind, _encode(event)))
        if kind == "content_block_delta":
            deltas += 1
            await asyncio.sleep(reply.gap_seconds)
    if reply.cut_after is not None:
        return cut(call, response)
    await response.write_eof()
    seen.finished = True
    return response


async def half(call: Call, reply: Reply, rendered: Rendered) -> web.StreamResponse:
    """Send half of an answer that isn't streamed, and cut the connection."""
    data = _encode(rendered.message)
    response = web.StreamResponse(headers=call.headers("application/json", OK, reply.headers))
    response.content_length = len(data)
    await response.prepare(call.request)
    await response.write(data[: len(data) // 2])
    return cut(call, response)


def garbage(call: Call, reply: Reply, *, streamed: bool) -> web.Response:
    """Answer with the body that the script gives, whatever it is."""
    kind = "text/event-stream" if streamed else "application/json"
    head = call.headers(kind, reply.status, reply.headers)
    return web.Response(body=reply.raw, status=reply.status, headers=head)


def cut(call: Call, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Cut the connection, whatever has been sent."""
    if call.request.transport is not None:
        call.request.transport.abort()
    return response or web.Response()


async def hang() -> None:
    """Wait until the client goes, which cancels the handler."""
    await asyncio.Event().wait()
