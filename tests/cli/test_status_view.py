"""What ``status`` shows, rendered at fixed widths and at a fixed time."""

import io
import re
from datetime import UTC
from typing import Any

import msgspec
import pytest
from rich.console import Console, RenderableType
from telling_server import NOW, cli_backend, document, limits, usage_row

from claude_proxy.cli.status_document import Status
from claude_proxy.cli.status_view import Bar, view


def render(renderable: RenderableType, width: int = 80, **console: Any) -> str:
    """Give the text on a terminal of some width, without the blanks at the lines' ends."""
    written = io.StringIO()
    Console(file=written, width=width, highlight=False, **console).print(renderable)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def shown(width: int = 80, *, running: bool = True, color_system: str | None = None, **changed: Any) -> str:
    """Render a status."""
    status = msgspec.convert({"running": running, "url": "http://127.0.0.1:8317", **document(**changed)}, Status)
    return render(view(status, now=NOW, zone=UTC), width, color_system=color_system, force_terminal=bool(color_system))


FIVE_HOURS = {"name": "five_hour", "used_percent": 37.5, "resets_at": NOW + 7999, "status": "allowed"}
WEEK = {"name": "seven_day", "used_percent": 81.0, "resets_at": NOW + 300_000, "status": "allowed"}
FAILURE = {"at": NOW - 60, "status": 502, "type": "UpstreamError", "message": "it broke", "model": "opus"}

WHOLE = """\
claude-proxy 0.1.0  running  http://127.0.0.1:8317  up 2 h 13 m
2 of at most 64 requests under way, pid 4711
/home/me/config.yaml

Backends
  claude-cli  ready  me@example.test (max)  claude CLI 9.9.9

Plan
  5 hours  ━━━━━━━━━━━━━━━─────────────────────────  37%  resets in 2 h 13 m
  7 days   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━────────  81%  resets in 3 d 11 h
  as reported 1 m ago

Processes
  1 warm, 2 busy, 1 idle, 0 waiting  of at most 4, 612 MB

Usage                  requests     in   out  cached  list price
  today                       3  10.4k  2.1k    120k       $0.12
    claude-sonnet-5-5         3  10.4k  2.1k    120k       $0.12
  this month                  3  10.4k  2.1k    120k       $0.12
    claude-sonnet-5-5         3  10.4k  2.1k    120k       $0.12
  list price: what the tokens would have cost at the API's list prices of
  2026-11-01; a plan isn't billed by it

Last errors
  15:59:00  502  it broke  opus"""


def test_the_whole_screen_at_80_columns() -> None:
    """Everything that is known, in sections, each figure in its column."""
    assert shown(backends=[cli_backend(limits=limits(FIVE_HOURS, WEEK))], errors=[FAILURE]) == WHOLE


def test_the_whole_screen_at_120_columns_is_the_same_where_nothing_was_folded() -> None:
    """More room changes no column."""
    wide = shown(120, backends=[cli_backend(limits=limits(FIVE_HOURS, WEEK))], errors=[FAILURE])

    note = "list price: what the tokens would have cost at the API's list prices of"
    assert wide == WHOLE.replace(f"{note}\n  ", f"{note} ")


@pytest.mark.parametrize("width", [40, 60, 80])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    """Whatever is long is folded or shortened."""
    long = "word " * 40
    text = shown(
        width,
        config="/home/" + "x" * 200,
        backends=[
            cli_backend(limits=limits(FIVE_HOURS, WEEK)),
            cli_backend("work", ready=False, account=None, detail=long),
        ],
        errors=[{**FAILURE, "message": long}],
    )

    assert max(map(len, text.splitlines())) <= width


def test_a_backend_that_is_not_ready_says_what_to_do() -> None:
    """In the words of the backend."""
    text = shown(backends=[cli_backend(ready=False, account=None, detail="not signed in: run `claude-proxy login`")])

    assert "  claude-cli  not ready  not signed in: run `claude-proxy login`\n" in text


def test_several_plans_and_pools_are_told_apart() -> None:
    """Each sign-in has its own."""
    text = shown(backends=[cli_backend(limits=limits(FIVE_HOURS)), cli_backend("work", limits=limits(WEEK))])

    assert "\nPlan of claude-cli\n  5 hours" in text
    assert "\nPlan of claude-cli/work\n  7 days" in text
    assert "\n  claude-cli       1 warm, 2 busy" in text
    assert "\n  claude-cli/work  1 warm, 2 busy" in text


def test_a_window_that_has_been_reset_since_shows_no_old_figure() -> None:
    """The plan tells the new one with the next answer only."""
    text = shown(backends=[cli_backend(limits=limits({**FIVE_HOURS, "resets_at": NOW - 1}))])

    assert "  5 hours  ────────────────────────────────────────  -  has been reset since\n" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [("seven_day_opus", "7 days, opus"), ("five_hour", "5 hours"), ("overage", "overage"), ("one_day", "one day")],
)
def test_windows_have_names_for_people(name: str, words: str) -> None:
    """Also those that a plan may have one day."""
    assert f"  {words}  ━" in shown(backends=[cli_backend(limits=limits({**FIVE_HOURS, "name": name}))])


def test_a_window_of_which_nothing_is_known_says_so() -> None:
    """No figure is made up."""
    text = shown(backends=[cli_backend(limits=limits({"name": "five_hour"}, reported_at=None))])

    assert re.search(r"\n  5 hours  ─+  -\n\nProcesses", text)


def test_a_plan_that_is_used_up_says_so_in_words() -> None:
    """Not by a colour alone; extra usage costs money, which is worth a line."""
    text = shown(backends=[cli_backend(limits=limits(status="rejected", extra_usage=True))])

    assert "\nPlan\n  the plan's limit is reached\n  requests go on as extra usage, which costs money\n" in text


def test_processes_that_leave_are_counted_while_they_do() -> None:
    """And memory is left out where it isn't known."""
    pool = {"warm": 0, "busy": 0, "idle": 0, "leaving": 2, "waiting": 1, "most": 4}

    assert "\n  0 warm, 0 busy, 0 idle, 2 leaving, 1 waiting  of at most 4\n" in shown(
        backends=[cli_backend(pool=pool)]
    )


def test_errors_of_another_day_have_their_date_and_many_are_counted() -> None:
    """The screen stays small; one without a message has its kind."""
    text = shown(errors=[{**FAILURE, "message": ""}, *[{**FAILURE, "at": NOW - 100_000, "model": None}] * 6])

    assert "\n  15:59:00      502  UpstreamError  opus\n  23 Nov 12:13  502  it broke\n" in text
    assert text.count("502") == 5
    assert text.endswith("\n  2 more with --json")


def test_usage_names_failures_and_backends_beside_the_cli() -> None:
    """What has no list price has none here, and a year's worth fits."""
    rows = [usage_row("claude-haiku-4-5-20251001", "claude-cli", requests=1_234_567, list_price_usd=None)]
    rows += [usage_row("gpt-5", "openrouter", list_price_usd=1234.5)]
    month = {"since": NOW, "models": rows, "total": usage_row(failed=2)}
    text = shown(usage={"enabled": True, "today": None, "month": month})

    assert text.endswith("""\
Usage                          requests     in   out  cached  list price
  this month  2 failed                3  10.4k  2.1k    120k       $0.12
    claude-haiku-4-5-20251001      1.2M  10.4k  2.1k    120k           -
    gpt-5  openrouter                 3  10.4k  2.1k    120k   $1,234.50
  list price: what the tokens would have cost at the API's list prices; a plan
  isn't billed by it""")


def test_usage_that_is_not_counted_or_can_not_be_read_says_so() -> None:
    """Zeros would be a lie."""
    assert shown(usage={"enabled": False}).endswith("Usage\n  isn't counted: `usage-statistics-enabled` is false")
    assert shown(usage={"enabled": False, "problem": "x can't be read"}).endswith("Usage\n  x can't be read")
    assert "Usage" not in shown(usage=None)


def test_a_server_that_is_stopped_shows_who_is_signed_in() -> None:
    """Ready is nobody then."""
    nothing: dict[str, Any] = {"version": None, "pid": None, "uptime_seconds": None, "requests": None}
    nothing["usage"] = {"enabled": False}
    text = shown(running=False, backends=[cli_backend(pool=None)], **nothing)

    assert text == (
        "claude-proxy  not running  http://127.0.0.1:8317\n"
        "\nSign-in\n  claude-cli  me@example.test (max)  claude CLI 9.9.9"
    )


def test_a_server_without_a_file_and_backends_says_so() -> None:
    """The demo, say, which also says what it is."""
    text = shown(config=None, demo=True, backends=[], usage=None, requests=None)

    assert text.splitlines()[1:] == [
        "0 of at most 0 requests under way, pid 4711",
        "no configuration file",
        "demo: a built-in simulator answers, nothing leaves this machine",
    ]


@pytest.mark.parametrize(
    ("share", "bar"),
    [(0, "────────────"), (0.1, "━───────────"), (50, "━━━━━━──────"), (99.9, "━━━━━━━━━━━─"), (100, "━━━━━━━━━━━━")],
)
def test_a_bar_shows_what_is_begun_and_what_is_left(share: float, bar: str) -> None:
    """The thick part is told from the thin one without colours."""
    assert render(Bar(share, "green"), 12) == bar


def test_a_bar_in_ascii() -> None:
    """Where the terminal knows no more."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=written, width=12).print(Bar(50, "green"))
    written.seek(0)

    assert written.read() == "######------\n"


@pytest.mark.parametrize(("used", "colour"), [(10, "32m"), (80, "38;5;166m"), (96, "1;31m")])
def test_colours_say_how_much_is_left(used: float, colour: str) -> None:
    """Green, then orange, then red: three, and readable on dark and light."""
    assert f"\x1b[{colour}━" in shown(
        backends=[cli_backend(limits=limits({**FIVE_HOURS, "used_percent": used}))], color_system="256"
    )
