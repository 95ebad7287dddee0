"""What ``/api/status`` tells, as types. What is missing has a default: an older server's answer is read, too."""

from __future__ import annotations

from msgspec import Struct


class Window(Struct, frozen=True):
    """One window of a plan."""

    name: str
    used_percent: float | None = None
    resets_at: float | None = None
    status: str | None = None


class Limits(Struct, frozen=True):
    """A plan as the CLI last reported it."""

    status: str = "allowed"
    extra_usage: bool = False
    binding: str | None = None
    reported_at: float | None = None
    windows: tuple[Window, ...] = ()


class Pool(Struct, frozen=True):
    """A sign-in's processes. ``idle`` ones are kept for their conversation's next turn; requests are ``waiting``."""

    warm: int = 0
    busy: int = 0
    idle: int = 0
    leaving: int = 0
    waiting: int = 0
    most: int = 0
    memory_mb: float | None = None


class Backend(Struct, frozen=True):
    """Who can answer, and for whom."""

    name: str
    kind: str = ""
    profile: str = ""
    ready: bool = False
    detail: str = ""
    account: str | None = None
    version: str | None = None
    limits: Limits | None = None
    pool: Pool | None = None


class Failure(Struct, frozen=True):
    """A request that failed."""

    at: float
    status: int = 0
    type: str = ""
    message: str = ""
    model: str | None = None
    backend: str | None = None
    request_id: str | None = None


class Row(Struct, frozen=True):
    """Counts of one model, or of all together. ``input_tokens`` are those that no cache had part in."""

    model: str = ""
    backend: str = ""
    requests: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    list_price_usd: float | None = None


class Period(Struct, frozen=True):
    """The counts since a moment."""

    since: float = 0
    models: tuple[Row, ...] = ()
    total: Row = Row()


class Usage(Struct, frozen=True):
    """What the usage file holds; ``problem`` says why it can't be read."""

    enabled: bool = False
    problem: str | None = None
    prices_date: str | None = None
    today: Period | None = None
    month: Period | None = None


class Requests(Struct, frozen=True):
    """Turns under way, and how many there may be."""

    open: int = 0
    most: int = 0


class Status(Struct, frozen=True):
    """The whole answer, or what is known without a server: ``detail`` says why there is none."""

    running: bool
    url: str = ""
    detail: str | None = None
    version: str | None = None
    pid: int | None = None
    started_at: float | None = None
    uptime_seconds: float | None = None
    demo: bool | None = None
    ready: bool | None = None
    config: str | None = None
    requests: Requests | None = None
    backends: tuple[Backend, ...] = ()
    errors: tuple[Failure, ...] = ()
    usage: Usage | None = None
