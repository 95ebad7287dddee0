"""Responses that are kept: what a request goes on from, what of its answer stays, and the endpoints that ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
from aiohttp import web

from claude_proxy.canon.events import AnyEvent
from claude_proxy.dialects import responses_reply, responses_request, responses_stored
from claude_proxy.dialects.base import Parsed, ReplyStream, Stamp
from claude_proxy.dialects.responses_reply import ResponsesStream
from claude_proxy.dialects.responses_request import ResponsesOptions
from claude_proxy.errors import BadRequest, NotFound
from claude_proxy.server.exchange import CURRENT, SERVER
from claude_proxy.server.job import Job
from claude_proxy.store.record import Conversation, Record
from claude_proxy.store.responses import ResponseStore

_ENCRYPTED = "reasoning.encrypted_content"


async def prepare(job: Job) -> None:
    """Find what the request goes on from, and see to it that the answer is kept where the client wants that."""
    stores = job.server.config.responses_days > 0
    previous = responses_request.previous_response_id(job.body)
    found = await job.server.store.conversation(previous, job.exchange.client) if previous else None
    if previous and found is None:
        why = "" if stores else " No responses are stored here: responses-days is 0."
        raise BadRequest(
            f"Previous response with id '{previous}' not found.{why}",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    job.parse = partial(responses_request.parse, earlier=found.items if found else (), stores=stores)
    size = len(job.body) + (found.size if found else 0)
    job.keeper = Keeper(job.server.store, job.exchange.client, job.stamp, size)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps a client's answer when it is whole, so that who has it can go on from it.

    ``size`` is what the request takes, with the conversation that it goes on from.
    """

    store: ResponseStore
    client: str
    stamp: Stamp
    size: int

    def whole(self, parsed: Parsed, events: Sequence[AnyEvent]) -> bytes:
        """Give the reply that isn't streamed."""
        reply = responses_reply.whole(parsed, events, self.stamp)
        self.keep(reply, parsed.options)
        return reply.response

    def streamed(self, parsed: Parsed, reply: ReplyStream) -> None:
        """Keep a streamed reply, unless it broke off."""
        if isinstance(reply, ResponsesStream) and reply.is_whole:
            self.keep(reply, parsed.options)

    def keep(self, reply: ResponsesStream, options: ResponsesOptions) -> None:
        """Keep a reply that is complete."""
        if not options.store:
            return
        record = Record(
            id=f"resp_{self.stamp.id}",
            client=self.client,
            created=self.stamp.created,
            body=reply.response,
            input=responses_stored.named(options.input, self.stamp.id),
            output=tuple(reply.items),
            earlier=options.earlier,
            parent=options.previous_response_id,
            size=self.size + len(reply.response),
        )
        self.store.keep(record)


async def retrieve(request: web.Request) -> web.Response:
    """Give a response that is kept."""
    if request.query.get("stream", "false").lower() != "false":
        raise BadRequest("stream: only responses made in the background are streamed again", param="stream")
    response_id = request.match_info["id"]
    body = await request.app[SERVER].store.body(response_id, CURRENT.get().client)
    if body is None:
        raise _unknown(response_id)
    if _wants_encrypted(request):
        body = responses_stored.unsealed(body, (await _conversation(request)).output)
    return web.Response(body=body, content_type="application/json")


async def delete(request: web.Request) -> web.Response:
    """Forget a response. What went on from it stays whole."""
    response_id = request.match_info["id"]
    if not await request.app[SERVER].store.delete(response_id, CURRENT.get().client):
        raise _unknown(response_id)
    told = {"id": response_id, "object": "response", "deleted": True}
    return web.Response(body=msgspec.json.encode(told), content_type="application/json")


async def list_input_items(request: web.Request) -> web.Response:
    """Give a page of what a response answered, earlier turns included."""
    conversation = await _conversation(request)
    items = responses_stored.input_items(conversation.input, encrypted=_wants_encrypted(request))
    query = request.query
    try:
        limit = int(query.get("limit", "20"))
    except ValueError:
        raise BadRequest(f"limit: {query['limit']!r} is no number", param="limit") from None
    page = responses_stored.page(items, limit=limit, order=query.get("order", "desc"), after=query.get("after"))
    return web.Response(body=page, content_type="application/json")


async def cancel(request: web.Request) -> web.Response:
    """Refuse: a response that is kept is over."""
    response_id = request.match_info["id"]
    if await request.app[SERVER].store.body(response_id, CURRENT.get().client) is None:
        raise _unknown(response_id)
    raise BadRequest("Cannot cancel a synchronous response: close its connection while it is being made.")


async def _conversation(request: web.Request) -> Conversation:
    response_id = request.match_info["id"]
    found = await request.app[SERVER].store.conversation(response_id, CURRENT.get().client)
    if found is None:
        raise _unknown(response_id)
    return found


def _wants_encrypted(request: web.Request) -> bool:
    return _ENCRYPTED in (*request.query.getall("include", ()), *request.query.getall("include[]", ()))


def _unknown(response_id: str) -> NotFound:
    return NotFound(f"Response with id '{response_id[:200]}' not found.")
