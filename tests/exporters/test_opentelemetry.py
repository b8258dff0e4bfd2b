# SPDX-License-Identifier: BSD-3-Clause
"""Scopes through OpenTelemetry's own periodic reader, into an exporter that keeps them."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from simulated_cuda import Simulated

from fasttime import Recorder

metrics = pytest.importorskip("opentelemetry.sdk.metrics")
export = pytest.importorskip("opentelemetry.sdk.metrics.export")

from fasttime.exporters import opentelemetry  # noqa: E402

NEVER = 3600.0  # seconds: tests flush by hand
TIMES_US = [3, 40, 40, 900, 7_000, 250_000]
DELTA = export.AggregationTemporality.DELTA
CUMULATIVE = export.AggregationTemporality.CUMULATIVE


class InMemoryExporter(export.MetricExporter):  # type: ignore[misc]
    """Keeps every batch."""

    def __init__(self, temporality: Any = None) -> None:
        kinds = (metrics.Histogram, metrics.Counter)
        super().__init__(preferred_temporality=temporality and dict.fromkeys(kinds, temporality))
        self.batches: list[Any] = []

    def export(self, metrics_data: Any, timeout_millis: float = 0, **_: Any) -> Any:
        self.batches.append(metrics_data)
        return export.MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
        pass

    def metric(self, name: str) -> Any:
        """Return a metric of the last batch."""
        (found,) = (
            metric
            for resource in self.batches[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        )
        return found

    def points(self, name: str) -> dict[str, Any]:
        """Return the points of a metric of the last batch by site."""
        return {
            point.attributes["fasttime.site"]: point for point in self.metric(name).data.data_points
        }


@pytest.fixture(params=[None, DELTA], ids=["cumulative", "delta"])
def exporter(request: pytest.FixtureRequest) -> InMemoryExporter:
    return InMemoryExporter(request.param)


@pytest.fixture
def provider(exporter: InMemoryExporter, recorder: Recorder) -> Iterator[Any]:
    made = opentelemetry.start(exporter, interval=NEVER, recorder=recorder)
    yield made
    made.shutdown()


def run(cuda: Simulated, recorder: Recorder, name: str = "step") -> None:
    for us in TIMES_US:
        with recorder.scope(name):
            cuda.enqueue(0, us * 1000)
        cuda.advance(us * 1000)


def test_bucket_counts_equal_counts_below(
    cuda: Simulated, recorder: Recorder, exporter: InMemoryExporter, provider: Any
) -> None:
    run(cuda, recorder)
    provider.force_flush()
    site = recorder.report()["step"]
    for kind, times in (("device", site.device), ("host", site.host)):
        assert times is not None
        metric = exporter.metric(f"fasttime.scope.{kind}.duration")
        (point,) = metric.data.data_points
        assert metric.unit == "s"
        assert point.attributes == {"fasttime.site": "step"}
        assert tuple(point.explicit_bounds) == opentelemetry.BOUNDS
        below = list(itertools.accumulate(point.bucket_counts))
        assert below == [*times.counts_below(opentelemetry.BOUNDS), times.count]
        assert (point.count, point.min, point.max) == (6, times.min, times.max)
        assert point.sum == pytest.approx(times.total)
        assert point.start_time_unix_nano < point.time_unix_nano


def test_each_batch_says_what_its_exporter_prefers(
    cuda: Simulated, recorder: Recorder, exporter: InMemoryExporter, provider: Any
) -> None:
    run(cuda, recorder)
    provider.force_flush()
    before = exporter.points("fasttime.scope.device.duration")["step"]
    run(cuda, recorder)
    recorder.report(reset=True)  # a log's
    run(cuda, recorder, "other")
    provider.force_flush()
    metric = exporter.metric("fasttime.scope.device.duration")
    now = exporter.points("fasttime.scope.device.duration")
    is_delta = metric.data.aggregation_temporality == DELTA
    assert (now["step"].count, now["other"].count) == ((6, 6) if is_delta else (12, 6))
    begin_ns = before.time_unix_nano if is_delta else before.start_time_unix_nano
    assert now["step"].start_time_unix_nano == begin_ns
    scopes = exporter.metric("fasttime.scopes").data
    assert sum(point.value for point in scopes.data_points) == (12 if is_delta else 18)
    assert scopes.is_monotonic
    provider.force_flush()
    assert len(exporter.points("fasttime.scope.device.duration")) == (0 if is_delta else 2)


def test_a_reset_begins_again(
    cuda: Simulated, recorder: Recorder, exporter: InMemoryExporter, provider: Any
) -> None:
    run(cuda, recorder)
    provider.force_flush()
    before = exporter.points("fasttime.scope.device.duration")["step"]
    recorder.reset()
    run(cuda, recorder)
    provider.force_flush()
    now = exporter.points("fasttime.scope.device.duration")["step"]
    assert now.count == 6
    assert now.start_time_unix_nano >= before.time_unix_nano


def test_two_exporters_do_not_disturb_each_other(cuda: Simulated, recorder: Recorder) -> None:
    exporters = InMemoryExporter(DELTA), InMemoryExporter()
    providers = [opentelemetry.start(one, interval=NEVER, recorder=recorder) for one in exporters]
    for count in (1, 2):
        run(cuda, recorder)
        for one, provider in zip(exporters, providers, strict=True):
            provider.force_flush()
            expected = 6 if one is exporters[0] else 6 * count
            assert one.points("fasttime.scope.device.duration")["step"].count == expected
    for provider in providers:
        provider.shutdown()


def test_warnings_are_exported(
    recorder: Recorder, exporter: InMemoryExporter, provider: Any
) -> None:
    provider.force_flush()  # there are no scopes, but there is a warning
    points = exporter.metric("fasttime.warnings").data.data_points
    kinds = {warning.kind for warning in recorder.report().warnings}
    assert {point.attributes["fasttime.warning"] for point in points} == kinds
    assert "host_backend" in kinds


def test_your_own_metrics_and_resource_stay(recorder: Recorder) -> None:
    exporter = InMemoryExporter()
    reader = export.PeriodicExportingMetricReader(
        opentelemetry.ScopeExporter(exporter, recorder=recorder),
        export_interval_millis=1000 * NEVER,
    )
    provider = metrics.MeterProvider(metric_readers=[reader])
    provider.get_meter("mine").create_counter("requests").add(3)
    with recorder.scope("step"):
        pass
    provider.force_flush()
    assert exporter.metric("requests").data.data_points[0].value == 3
    assert exporter.points("fasttime.scope.host.duration")["step"].count == 1
    (batch,) = exporter.batches
    assert len(batch.resource_metrics) == 1
    provider.shutdown()


def test_the_console_exporter_can_write_the_batch(cuda: Simulated, recorder: Recorder) -> None:
    out = io.StringIO()
    console = export.ConsoleMetricExporter(out=out)
    provider = opentelemetry.start(console, interval=NEVER, recorder=recorder)
    run(cuda, recorder)
    provider.force_flush()
    batch = json.loads(out.getvalue())
    names = {
        metric["name"]
        for scope in batch["resource_metrics"][0]["scope_metrics"]
        for metric in scope["metrics"]
    }
    assert {"fasttime.scope.device.duration", "fasttime.scopes"} <= names
    provider.shutdown()
