"""What the server asks of a backend. Adding one: a file or folder here, and a line in ``cli/serve.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from claude_proxy.canon.events import AnyEvent, MessageDelta, MessageStart, Usage
from claude_proxy.canon.request import Request
from claude_proxy.errors import ProxyError


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a backend offers. ``id`` is the upstream's exact name, ``aliases`` the other names it answers to.

    ``context_window`` and ``max_output_tokens`` are in tokens, ``None`` where the upstream doesn't say. A model with a
    ``prefix`` is asked for as ``prefix/name``, and only so.
    """

    id: str
    display_name: str
    aliases: tuple[str, ...] = ()
    effort_levels: tuple[str, ...] = ()
    context_window: int | None = None
    max_output_tokens: int | None = None
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to a backend.

    ``client`` tells one client from another (a digest of its key, never the key). ``strict`` makes every loss a 400.
    ``prefix`` is the one that the client asked with: only what is configured under it may answer.
    """

    request: Request
    client: str = ""
    strict: bool = False
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Original:
    """A client's request as it came, for a backend that speaks the client's dialect itself.

    ``path`` is the dialect's own (``/v1/messages``), ``query`` comes without its question mark, ``headers`` have
    lower-case names and hold what the client sent. ``model`` is the upstream's exact name, which goes into the body.
    """

    dialect: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    model: str
    stream: bool
    prefix: str = ""
    strict: bool = False


class Used(NamedTuple):
    """Who answers a turn, and how many tokens it took so far: the upstream's own words, empty where it said none."""

    model: str = ""
    usage: Usage = Usage()

    def after(self, event: AnyEvent | None) -> Used:
        """Give what is known after an event; only a reply's first and its last but one say something."""
        match event:
            case MessageStart(model=model, usage=usage):
                return Used(model, usage)
            case MessageDelta(usage=usage):
                return Used(self.model, self.usage.merged(usage))
            case _:
                return self


UNTOLD = Used()
"""Of an upstream that has said nothing yet."""


async def nothing(error: ProxyError | None = None) -> AsyncIterator[Any]:
    """Stand in for what a turn gives until that is known, or fail in its place."""
    if error is not None:
        raise error
    no_items: tuple[Any, ...] = ()
    for item in no_items:
        yield item


@dataclass(slots=True)
class Turn:
    """A turn under way. Iterate ``events`` to its end; leaving the context early stops the turn upstream.

    ``losses`` (names of request fields), ``timings`` (seconds by name: ``queue``, ``claim``, ``first_byte``) and
    ``headers`` (rate limits to hand on) are complete once the first event is there.
    """

    events: AsyncIterator[AnyEvent] = field(default_factory=nothing)
    losses: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    answered_by: str = ""
    """Who of a backend with several upstreams; empty: the backend itself."""
    used: Used = UNTOLD
    """Kept by whoever iterates."""


@dataclass(slots=True)
class Relayed:
    """An upstream's successful answer, handed on as it comes.

    Iterate ``chunks`` to the end: complete SSE events in the dialect where the request was for a stream, else the body.
    Where the upstream breaks off or speaks nonsense, iterating raises a ``ProxyError``.
    """

    content_type: str
    chunks: AsyncIterator[bytes] = field(default_factory=nothing)
    timings: dict[str, float] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    answered_by: str = ""
    losses: list[str] = field(default_factory=list)
    error: ProxyError | None = None
    """The failure that the upstream told of inside its stream: the client has it by then, so nothing is raised."""
    used: Used = UNTOLD
    """Known once ``chunks`` has come to its end, or was closed."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a backend can answer now, and what a person should know: ``detail`` is one line."""

    ready: bool
    detail: str
    account: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class PlanWindow:
    """One window of a plan. ``used`` is 0 to 1, ``resets_at`` in Unix seconds."""

    name: str
    used: float | None = None
    resets_at: float | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan's limits as they were last reported. ``binding`` names the window that counts."""

    status: str
    reported_at: float
    extra_usage: bool = False
    binding: str | None = None
    windows: tuple[PlanWindow, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a backend's: what it does (``phase``), and for how long."""

    pid: int | None
    model: str
    phase: str
    seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class ProcessPool:
    """A backend's processes, never more than ``most``, and how many requests are ``waiting`` for one.

    ``phases`` are all that there are, in order.
    """

    phases: tuple[str, ...]
    most: int
    waiting: int = 0
    processes: tuple[Process, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a backend is at this moment. ``profile`` is whose sign-in it uses; empty: the default one."""

    profile: str = ""
    plan: Plan | None = None
    pool: ProcessPool | None = None


class Backend(Protocol):
    """One upstream, or several of one kind."""

    name: str
    kind: str
    """As in the config's ``routing.prefer``."""

    async def start(self) -> None:
        """Begin work in the background; return at once. Never raises for an upstream that can't be reached."""

    async def close(self) -> None:
        """End everything that was started. No child and no task is left behind."""

    async def models(self) -> Sequence[Model]:
        """What can be asked for. Raises ``ProxyError`` where the upstream can't say."""

    async def health(self) -> Health:
        """Say whether the next request can be answered."""

    def turn(self, call: Call) -> AbstractAsyncContextManager[Turn]:
        """Run one turn. Entering waits for a place; a failure is a ``ProxyError``, on entering or while iterating."""

    async def count_tokens(self, call: Call) -> int:
        """Give the input tokens of a request as the upstream counts them. Raises ``ProxyError`` where it can't."""


@runtime_checkable
class Native(Backend, Protocol):
    """A backend that takes requests of one dialect as they came, and answers in it."""

    speaks: str
    """The dialect's name."""

    def relay(self, original: Original) -> AbstractAsyncContextManager[Relayed]:
        """Send a request on. Entering waits for the upstream's answer; a failure is a ``ProxyError``."""


@runtime_checkable
class Inspectable(Backend, Protocol):
    """A backend that has a plan or processes to tell of."""

    async def snapshot(self) -> Snapshot:
        """Say how things are. Quick, and nothing is asked of an upstream."""
