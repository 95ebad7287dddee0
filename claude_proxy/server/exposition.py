"""Renders ``/metrics`` in Prometheus' text format. Imported when somebody asks for it: most never do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from claude_proxy import __version__
from claude_proxy.backends.base import ProcessPool, Snapshot
from claude_proxy.server.metrics import Histogram, Metrics

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]

_PLACE = ("dialect", "backend")


def exposition(metrics: Metrics, open_requests: int, snapshots: Mapping[str, Snapshot]) -> bytes:
    """Render what was counted, and how things are now: the turns under way, and a snapshot of each backend by name."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)  # of this process; on Linux only
    registry.register(_Collector(metrics, open_requests, snapshots))
    return generate_latest(registry)


@dataclass(frozen=True, slots=True, eq=False)
class _Collector(Collector):
    metrics: Metrics
    open_requests: int
    snapshots: Mapping[str, Snapshot]

    def describe(self) -> Iterable[Metric]:
        # Nothing is registered beside it whose names could clash.
        return ()

    def collect(self) -> Iterable[Metric]:
        info = GaugeMetricFamily("claude_proxy_info", "The server's version.", labels=("version",))
        info.add_metric((__version__,), 1)
        yield info
        yield from self._turns()
        yield from self._pools()
        yield from self._plans()

    def _turns(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "claude_proxy_requests", "Finished requests for a turn.", labels=(*_PLACE, "model", "status")
        )
        for labels, count in self.metrics.requests.items():
            requests.add_metric(labels, count)
        yield requests
        tokens = CounterMetricFamily(
            "claude_proxy_tokens", "Tokens as the upstreams counted them.", labels=("backend", "model", "kind")
        )
        for kinds, count in self.metrics.tokens.items():
            tokens.add_metric(kinds, count)
        yield tokens
        first_byte = "From asking a backend to its first byte."
        yield _histogram("claude_proxy_first_byte_seconds", first_byte, self.metrics.first_byte)
        yield _histogram("claude_proxy_request_seconds", "From the request to the answer's end.", self.metrics.total)
        yield GaugeMetricFamily("claude_proxy_open_requests", "Turns under way.", value=self.open_requests)

    def _pools(self) -> Iterable[Metric]:
        processes = GaugeMetricFamily(
            "claude_proxy_pool_processes", "CLI processes by what they do.", labels=("backend", "phase")
        )
        waiting = GaugeMetricFamily(
            "claude_proxy_pool_waiting", "Requests that wait for a CLI process.", labels=("backend",)
        )
        memory = GaugeMetricFamily(
            "claude_proxy_pool_memory_bytes", "Memory of all CLI processes.", labels=("backend",)
        )
        for backend, pool in self._of_pools():
            counts = Counter(process.phase for process in pool.processes)
            for phase in pool.phases:
                processes.add_metric((backend, phase), counts[phase])
            waiting.add_metric((backend,), pool.waiting)
            memory.add_metric((backend,), sum(process.memory_bytes for process in pool.processes))
        yield from (processes, waiting, memory)

    def _of_pools(self) -> Iterable[tuple[str, ProcessPool]]:
        return ((name, shot.pool) for name, shot in self.snapshots.items() if shot.pool is not None)

    def _plans(self) -> Iterable[Metric]:
        used = GaugeMetricFamily(
            "claude_proxy_plan_used_ratio", "What of a plan's window is used, 0 to 1.", labels=("backend", "window")
        )
        for backend, shot in self.snapshots.items():
            for window in shot.plan.windows if shot.plan is not None else ():
                if window.used is not None:
                    used.add_metric((backend, window.name), window.used)
        yield used


def _histogram(name: str, meaning: str, by_place: Mapping[tuple[str, str], Histogram]) -> Metric:
    family = HistogramMetricFamily(name, meaning, labels=_PLACE)
    for labels, histogram in by_place.items():
        bounds = [*map(str, histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric(labels, buckets, histogram.total)
    return family
