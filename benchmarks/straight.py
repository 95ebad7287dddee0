"""The CLI without our server: a process for one request, and children driven with nothing in between."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from client import BRIEF, Request, timed
from processes import stopped
from setting import MODEL, Setting

from claude_proxy import __version__
from claude_proxy.backends.claude_cli import argv, catalog, control, conversation, parameters, tools
from claude_proxy.backends.claude_cli.binary import find_binary
from claude_proxy.backends.claude_cli.catalog import Knowledge
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.canon.blocks import AnyBlock, Text, ToolResult, ToolUse
from claude_proxy.canon.events import AnyEvent, BlockStart, TextDelta
from claude_proxy.canon.request import Message, Tool, ToolChoice
from claude_proxy.canon.request import Request as Asked

REFILL_SECONDS = 0.4
"""After a first turn: more than the server waits until it starts another process. A straight one rests as long."""

LAST_TURN = 7
"""After so many turns a conversation begins anew, straight and ours: how long it is shall not be what is measured."""

_NOTE = Tool(name="note")
_CALLING: dict[str, Any] = {"tools": (_NOTE,), "tool_choice": ToolChoice(type="any")}
_FORESEEN: dict[str, Any] = {"system": (Text(text=BRIEF),), "tools": (_NOTE,)}


def _environment(ready: Setting) -> dict[str, str]:
    account = argv.account_environment(ready.env, {}, base_url=ready.upstream)
    return argv.child_environment(account, version=__version__, tool_wait_seconds=600)


async def process_each(ready: Setting) -> Request:
    """Start a process of the CLI, with the options and environment that the server's have, but for the tools."""
    return timed(b'"content_block_delta"' in line async for line in _cli_lines(ready))


async def _cli_lines(ready: Setting) -> AsyncIterator[bytes]:
    # Nobody is there to answer what tools there are.
    command, pipe = argv.arguments(ready.binary, MODEL, lists_tools_early=False), asyncio.subprocess.PIPE
    env = _environment(ready)
    child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=env, cwd=ready.cwd)
    try:
        assert child.stdin
        assert child.stdout
        child.stdin.write(control.user_message([{"type": "text", "text": "hi"}], ask=True))
        child.stdin.close()
        async for line in child.stdout:
            yield line
        await child.wait()
    finally:
        await stopped(child)


class Driven:
    """A child that we write to ourselves, with the plan that the pool would have made."""

    def __init__(self, child: Child, known: Knowledge) -> None:
        self.child = child
        self.calls: list[str] = []
        """The tool calls that wait for us."""
        self.turns = 0
        self._known = known

    def task(self, *content: AnyBlock, **fields: Any) -> conversation.Task:
        """Say what the child is to be told."""
        messages = (Message(role="user", content=content or (Text(text="hi"),)),)
        request = Asked(model=self._known.catalog.exact(MODEL), messages=messages, **fields)
        plan = parameters.plan(request, self._known.able(request.model), plan_login=True)
        return conversation.Task(request, messages, plan, tools.listing(request.tools)[0])

    async def begin(self, task: conversation.Task, *, prepared: bool = False) -> AsyncIterator[bool]:
        """Begin the conversation."""
        await conversation.begin(self.child, task, prepared=prepared)
        async for has_content in self._pieces():
            yield has_content

    async def begun(self, task: conversation.Task) -> AsyncIterator[AnyEvent]:
        """Begin the conversation, and give the events themselves."""
        await conversation.begin(self.child, task)
        async for event in self.child.events():
            yield event

    async def follow(self) -> AsyncIterator[bool]:
        """Say the next thing."""
        conversation.follow(self.child, self.task(**_FORESEEN))
        async for has_content in self._pieces():
            yield has_content

    async def answer(self) -> AsyncIterator[bool]:
        """Give the results of the calls that wait."""
        assert self.calls
        given = {call: ToolResult(tool_use_id=call, content=(Text(text="done"),)) for call in self.calls}
        await conversation.answer(self.child, self.task(*given.values(), **_CALLING), given)
        async for has_content in self._pieces():
            yield has_content

    async def _pieces(self) -> AsyncIterator[bool]:
        self.calls.clear()
        self.turns += 1
        async for event in self.child.events():
            called = isinstance(event, BlockStart) and isinstance(event.block, ToolUse)
            if isinstance(event, BlockStart) and isinstance(event.block, ToolUse):
                self.calls.append(event.block.id)
            yield called or isinstance(event, TextDelta)


@asynccontextmanager
async def _living(ready: Setting) -> AsyncIterator[Child]:
    command = argv.arguments(ready.binary, MODEL, lists_tools_early=find_binary(ready.binary).asks_for_tools_again)
    child = Child(command, _environment(ready), str(ready.cwd))
    life = asyncio.create_task(child.run())
    try:
        yield child
    finally:
        with suppress(asyncio.CancelledError):
            await child.stop()
        await life


async def warm(ready: Setting) -> Driven:
    """Start a child, and wait until it has said which models there are, which leaves it blank."""
    child = await ready.stack.enter_async_context(_living(ready))
    answer = await child.ask(control.list_models)
    known = Knowledge()
    known.catalog = catalog.parse(answer.response["models"])
    return Driven(child, known)


async def talking(ready: Setting) -> Driven:
    """Give a child that has answered twice."""
    driven = await warm(ready)
    await timed(driven.begin(driven.task(**_FORESEEN)))
    await timed(driven.follow())
    return driven


async def prepared(ready: Setting) -> Request:
    """Begin a conversation on a child that has been told the system prompt and the tools, and has listed them."""
    driven = await warm(ready)
    task = driven.task(**_FORESEEN)
    driven.child.prepare(task.system, task.tools)
    driven.child.apply(task.plan.settings)
    await asyncio.sleep(REFILL_SECONDS)
    return _ending(driven, driven.begin(task, prepared=True))


async def blank(ready: Setting) -> Request:
    """Begin one on a child that has been told the settings only; the answer is a tool call."""
    driven = await warm(ready)
    driven.child.apply(_calling_task(driven).plan.settings)
    await asyncio.sleep(REFILL_SECONDS)
    return _ending(driven, driven.begin(_calling_task(driven)))


def _calling_task(driven: Driven) -> conversation.Task:
    system = (Text(text=f"It is {time.monotonic_ns()}."),)
    return driven.task(system=system, **_CALLING)


async def _ending(driven: Driven, pieces: AsyncIterator[bool]) -> float:
    first = await timed(pieces)
    await driven.child.stop()
    return first


async def next_turn(ready: Setting) -> Request:
    """Go on with a conversation, in one of its turns from the third to the last that counts."""
    driven: Driven | None = ready.kept.get("straight talk")
    if driven is not None and driven.turns == LAST_TURN:
        await driven.child.stop()
        driven = None
    driven = ready.kept["straight talk"] = driven or await talking(ready)
    return timed(driven.follow())


async def tool_results(ready: Setting) -> Request:
    """Answer the tool calls that the model has just made; it makes others."""
    if "straight calling" in ready.kept:
        await ready.kept["straight calling"].child.stop()
    driven = ready.kept["straight calling"] = ready.kept.pop("straight spare", None) or await warm(ready)
    await timed(driven.begin(_calling_task(driven)))
    ready.kept["straight spare"] = await warm(ready)  # as the server starts one, before the results come
    await asyncio.sleep(REFILL_SECONDS)
    return timed(driven.answer())
