"""Has a request's input tokens counted by the upstream, through a child that is told the conversation and not asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from claude_proxy.backends.base import Call
from claude_proxy.backends.claude_cli import control, conversation, counting, tools, transcript
from claude_proxy.backends.claude_cli.attempts import Shared
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.counting import COUNTING, YARDSTICK, Parts
from claude_proxy.backends.claude_cli.failures import Lost
from claude_proxy.backends.claude_cli.features import restricted
from claude_proxy.canon.blocks import Json
from claude_proxy.canon.request import Request
from claude_proxy.errors import NotSignedIn, UnknownModel, UpstreamError, UpstreamTimeout

_LISTING_SECONDS = 5.0
"""How long the CLI may take to ask for the client's tools."""

_PAUSE_SECONDS = 0.02


async def count_tokens(shared: Shared, call: Call, *, sign_in: str) -> int:
    """Give the tokens of the system prompt, the tools and the messages, each as the upstream counts it by itself.

    What the API adds of its own where there are tools is not in it. Raises ``ProxyError``; there is never an estimate.
    """
    try:
        request = await _prepare(shared, call)
        try:
            return await _count(shared, request, sign_in, call.client)
        except UnknownModel:
            if call.strict or not shared.known.learn_missing(request.model, time.monotonic()):
                raise
            return await _count(shared, await _prepare(shared, call), sign_in, call.client)
    except NotSignedIn:
        shared.signed_out()
        raise


async def _prepare(shared: Shared, call: Call) -> Request:
    report = await shared.checked()
    catalog = await shared.load_catalog()
    name = call.request.model
    exact = catalog.exact(name) if call.strict else shared.known.resolve(name, time.monotonic())
    messages, _ = transcript.ended_by_user(call.request.messages)  # as the turn will send them
    request = msgspec.structs.replace(call.request, model=exact, messages=messages)
    return restricted(request, report.off, report.version)[0] if report else request


async def _count(shared: Shared, request: Request, sign_in: str, client: str) -> int:
    known = shared.known
    parts = await _measured(shared, request, sign_in, client)
    if not request.tools:
        known.learn_yardstick(request.model, parts.tools)
        return parts.system + parts.messages
    if request.model not in known.yardsticks:
        alone = await _measured(shared, Request(model=request.model, messages=()), sign_in, client)
        known.learn_yardstick(request.model, alone.tools)
    return parts.system + parts.messages + max(0, parts.tools - known.yardsticks[request.model])


async def _measured(shared: Shared, request: Request, sign_in: str, client: str) -> Parts:
    try:
        return await _measured_once(shared, request, sign_in, client)
    except Lost:  # the child, or its connection: nothing was spent
        return await _measured_once(shared, request, sign_in, client)


async def _measured_once(shared: Shared, request: Request, sign_in: str, client: str) -> Parts:
    listed, _ = tools.listing((*request.tools, YARDSTICK))
    lease = await shared.pool.claim(shared.known.catalog.shortest(request.model) + COUNTING, client=client)
    seconds = shared.config.first_byte_seconds
    try:
        async with asyncio.timeout(seconds):
            return await _ask(lease.child, request, listed, sign_in)
    except TimeoutError as error:
        raise UpstreamTimeout(f"the tokens weren't counted within {seconds:g} s") from error
    finally:
        shared.pool.retire(lease.id)


async def _ask(child: Child, request: Request, listed: Sequence[Json], sign_in: str) -> Parts:
    child.prepare(transcript.system_prompt(request, ()), listed)
    await conversation.tell(child, request.messages, request.model)
    await _tools_known(child, {tool["name"] for tool in listed})
    counted = await _usage(child, "full")
    # Asked after it, so that by now all that the CLI has logged of the counting is here.
    estimated = await _usage(child, "summary")
    if refused := counting.refusal(child.stderr, child.turns.limits, advice=sign_in):
        raise refused
    if counted.tools == estimated.tools:
        raise UpstreamError("the claude CLI estimates the tokens and doesn't have them counted")
    return counted


async def _tools_known(child: Child, names: set[str]) -> None:
    try:
        async with asyncio.timeout(_LISTING_SECONDS):
            while (await _usage(child, "summary")).names != names:  # noqa: ASYNC110  # happens in another process
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError as error:
        raise UpstreamError("the claude CLI doesn't take the tools to be counted") from error


async def _usage(child: Child, detail: str) -> Parts:
    answer = await child.ask(lambda number: control.context_usage(number, detail=detail))
    if answer.error is not None:
        raise UpstreamError(f"the claude CLI can't count tokens: {answer.error}")
    return counting.parse(answer.response)
