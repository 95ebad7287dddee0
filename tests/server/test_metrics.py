"""What Prometheus collects."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from scripted_server import NativeBackend, Running, ScriptedBackend, Serve
from telling_backend import TellingBackend

from claude_proxy import __version__
from claude_proxy.errors import UpstreamError
from claude_proxy.ledger.entry import Entry
from claude_proxy.server.exposition import exposition
from claude_proxy.server.metrics import Histogram, Metrics

Samples = dict[str, float]


def entry(status: int = 200, backend: str = "claude-cli", profile: str = "", first: float | None = 0.3) -> Entry:
    """Give a finished turn."""
    return Entry(0.0, "chat", backend, profile, "claude-opus-5-5", status, 4.0, None, first, 1, 2, None, 4)


def samples(text: str) -> Samples:
    """Read what is exposed, as a client library does: each value by its name and labels."""
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def collected(server: Running) -> Samples:
    """Collect once."""
    async with server.http.get(f"{server.url}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        return samples(await response.text())


async def test_requests_by_what_became_of_them(serve: Serve, backend: ScriptedBackend) -> None:
    """And their tokens, and how long they took."""
    backend.timings = {"first_byte": 0.3}
    server = await serve()
    async with server.chat() as response:
        await response.read()
    backend.entry = [UpstreamError("no")]
    async with server.message() as response:
        await response.read()
    told = await collected(server)
    requests = "claude_proxy_requests_total{backend=scripted,dialect=%s,model=claude-sonnet-5-5,status=%s}"
    assert told[requests % ("chat", "2xx")] == told[requests % ("messages", "5xx")] == 1
    tokens = {key: value for key, value in told.items() if key.startswith("claude_proxy_tokens_total")}
    assert tokens == {
        "claude_proxy_tokens_total{backend=scripted,kind=input,model=claude-sonnet-5-5}": 3,
        "claude_proxy_tokens_total{backend=scripted,kind=output,model=claude-sonnet-5-5}": 5,
    }
    first = "claude_proxy_first_byte_seconds_%s{backend=scripted,dialect=chat%s}"
    assert [told[first % ("bucket", f",le={bound}")] for bound in ("0.25", "0.5", "+Inf")] == [0, 1, 1]
    assert told[first % ("count", "")] == 1
    assert told[first % ("sum", "")] == pytest.approx(0.3)
    assert told["claude_proxy_request_seconds_count{backend=scripted,dialect=messages}"] == 1
    assert told["claude_proxy_open_requests{}"] == 0
    assert told[f"claude_proxy_info{{version={__version__}}}"] == 1


async def test_the_plan_and_the_pool(serve: Serve) -> None:
    """All phases, those that no process is in included; of the plan what was reported."""
    told = await collected(await serve(TellingBackend()))
    phases = {
        phase: told[f"claude_proxy_pool_processes{{backend=claude-cli/work,phase={phase}}}"]
        for phase in ("warm", "busy", "idle", "leaving")
    }
    assert phases == {"warm": 1, "busy": 1, "idle": 0, "leaving": 0}
    assert told["claude_proxy_pool_waiting{backend=claude-cli/work}"] == 2
    assert told["claude_proxy_pool_memory_bytes{backend=claude-cli/work}"] == 150_000_000
    windows = {key: value for key, value in told.items() if key.startswith("claude_proxy_plan_used_ratio")}
    assert windows == {"claude_proxy_plan_used_ratio{backend=claude-cli/work,window=five_hour}": 0.375}


async def test_names_that_somebody_made_up_are_one_label(serve: Serve) -> None:
    """Whether nobody has them or an upstream may know them: labels cost memory for ever."""
    server = await serve(ScriptedBackend(), NativeBackend())
    for number in range(5):
        for name in (f"nobody-{number}", f"claude-opus-7-{number}", f"work/claude-sonnet-8-{number}"):
            async with server.chat(model=name) as response:
                await response.read()
    told = await collected(server)
    labels = [re.search(r"model=([^,}]*)", key) for key in told]
    assert {found[1] for found in labels if found} == {"other"}
    statuses = {key: value for key, value in told.items() if key.startswith("claude_proxy_requests_total")}
    assert sum(statuses.values()) == 15


def test_a_value_on_a_bound_is_below_it() -> None:
    """As Prometheus has it: less or equal."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        histogram.observe(value)
    assert (histogram.counts, histogram.total) == ([2, 2, 1], 7.5)


def test_what_reached_no_backend_took_no_time() -> None:
    """It is counted, but would make all answers look quick."""
    metrics = Metrics()
    metrics.note(entry(404, backend=""), is_listed=False)
    assert list(metrics.requests) == [("chat", "", "other", "4xx")]
    assert not metrics.total


def test_a_profile_is_a_backend_of_its_own() -> None:
    """By the name that the answers' header has."""
    metrics = Metrics()
    metrics.note(entry(profile="work", first=None), is_listed=True)
    assert list(metrics.tokens.items()) == [
        (("claude-cli/work", "claude-opus-5-5", "input"), 1),
        (("claude-cli/work", "claude-opus-5-5", "output"), 2),
        (("claude-cli/work", "claude-opus-5-5", "cache_write"), 4),
    ]
    assert list(metrics.total) == [("chat", "claude-cli/work")]
    assert not metrics.first_byte


def test_nothing_has_happened_yet() -> None:
    """There is something to collect all the same: the process itself, where the platform tells of it."""
    told = samples(exposition(Metrics(), 3, {}).decode())
    assert told["claude_proxy_open_requests{}"] == 3
