# SPDX-License-Identifier: BSD-3-Clause
"""Scopes over a real HTTP endpoint of prometheus-client, parsed by its own parser."""

from __future__ import annotations

import contextlib
import math
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from made_up_report import durations
from simulated_cuda import Simulated

from fasttime import Recorder
from fasttime.reports.bottleneck import BacklogChecks
from fasttime.reports.counts import SiteCounts
from fasttime.reports.totals import Totals

client = pytest.importorskip("prometheus_client")
parser = pytest.importorskip("prometheus_client.parser")

from fasttime.exporters import prometheus  # noqa: E402

Key = tuple[str, tuple[tuple[str, str], ...]]
Scrape = Callable[[], dict[Key, float]]
TIMES_US = [3, 40, 40, 900, 7_000, 250_000]


def key(name: str, **labels: str) -> Key:
    return name, tuple(sorted(labels.items()))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Any, str]]:
    """A registry and its address, for all tests: a server takes half a second to end."""
    registry = client.CollectorRegistry()
    server, thread = client.start_http_server(0, addr="127.0.0.1", registry=registry)
    yield registry, f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def registry(served: tuple[Any, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The registry, without the collectors of other tests."""
    registry, _ = served
    collectors = []
    register = registry.register
    monkeypatch.setattr(registry, "register", lambda one: (register(one), collectors.append(one)))
    yield registry
    for collector in collectors:
        with contextlib.suppress(KeyError):
            registry.unregister(collector)


@pytest.fixture
def scrape(served: tuple[Any, str]) -> Scrape:
    """Scrape the registry over HTTP and parse the page."""

    def read() -> dict[Key, float]:
        with urllib.request.urlopen(served[1]) as page:
            text = page.read().decode("utf-8")
        found = {}
        for family in parser.text_string_to_metric_families(text):
            for sample in family.samples:
                where = key(sample.name, **sample.labels)
                assert where not in found, f"{where} is there twice"
                found[where] = sample.value
        return found

    return read


def run(cuda: Simulated, recorder: Recorder, name: str = "step") -> None:
    """Time scopes that take TIMES_US on the device."""
    for us in TIMES_US:
        with recorder.scope(name):
            cuda.enqueue(0, us * 1000)
        cuda.advance(us * 1000)


def buckets(page: dict[Key, float], name: str, site: str) -> dict[float, float]:
    return {
        float(dict(labels)["le"]): value
        for (metric, labels), value in page.items()
        if metric == f"{name}_bucket" and dict(labels)["site"] == site
    }


@pytest.mark.parametrize("bounds", [prometheus.BOUNDS, (5e-6, 4.2e-5, 1e-3, 0.3)])
def test_counts_equal_counts_below(
    cuda: Simulated,
    recorder: Recorder,
    registry: Any,
    scrape: Scrape,
    bounds: tuple[float, ...],
) -> None:
    prometheus.register(registry, recorder=recorder, bounds=bounds)
    run(cuda, recorder)
    page = scrape()
    site = recorder.report()["step"]
    for kind, times in (("device", site.device), ("host", site.host)):
        assert times is not None
        expected = dict(zip(bounds, times.counts_below(bounds), strict=True))
        name = f"fasttime_{kind}_seconds"
        assert buckets(page, name, "step") == {**expected, math.inf: times.count}
        assert page[key(f"{name}_count", site="step")] == len(TIMES_US)
        assert page[key(f"{name}_sum", site="step")] == pytest.approx(times.total)
    assert page[key("fasttime_device_seconds_sum", site="step")] == pytest.approx(
        sum(TIMES_US) * 1e-6
    )


def test_the_default_bounds_go_from_1_us_to_100_s() -> None:
    assert prometheus.BOUNDS[:5] == (1e-6, 2e-6, 5e-6, 1e-5, 2e-5)
    assert prometheus.BOUNDS[-3:] == (20.0, 50.0, 100.0)
    assert len(prometheus.BOUNDS) == 25


@pytest.mark.parametrize("bounds", [(), (0.0, 1.0), (-1.0,), (2.0, 1.0), (1.0, 1.0), (math.inf,)])
def test_bad_bounds_are_refused(registry: Any, bounds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ascending numbers of seconds above 0"):
        prometheus.register(registry, bounds=bounds)


def test_scopes_are_counted_by_status(
    cuda: Simulated, recorder: Recorder, registry: Any, scrape: Scrape
) -> None:
    prometheus.register(registry, recorder=recorder)
    run(cuda, recorder)
    cuda.fail("cudaEventRecord", 400)
    with recorder.scope("step"):
        pass
    page = scrape()
    found = {
        dict(labels)["status"]: value
        for (name, labels), value in page.items()
        if name == "fasttime_scopes_total"
    }
    assert found == {"ok": 6, "failed": 1, "host_only": 0, "dropped": 0, "captured": 0}
    assert page[key("fasttime_warnings", kind="failed")] == 1


def test_readers_do_not_disturb_each_other(
    cuda: Simulated, recorder: Recorder, registry: Any, scrape: Scrape
) -> None:
    prometheus.register(registry, recorder=recorder)
    run(cuda, recorder)
    log = recorder.report(reset=True)
    first, second = scrape(), scrape()
    assert first == second
    run(cuda, recorder)
    run(cuda, recorder, "other")
    assert log["step"].count == 6
    last = scrape()
    assert last[key("fasttime_device_seconds_count", site="step")] == 12
    assert last[key("fasttime_device_seconds_count", site="other")] == 6
    assert last[key("fasttime_scopes_total", site="step", status="ok")] == 12
    assert recorder.report()["step"].count == 6  # the log still has its own interval


def test_a_reset_deletes_the_numbers(
    cuda: Simulated, recorder: Recorder, registry: Any, scrape: Scrape
) -> None:
    prometheus.register(registry, recorder=recorder)
    run(cuda, recorder)
    recorder.report(reset=True)
    recorder.reset()
    assert key("fasttime_device_seconds_count", site="step") not in scrape()


def test_sites_with_one_path_are_one_series(
    cuda: Simulated, recorder: Recorder, registry: Any, scrape: Scrape
) -> None:
    prometheus.register(registry, recorder=recorder)
    run(cuda, recorder, "a/b")
    with recorder.scope("a"):
        run(cuda, recorder, "b")
    page = scrape()  # fails if a series is there twice
    assert page[key("fasttime_device_seconds_count", site="a/b")] == 12


@pytest.mark.parametrize("name", ['"quoted"', "back\\slash", "line\nend", "µs", "\udc80"])
def test_odd_names_do_not_break_the_page(
    recorder: Recorder, registry: Any, scrape: Scrape, name: str
) -> None:
    prometheus.register(registry, recorder=recorder)
    with recorder.scope(name):
        pass
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    assert scrape()[key("fasttime_host_seconds_count", site=shown)] == 1


def test_a_second_collector_is_refused(registry: Any) -> None:
    collector = prometheus.register(registry)
    with pytest.raises(
        ValueError, match=r"fasttime_device_seconds.*registry\.unregister\(collector\)"
    ):
        prometheus.register(registry)
    registry.unregister(collector)
    prometheus.register(registry)


def test_backlogs_never_fall(cuda: Simulated, recorder: Recorder) -> None:
    """The sum of a host-bound site may fall by microseconds. Its counter must not."""
    totals = Totals()
    recorder._read_totals(totals)
    found = []
    for total in (0.5, 0.5 - 3e-6, 0.7):
        totals._advance_backlogs({"a": _with_backlog(total)})
        found.append(totals._backlogs["a"])
    assert found == pytest.approx([0.5, 0.5, 0.7 + 3e-6])


def _with_backlog(total: float) -> SiteCounts:
    return SiteCounts(
        name="a",
        counts={"ok": 1, "host_only": 0, "dropped": 0, "captured": 0, "failed": 0},
        host=durations(1, 1e-3),
        device=durations(1, 1e-3),
        checks=BacklogChecks(near=1, backlog_total=total),
        shared_boundaries=0,
        began_earlier=False,
    )


def test_the_backlog_is_a_summary(
    cuda: Simulated, recorder: Recorder, registry: Any, scrape: Scrape
) -> None:
    prometheus.register(registry, recorder=recorder)
    for _ in range(40):
        with recorder.scope("step"):
            cuda.enqueue(0, 1_000_000)
        cuda.advance(1_000_000)
    page = scrape()
    checks = recorder.report()["step"].checks
    assert checks.number > 0
    assert page[key("fasttime_backlog_seconds_count", site="step")] == checks.number
    assert page[key("fasttime_backlog_seconds_sum", site="step")] == pytest.approx(
        checks.backlog_total
    )
