"""The results as tables."""

from collections.abc import Sequence
from typing import Any

from direct import BASE as DIRECT
from gaps import BASE as STRAIGHT
from gaps import GAP_MS
from latency import BASE, PROCESS
from rich.console import Console
from rich.table import Table

Figures = dict[str, Any]


def show(results: Figures, console: Console) -> None:
    """Print a table for each part that was measured."""
    console.print("{rounds} rounds, {cores} cores, claude {claude}".format(**results))
    for part, table in _TABLES.items():
        if part in results:
            table(results[part], console)


def _table(console: Console, title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table()
    table.add_column(title, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _first_delta(results: Figures, console: Console) -> None:
    sides = results["sides"]
    columns = ("median ms", "least-most", "x upstream", "x a process", "x straight", "our CPU ms", "CLI CPU ms")
    rows = []
    for name, side in sides.items():
        spread = "{median_ms:.1f}|{least_ms:.1f}-{most_ms:.1f}".format(**side).split("|")
        others = (BASE, PROCESS, name.replace("ours,", "straight,"))
        ratios = [f"{side['median_ms'] / sides[other]['median_ms']:.3g}" for other in others]
        if not name.startswith("ours"):
            ratios[-1] = ""
        used = [f"{side[key]:.1f}" if key in side else "" for key in ("server_cpu_ms", "cli_cpu_ms")]
        rows.append((name, *spread, *ratios, *used))
    _table(console, "first delta after", columns, rows)
    memory = (
        "Server: {server_start:.0f} MB at the start, {server_end:.0f} MB at the end; CLI process: {cli_process:.0f} MB"
    )
    console.print(memory.format(**results["memory_mb"]), f"({results['cli_processes']} of them).")


def _throughput(results: Figures, console: Console) -> None:
    rows = [
        (name, f"{kind['per_second']:.2f}", f"{kind['median_ms']:.0f}", str(kind["requests"]))
        for name, kind in results.items()
    ]
    _table(console, "throughput", ("a second", "first delta, median ms", "requests"), rows)


def _streaming(results: Figures, console: Console) -> None:
    columns = ("median ms", "p95 ms", "p95 over straight", "median gap ms", "most at once", "deltas")
    rows = []
    for name, side in results.items():
        over = f"{side['p95_delay_ms'] - results[STRAIGHT]['p95_delay_ms']:.2f}" if name.startswith("ours") else ""
        times = [f"{side[key]:.2f}" for key in ("median_delay_ms", "p95_delay_ms", "median_gap_ms")]
        rows.append((name, *times[:2], over, times[2], str(side["most_together"]), str(side["deltas"])))
    _table(console, f"a delta's way, every {GAP_MS} ms", columns, rows)


def _mixed(results: Figures, console: Console) -> None:
    rows = []
    for key in ("server_rss_mb", "cli_processes"):
        values = [sample[key] for sample in results["samples"]]
        rows.append((key, *(f"{value:.4g}" for value in (values[0], max(values), values[-1]))))
    _table(console, f"{sum(results['turns'].values())} mixed turns", ("first", "most", "last"), rows)
    console.print("{seconds:.0f} s, {per_second:.1f} turns a second".format(**results))


def _queue(results: Figures, console: Console) -> None:
    columns = ("seconds", "most processes", "most overtaken by")
    row = (str(results["requests"]), f"{results['seconds']:.0f}", *(str(results[key]) for key in _QUEUE))
    _table(console, "requests, 16 at once", columns, [row])


def _direct(results: Figures, console: Console) -> None:
    base = results[DIRECT]["median_ms"]
    rows = []
    for name, side in results.items():
        added = f"{side['median_ms'] - base:.2f}" if name != DIRECT else ""
        used = [f"{side[key]:.2f}" if key in side else "" for key in ("cpu_ms", "rss_mb")]
        rows.append((name, f"{side['median_ms']:.2f}", added, *used))
    columns = ("median ms", "over straight ms", "CPU ms a request", "memory MB")
    _table(console, "first byte with an API key", columns, rows)


def _apis(results: Figures, console: Console) -> None:
    columns = ("first delta, median ms", "x Chat", "whole, median ms", "x Chat")
    rows = [
        (
            name,
            f"{api['median_ms']:.2f}",
            f"{api['x_chat']:.3f}",
            f"{api['whole_ms']:.2f}",
            f"{api['whole_x_chat']:.3f}",
        )
        for name, api in results.items()
    ]
    _table(console, "next turn", columns, rows)


def _streams(results: Figures, console: Console) -> None:
    columns = ("whole", "most at once", "seconds", "memory before, MB", "most, MB")
    numbers = [f"{results[key]:.0f}" for key in ("seconds", "server_start_mb", "server_most_mb")]
    row = (str(results["streams"]), str(results["whole"]), str(results["most_open"]), *numbers)
    _table(console, "slow streams", columns, [row])


_QUEUE = ("most_processes", "most_overtaken")
_TABLES = {
    "first-delta": _first_delta,
    "throughput": _throughput,
    "streaming": _streaming,
    "direct": _direct,
    "apis": _apis,
    "apis-direct": _apis,
    "streams": _streams,
    "mixed": _mixed,
    "queue": _queue,
}
