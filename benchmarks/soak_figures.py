"""A soak's samples, and what they come to: whether anything grows."""

import json
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median, quantiles

from processes import children, cpu_ms, line_of, rss_mb
from setting import Setting
from soak_server import TOLD


@dataclass(frozen=True)
class Sample:
    """The server while nobody asks it anything, and how long the requests took since the sample before."""

    requests: int
    seconds: float
    rss_mb: float
    descriptors: int
    children: int
    threads: int
    cpu_ms: float
    """Of the server's own, since its start."""
    tasks: int
    objects: int
    kinds: dict[str, int]
    """How many objects there are of the most numerous types."""
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Soaked:
    """A whole run: a sample before it, many on the way, and one when the clients have gone."""

    samples: list[Sample]
    statuses: dict[int, int]
    errors: dict[str, int]
    """Answers that weren't what they must be, and how often each."""
    left: int = 0
    """How many of its processes outlived the server."""


async def sample(ready: Setting, requests: int, seconds: float, latencies: Sequence[float]) -> Sample:
    """Look at the server."""
    pid = ready.server_pid
    os.kill(pid, signal.SIGUSR1)
    inside = json.loads(await line_of(ready.process, TOLD))["inside"]
    proc = Path(f"/proc/{pid}")
    cuts = quantiles(latencies, n=20) if len(latencies) > 1 else [0.0] * 19
    return Sample(
        requests,
        seconds,
        rss_mb=rss_mb(pid),
        descriptors=len(list((proc / "fd").iterdir())),
        children=len(children(pid)),
        threads=len(list((proc / "task").iterdir())),
        cpu_ms=cpu_ms(pid),
        p50_ms=cuts[9] * 1000,
        p95_ms=cuts[18] * 1000,
        **inside,
    )


def settled(samples: Sequence[Sample]) -> list[Sample]:
    """Give those of the last three quarters: what is loaded when it is first needed isn't growth."""
    return [one for one in samples if one.requests >= samples[-1].requests / 4]


def slope(samples: Sequence[Sample], name: str) -> float:
    """Give by how much a figure grows with each request, by least squares; 0 where there is nothing to tell it by."""
    points = {one.requests: getattr(one, name) for one in settled(samples)}
    return linear_regression([*points], [*points.values()]).slope if len(points) > 1 else 0.0


def grown(samples: Sequence[Sample], most: int = 5) -> dict[str, float]:
    """Give the types of which there are more and more objects, and by how many with each request."""
    first, last = settled(samples)[0], samples[-1]
    requests = last.requests - first.requests
    more = Counter(last.kinds)
    more.subtract(first.kinds)
    return {kind: count / requests for kind, count in more.most_common(most) if count > 0} if requests else {}


def drift(samples: Sequence[Sample], name: str) -> tuple[float, float]:
    """Give the median of a figure in the second and in the last quarter."""
    values = [getattr(one, name) for one in settled(samples)]
    third = max(1, len(values) // 3)
    return median(values[:third]), median(values[-third:])


def cpu_drift(samples: Sequence[Sample]) -> tuple[float, float]:
    """Give the server's CPU ms for a request in the second and in the last quarter."""
    later = settled(samples)
    third = max(1, len(later) // 3)
    spans = (later[: third + 1], later[-third - 1 :])
    first, last = ((s[-1].cpu_ms - s[0].cpu_ms) / ((s[-1].requests - s[0].requests) or 1) for s in spans)
    return first, last
