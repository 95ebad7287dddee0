"""A soak as a picture. It is imported only where one is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from soak_figures import Sample, Soaked

mpl.use("Agg")
_PANELS = {
    "memory, MB": {"rss_mb": "server"},
    "how many": {
        "descriptors": "open files",
        "tasks": "tasks",
        "threads": "threads",
        "children": "CLI processes",
    },
    "ms": {"p95_ms": "95th percentile", "p50_ms": "median"},
}


def save(runs: Mapping[str, Soaked], file: Path) -> None:
    """Draw a column for each run, and write it as PNG."""
    figure = Figure(figsize=(6 * len(runs), 9), layout="constrained")
    every = figure.subplots(len(_PANELS), len(runs), squeeze=False, sharex="col")
    for number, (name, run) in enumerate(runs.items()):
        samples = run.samples[1:-1]
        for axes, (label, lines) in zip(every[:, number], _PANELS.items(), strict=True):
            _draw(axes, samples, lines)
            axes.set_ylabel(label)
        every[0, number].set_title(f"{samples[-1].requests:,} requests, {name}")
        every[-1, number].set_xlabel("requests")
    figure.savefig(file, format="png", dpi=120)


def _draw(axes: Any, samples: list[Sample], lines: dict[str, str]) -> None:
    requests = [one.requests for one in samples]
    for key, label in lines.items():
        axes.plot(requests, [getattr(one, key) for one in samples], label=label)
    axes.margins(y=0.25)  # room for the legend
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right", ncols=len(lines), frameon=False)
