"""What ``status`` shows. Renders, asks nobody and reads no clock: the time is an argument.

Colours are few and readable on dark and light: green and red for good and bad, an orange for what wants a look. All
that a colour says, a word says, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from claude_proxy.cli import figures
from claude_proxy.cli.screen import DEMO, LOOK
from claude_proxy.cli.status_document import Backend, Failure, Limits, Pool, Requests, Row, Status, Usage, Window

GOOD, BAD, QUIET = "green", "bold red", "dim"

_NEARLY = 75.0
_FULL = 95.0
_ERRORS = 5
_WINDOWS = {"five_hour": "5 hours", "seven_day": "7 days"}
_WIDEST_BAR = 40


def view(status: Status, *, now: float, zone: tzinfo | None = None) -> RenderableType:
    """Show all that is known, in sections; ``zone`` is the local one where it isn't given."""
    first, *others = [_head(status), *_sections(status, now, zone)]
    return Group(first, *(part for section in others for part in (Text(), section)))


def _sections(status: Status, now: float, zone: tzinfo | None) -> Iterator[RenderableType]:
    if status.backends:
        yield (
            _section("Backends", _backends(status.backends))
            if status.running
            else _section("Sign-in", _sign_ins(status.backends))
        )
    for backend in status.backends:
        if backend.limits is not None:
            yield _section(f"Plan{_of(backend, status)}", _plan(backend.limits, now))
    pools = [backend for backend in status.backends if backend.pool is not None]
    if pools:
        yield _section("Processes", _pools(pools))
    if status.usage is not None:
        yield from _usage_section(status.usage, running=status.running)
    if status.errors:
        yield _section("Last errors", _errors(status.errors, now, zone))


def _usage_section(usage: Usage, *, running: bool) -> Iterator[RenderableType]:
    if usage.enabled:
        yield _usage(usage)
    elif usage.problem:
        yield _section("Usage", Text(usage.problem, LOOK))
    elif running:
        yield _section("Usage", Text("isn't counted: `usage-statistics-enabled` is false", QUIET))


def _section(title: str, content: RenderableType) -> RenderableType:
    return Group(Text(title, "bold"), _indented(content))


def _indented(content: RenderableType) -> RenderableType:
    return Padding(content, (0, 0, 0, 2), expand=False)


def _of(backend: Backend, status: Status) -> str:
    """Name the backend where several have a plan."""
    several = sum(one.limits is not None for one in status.backends) > 1
    return f" of {backend.name}" if several else ""


# -- The server ------------------------------------------------------------------------------------------------------


def _head(status: Status) -> RenderableType:
    state = ("running", GOOD) if status.running else ("not running", BAD)
    version = f" {status.version}" if status.version else ""
    uptime = "" if status.uptime_seconds is None else f"  up {figures.duration(status.uptime_seconds)}"
    lines = [Text.assemble(("claude-proxy", "bold"), version, "  ", state, f"  {status.url}{uptime}")]
    if status.pid is not None:
        lines += [Text(line, QUIET) for line in _particulars(status)]
    if status.demo:
        lines.append(Text(DEMO, LOOK))
    return Group(*lines)


def _particulars(status: Status) -> Iterator[str]:
    requests = status.requests or Requests()
    yield f"{requests.open} of at most {requests.most} requests under way, pid {status.pid}"
    yield status.config or "no configuration file"


def _backends(backends: Sequence[Backend]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for backend in backends:
        mark = Text("ready", GOOD) if backend.ready else Text("not ready", BAD)
        table.add_row(Text(backend.name), mark, _who(backend))
    return table


def _sign_ins(backends: Sequence[Backend]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for backend in backends:
        table.add_row(Text(backend.name), _who(backend))
    return table


def _who(backend: Backend) -> Text:
    if backend.account is None:
        return Text(backend.detail)
    return Text.assemble(backend.account, ("  " + backend.detail, QUIET))


# -- The plan --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A share of 100, as long as there is room. Told apart without colours as well, and in ASCII where it must be."""

    share: float
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        done, rest = ("#", "-") if options.ascii_only else ("━", "─")
        width = min(options.max_width, _WIDEST_BAR)
        # What is begun shows, and what isn't full has a gap.
        filled = round(width * self.share / 100)
        filled = max(filled, 1) if self.share > 0 else 0
        filled = min(filled, width - 1) if self.share < 100 else width  # noqa: PLR2004  (percent)
        yield Text.assemble((done * filled, self.style), (rest * (width - filled), QUIET))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Say how long it may be."""
        return Measurement(min(10, options.max_width), min(_WIDEST_BAR, options.max_width))


def _plan(limits: Limits, now: float) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    for window in limits.windows:
        table.add_row(*_window(window, now))
    notes = [Text(note, LOOK) for note in _notes(limits)]
    when = limits.reported_at
    known = [Text(f"as reported {figures.duration(now - when)} ago", QUIET)] if when is not None else []
    return Group(*([table] if limits.windows else []), *notes, *known)


def _window(window: Window, now: float) -> tuple[RenderableType, ...]:
    label = Text(_window_name(window.name))
    if window.resets_at is not None and window.resets_at <= now:
        # The plan tells it with the next answer; until then all we know is that the old figure is of the past.
        return label, Bar(0, GOOD), Text(figures.UNKNOWN), Text("has been reset since", QUIET)
    used = window.used_percent
    resets = "" if window.resets_at is None else f"resets in {figures.duration(window.resets_at - now)}"
    full = window.status == "rejected" or (used is not None and used >= _FULL)
    style = BAD if full else LOOK if used is not None and used >= _NEARLY else GOOD
    shown = Text(figures.percent(used), style if style != GOOD else "")
    return label, Bar(min(100.0, used or 0.0), style), shown, Text(resets, QUIET)


def _window_name(name: str) -> str:
    """Say ``seven_day_opus`` as people do."""
    for known, words in _WINDOWS.items():
        if name.startswith(known):
            return f"{words}, {family}" if (family := name.removeprefix(known).strip("_")) else words
    return name.replace("_", " ")


def _notes(limits: Limits) -> Iterator[str]:
    if limits.status == "rejected":
        yield "the plan's limit is reached"
    if limits.extra_usage:
        yield "requests go on as extra usage, which costs money"


def _pools(backends: Sequence[Backend]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for backend in backends:
        name = [Text(backend.name)] if len(backends) > 1 else []
        table.add_row(*name, _pool(backend.pool or Pool()))
    return table


def _pool(pool: Pool) -> Text:
    waiting = (f"{pool.waiting} waiting", LOOK if pool.waiting else "")
    leaving = f"{pool.leaving} leaving, " if pool.leaving else ""
    counts = f"{pool.warm} warm, {pool.busy} busy, {pool.idle} idle, {leaving}"
    memory = "" if pool.memory_mb is None else f", {figures.megabytes(pool.memory_mb)}"
    return Text.assemble(counts, waiting, (f"  of at most {pool.most}{memory}", QUIET))


# -- What went wrong, and what was used ------------------------------------------------------------------------------


def _errors(errors: Sequence[Failure], now: float, zone: tzinfo | None) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style=QUIET)
    for error in errors[:_ERRORS]:
        message = Text.assemble(error.message or error.type, (f"  {error.model}" if error.model else "", QUIET))
        table.add_row(Text(_clock(error.at, now, zone)), Text(str(error.status), BAD), message)
    more = len(errors) - _ERRORS
    return Group(table, *([Text(f"{more} more with --json", QUIET)] if more > 0 else []))


def _clock(at: float, now: float, zone: tzinfo | None) -> str:
    when, today = (datetime.fromtimestamp(moment, zone) for moment in (at, now))
    return f"{when:%H:%M:%S}" if when.date() == today.date() else f"{when:%d %b %H:%M}"


def _usage(usage: Usage) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column(Text("Usage", "not dim bold"), no_wrap=True, overflow="ellipsis")
    for title in ("requests", "in", "out", "cached", "list price"):
        table.add_column(title, justify="right", no_wrap=True)
    for name, period in (("today", usage.today), ("this month", usage.month)):
        if period is not None:
            failed = f"  {figures.count(period.total.failed)} failed" if period.total.failed else ""
            table.add_row(Text.assemble(f"  {name}", (failed, BAD)), *_figures(period.total))
            for row in period.models:
                table.add_row(Text(f"    {row.model}{_by(row)}", QUIET), *_figures(row))
    date = f" of {usage.prices_date}" if usage.prices_date else ""
    note = f"list price: what the tokens would have cost at the API's list prices{date}; a plan isn't billed by it"
    return Group(table, _indented(Text(note, QUIET)))


def _by(row: Row) -> str:
    """Name the backend where it isn't the usual one."""
    return "" if row.backend in {"", "claude-cli"} else f"  {row.backend}"


def _figures(row: Row) -> Iterator[str]:
    yield figures.count(row.requests)
    # What was written to the cache was read by the model all the same.
    yield figures.count(row.input_tokens + row.cache_write_tokens)
    yield figures.count(row.output_tokens)
    yield figures.count(row.cache_read_tokens)
    yield figures.dollars(row.list_price_usd)
