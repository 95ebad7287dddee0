"""Makes a child a request's own: tells it the conversation and asks for the next turn, in one of three ways.

*Begin*: a blank child gets the system prompt, the tools and the history. *Follow*: a child that holds the conversation
gets the user's next message. *Answer*: a child that waits for tool results gets them. All three must come to the same
upstream request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from claude_proxy.backends.claude_cli import control, tools, transcript
from claude_proxy.backends.claude_cli.child import Child
from claude_proxy.backends.claude_cli.failures import Lost
from claude_proxy.backends.claude_cli.parameters import Plan
from claude_proxy.canon.blocks import Json, ToolResult
from claude_proxy.canon.request import Message, Request
from claude_proxy.errors import ProxyError

_HISTORY_SECONDS = 60.0
"""How long a child may take to accept one message of history."""

_CALL_SECONDS = 10.0
"""How long after ``message_stop`` a tool call may still be on its way."""


@dataclass(frozen=True, slots=True)
class Task:
    """A request prepared for a child. ``messages`` ends with the user's turn."""

    request: Request
    messages: tuple[Message, ...]
    plan: Plan
    tools: Sequence[Json]

    @property
    def system(self) -> str:
        """The whole system prompt."""
        return transcript.system_prompt(self.request, self.plan.system_notes)


async def begin(child: Child, task: Task, *, prepared: bool = False) -> None:
    """Tell a child everything, history in lock-step (else its order is lost), and ask. Raises ``ProxyError``.

    ``prepared``: it knows the system prompt and the tools already.
    """
    if not prepared:
        child.prepare(task.system, task.tools)
    child.apply(task.plan.settings)
    await tell(child, task.messages[:-1], task.request.model)
    _ask(child, task)


async def tell(child: Child, messages: Sequence[Message], model: str) -> None:
    """Tell a blank child the messages as history, and ask nothing. Raises ``ProxyError``."""
    for step in transcript.history(messages, model):
        if not step.awaited:
            child.write(step.line)
            continue
        child.turns.inject()
        child.write(step.line)
        await _history_taken(child)


async def _history_taken(child: Child) -> None:
    try:
        async with asyncio.timeout(_HISTORY_SECONDS):
            await child.history_taken()
    except TimeoutError as error:
        raise Lost("the claude CLI didn't take the conversation's history in time") from error
    except ProxyError:
        child.spoiled = True
        raise


def _ask(child: Child, task: Task) -> None:
    child.turns.ask()
    child.write(control.user_message(transcript.encode_content(task.messages[-1].content), ask=True))


def follow(child: Child, task: Task) -> None:
    """Give a child that holds the conversation the user's next message."""
    child.apply(task.plan.settings)
    _ask(child, task)


async def answer(child: Child, task: Task, results: dict[str, ToolResult]) -> None:
    """Answer all pending calls of a child; the turn goes on. Never half of them: the model would be asked too early."""
    try:
        async with asyncio.timeout(_CALL_SECONDS):
            calls = [(await child.call(call_id), result) for call_id, result in results.items()]
    except TimeoutError as error:
        raise Lost("the claude CLI never made a tool call that the model asked for") from error
    child.apply(task.plan.settings)
    child.turns.resume()
    for call, result in calls:
        child.write(control.mcp_result(call.request_id, call.rpc_id, tools.call_result(result)))
