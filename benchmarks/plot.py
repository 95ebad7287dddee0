"""The results as a picture. It is imported only where one is asked for."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

mpl.use("Agg")
Figures = dict[str, Any]


def save(results: Figures, file: Path) -> None:
    """Draw what was measured, a panel for each part, and write it as PNG; some parts have nothing to draw."""
    panels = [part for part in _PANELS if part in results]
    if not panels:
        return
    figure = Figure(figsize=(9, 3.5 * len(panels)), layout="constrained")
    figure.suptitle("{rounds} rounds, {cores} cores, claude {claude}".format(**results))
    for axes, part in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
        _PANELS[part](axes, results[part])
    figure.savefig(file, format="png", dpi=120)


def _bars(axes: Any, values: dict[str, float], label: str, **more: Any) -> None:
    colors = ["tab:orange" if name.startswith("ours") else "tab:gray" for name in values]
    bars = axes.barh(list(values), list(values.values()), color=colors, **more)
    axes.bar_label(bars, fmt="%.3g", padding=3, label_type="center" if more else "edge")
    axes.margins(x=0.1)
    axes.invert_yaxis()
    axes.set_xlabel(label)


def _first_delta(axes: Any, results: Figures) -> None:
    sides = results["sides"].items()
    below = [side["median_ms"] - side["least_ms"] for _, side in sides]
    above = [side["most_ms"] - side["median_ms"] for _, side in sides]
    axes.set_xscale("log")
    medians = {name: side["median_ms"] for name, side in sides}
    _bars(axes, medians, "ms to the first delta: median, least and most", xerr=[below, above], capsize=3)


def _throughput(axes: Any, results: Figures) -> None:
    _bars(axes, {name: kind["per_second"] for name, kind in results.items()}, "requests a second")


def _streaming(axes: Any, results: Figures) -> None:
    axes.boxplot([side["all_delays_ms"] for side in results.values()], vert=False)
    axes.set_yticks(range(1, len(results) + 1), list(results))
    axes.set_xlabel("ms that a delta is on its way")


def _mixed(axes: Any, results: Figures) -> None:
    turns = [sample["turns"] for sample in results["samples"]]
    axes.plot(turns, [sample["server_rss_mb"] for sample in results["samples"]], label="server, MB")
    axes.plot(turns, [sample["cli_processes"] for sample in results["samples"]], label="CLI processes")
    axes.set_xlabel("mixed turns")
    axes.set_ylim(bottom=0)
    axes.legend()


_PANELS = {"first-delta": _first_delta, "throughput": _throughput, "streaming": _streaming, "mixed": _mixed}
