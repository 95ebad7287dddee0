"""What a line of a child's stdout means to us. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from claude_proxy.backends.claude_cli.limits import Limits
from claude_proxy.canon.blocks import Json
from claude_proxy.canon.events import AnyEvent
from claude_proxy.errors import ProxyError


@dataclass(frozen=True, slots=True)
class Answered:
    """The child answered control request ``request_id``; ``error`` is its reason where it refused."""

    request_id: str
    response: Json
    error: str | None


@dataclass(frozen=True, slots=True)
class McpAsked:
    """The child's MCP client wants something other than a tool call, and waits for the answer."""

    request_id: str
    method: str
    rpc_id: int | str | None
    params: Json


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The child wants a client tool run, and waits for its result."""

    request_id: str
    rpc_id: int | str | None
    tool_use_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The child asked for something that we don't serve."""

    request_id: str
    subtype: str


@dataclass(frozen=True, slots=True)
class ToolsListed:
    """The names of the tools that the child really offers the model."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class HistoryTaken:
    """A history message is in the child's conversation; ``error`` where it refused it."""

    error: ProxyError | None


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn under way ended with ``error``; no event follows."""

    error: ProxyError


@dataclass(frozen=True, slots=True)
class LoopEnded:
    """The CLI is done with the message it was asked; ``failed`` where it ended badly after the reply was complete.

    ``max_output_tokens`` and ``context_window`` by model, as far as the CLI told.
    """

    failed: bool
    max_output_tokens: dict[str, int]
    context_window: dict[str, int]


Signal = (
    Answered | McpAsked | ToolCalled | Refused | ToolsListed | HistoryTaken | TurnFailed | LoopEnded | Limits | AnyEvent
)
