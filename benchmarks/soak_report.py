"""A soak's figures as a table."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from soak_figures import Soaked, cpu_drift, drift, grown, settled, slope

_FIGURES = {
    "rss_mb": "memory, MB",
    "descriptors": "open files",
    "children": "CLI processes",
    "threads": "threads",
    "tasks": "tasks",
    "objects": "Python objects",
}


def show(runs: Mapping[str, Soaked], console: Console) -> None:
    """Print what each run came to."""
    for name, run in runs.items():
        _table(name, run, console)
        _lines(run, console)


def _table(name: str, run: Soaked, console: Console) -> None:
    *samples, last = run.samples
    table = Table()
    table.add_column(f"{last.requests} requests, {name}", no_wrap=True)
    for column in ("before", "after a quarter", "after all", "most", "clients gone", "more each 1,000"):
        table.add_column(column, justify="right")
    for key, title in _FIGURES.items():
        values = [getattr(one, key) for one in (samples[0], settled(samples)[0], samples[-1])]
        values += [max(getattr(one, key) for one in samples), getattr(last, key)]
        table.add_row(title, *(f"{value:,.4g}" if value < 1e4 else f"{value:,}" for value in values), _growth(run, key))
    console.print(table)


def _growth(run: Soaked, key: str) -> str:
    return f"{slope(run.samples[:-1], key) * 1000:+.3f}"


def _lines(run: Soaked, console: Console) -> None:
    *samples, last = run.samples
    console.print(
        f"{last.requests / (last.seconds or 1):.1f} requests a second; memory {_bytes(run):+.0f} bytes a request "
        "(least squares over the last three quarters)."
    )
    drifts = {"median": drift(samples, "p50_ms"), "95th percentile": drift(samples, "p95_ms")}
    told = [f"{what} {early:.1f} -> {late:.1f} ms" for what, (early, late) in drifts.items()]
    told.append("our CPU {:.2f} -> {:.2f} ms a request".format(*cpu_drift(samples)))
    console.print(f"From the second to the last quarter: {', '.join(told)}.")
    console.print(f"Answers: {', '.join(f'{count} x {status}' for status, count in sorted(run.statuses.items()))}.")
    console.print(f"Processes that outlived the server: {run.left}.")
    wrong = [f"  {count} x {what}" for what, count in run.errors.items()]
    console.print("\n".join([f"Wrong answers: {sum(run.errors.values())}", *wrong]), markup=False)
    more = ", ".join(f"{kind} {rate * 1000:+.0f}" for kind, rate in grown(samples).items())
    console.print(f"Objects more each 1,000 requests, by type: {more or 'none'}.")


def _bytes(run: Soaked) -> float:
    return slope(run.samples[:-1], "rss_mb") * 1e6
