# SPDX-License-Identifier: BSD-3-Clause
"""Send the statistics of scopes through OpenTelemetry, with any metric exporter.

from fasttime.exporters import opentelemetry
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

opentelemetry.start(OTLPMetricExporter())
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._version import __version__
from ..optional import require
from ..recorder import Recorder, default_recorder
from ..reports.counts import SiteCounts, counts_since, nothing_counted
from ..reports.totals import Totals
from .buckets import BOUNDS, check_bounds

if TYPE_CHECKING:
    from ..reports.durations import Durations
    from ..reports.totals import TotalsRead

_sdk = require("opentelemetry.sdk.metrics", __name__, "opentelemetry")
_export = require("opentelemetry.sdk.metrics.export", __name__, "opentelemetry")
_util = require("opentelemetry.sdk.util.instrumentation", __name__, "opentelemetry")
_api = require("opentelemetry.metrics", __name__, "opentelemetry")

_SITE = "fasttime.site"


def start(
    exporter: Any,
    *,
    interval: float | None = None,
    recorder: Recorder | None = None,
    bounds: Iterable[float] = BOUNDS,
) -> Any:
    """Export all scopes at intervals, and return the ``MeterProvider`` that does so.

        provider = opentelemetry.start(exporter)
        ...
        provider.shutdown()  # exports once more; also happens at exit

    Args:
        exporter: any ``MetricExporter`` of OpenTelemetry.
        interval: seconds between exports; ``OTEL_METRIC_EXPORT_INTERVAL`` or 60 s if None.
        recorder: whose scopes; the recorder behind ``fasttime.scope`` if None.
        bounds: the upper bounds of the buckets in seconds, ascending.

    A thread of OpenTelemetry reads the statistics and never waits for the device. If you have a
    ``MeterProvider`` already, wrap its exporter in a `ScopeExporter` instead. Raises ValueError for
    bad bounds.
    """
    scopes = ScopeExporter(exporter, recorder=recorder, bounds=bounds)
    reader = _export.PeriodicExportingMetricReader(
        scopes, export_interval_millis=None if interval is None else 1000 * interval
    )
    provider = _sdk.MeterProvider(metric_readers=[reader])
    # OpenTelemetry does not call the exporter unless there is an instrument with a value.
    provider.get_meter("fasttime", __version__).create_observable_gauge(
        "fasttime.pending_scopes",
        [lambda _: [_api.Observation(scopes.pending())]],
        unit="{scope}",
        description="Scopes that have ended but that the device has not finished.",
    )
    return provider


_MetricExporter: Any = _export.MetricExporter


class ScopeExporter(_MetricExporter):  # type: ignore[misc]
    """Adds the statistics of all scopes to each batch that another exporter sends.

        reader = PeriodicExportingMetricReader(ScopeExporter(OTLPMetricExporter()))

    Args:
        exporter: the exporter that sends the batches.
        recorder: whose scopes; the recorder behind ``fasttime.scope`` if None.
        bounds: the upper bounds of the buckets in seconds, ascending.

    ``fasttime.scope.device.duration`` and ``fasttime.scope.host.duration`` are histograms in
    seconds, with the attribute ``fasttime.site``. ``fasttime.scopes`` counts scopes by site and
    ``fasttime.status``. ``fasttime.backlog.duration`` over ``fasttime.backlog.checks`` is the mean
    backlog of a site. ``fasttime.warnings`` is 1 for each kind of warning.

    The bucket counts equal `Durations.counts_below`. Numbers are cumulative, or deltas if the
    exporter prefers deltas. They do not depend on other readers, even if these call
    ``report(reset=True)``. OpenTelemetry sends a batch only if some instrument has a value; `start`
    takes care of that.
    """

    def __init__(
        self,
        exporter: Any,
        *,
        recorder: Recorder | None = None,
        bounds: Iterable[float] = BOUNDS,
    ) -> None:
        preferred = exporter._preferred_temporality  # every MetricExporter has both
        super().__init__(
            preferred_temporality=preferred, preferred_aggregation=exporter._preferred_aggregation
        )
        self._exporter = exporter
        self._recorder = recorder or default_recorder()
        self._bounds = check_bounds(bounds)
        self._totals = Totals()
        self._durations = _Since((preferred or {}).get(_sdk.Histogram))
        self._counters = _Since((preferred or {}).get(_sdk.Counter))
        self._recorder._read_totals(self._totals)

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **others: Any) -> Any:
        """Send a batch and the statistics of all scopes. Never waits for the device."""
        added = _export.ScopeMetrics(
            scope=_util.InstrumentationScope("fasttime", __version__),
            metrics=list(self._metrics()),
            schema_url="",
        )
        first, *further = metrics_data.resource_metrics
        first = _export.ResourceMetrics(
            resource=first.resource,
            scope_metrics=[*first.scope_metrics, added],
            schema_url=first.schema_url,
        )
        batch = _export.MetricsData(resource_metrics=[first, *further])
        return self._exporter.export(batch, timeout_millis=timeout_millis, **others)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Send what the other exporter has not sent yet."""
        return bool(self._exporter.force_flush(timeout_millis))

    def shutdown(self, timeout_millis: float = 30_000, **others: Any) -> None:
        """Shut the other exporter down."""
        self._exporter.shutdown(timeout_millis, **others)

    def pending(self) -> int:
        """Return how many scopes have ended but are not finished on the device."""
        return self._recorder.report().pending

    def _metrics(self) -> Iterator[Any]:
        now_ns = time.time_ns()
        read = self._recorder._read_totals(self._totals)
        durations = self._durations.next(read, now_ns)
        for kind in ("device", "host"):
            points = [
                self._point(path, times, durations.begin_ns, now_ns)
                for path, site in durations.sites.items()
                if (times := getattr(site, kind)) is not None and times.count
            ]
            data = _export.Histogram(points, durations.temporality)
            name = f"fasttime.scope.{kind}.duration"
            yield _export.Metric(name, f"Time of a scope on the {kind}.", "s", data)
        yield from self._sums(self._counters.next(read, now_ns), now_ns)
        kinds = dict.fromkeys(warning.kind for warning in read.report.warnings)
        points = [
            _export.NumberDataPoint({"fasttime.warning": kind}, read.begin_ns, now_ns, 1)
            for kind in kinds
        ]
        about = "1 for each kind of warning about these numbers."
        yield _export.Metric("fasttime.warnings", about, "1", _export.Gauge(points))

    def _point(self, path: str, times: Durations, begin_ns: int, now_ns: int) -> Any:
        below = [0, *times.counts_below(self._bounds), times.count]
        return _export.HistogramDataPoint(
            attributes={_SITE: path},
            start_time_unix_nano=begin_ns,
            time_unix_nano=now_ns,
            count=times.count,
            sum=times.total,
            bucket_counts=[high - low for low, high in itertools.pairwise(below)],
            explicit_bounds=list(self._bounds),
            min=times.min,
            max=times.max,
        )

    def _sums(self, part: _Part, now_ns: int) -> Iterator[Any]:
        def metric(name: str, about: str, unit: str, values: Iterable[Any]) -> Any:
            points = [
                _export.NumberDataPoint(attributes, part.begin_ns, now_ns, value)
                for attributes, value in values
            ]
            data = _export.Sum(points, part.temporality, is_monotonic=True)
            return _export.Metric(name, about, unit, data)

        yield metric(
            "fasttime.scopes",
            "Scopes that ended.",
            "{scope}",
            (
                ({_SITE: path, "fasttime.status": status}, count)
                for path, site in part.sites.items()
                for status, count in site.counts.items()
            ),
        )
        checked = {path: site for path, site in part.sites.items() if site.checks.number}
        yield metric(
            "fasttime.backlog.checks",
            "How often the backlog was checked.",
            "{check}",
            (({_SITE: path}, site.checks.number) for path, site in checked.items()),
        )
        yield metric(
            "fasttime.backlog.duration",
            "How far the device was behind when the host left a scope, added up.",
            "s",
            (({_SITE: path}, part.backlogs[path]) for path in checked),
        )


class _Part(NamedTuple):
    """What one batch says.

    Attributes:
        sites: the counts by path.
        backlogs: the sums of backlogs by path, in seconds.
        begin_ns: when counting began, in nanoseconds of `time.time_ns`.
        temporality: cumulative, or delta.
    """

    sites: Mapping[str, SiteCounts]
    backlogs: Mapping[str, float]
    begin_ns: int
    temporality: Any


class _Since:
    """Counts since the last batch if the exporter prefers deltas, otherwise all counts."""

    def __init__(self, preferred: Any) -> None:
        temporality = _export.AggregationTemporality
        self._temporality = preferred or temporality.CUMULATIVE
        self._is_delta = self._temporality == temporality.DELTA
        self._last: tuple[TotalsRead, int] | None = None

    def next(self, read: TotalsRead, now_ns: int) -> _Part:
        """Return what the next batch says.

        Args:
            read: the totals.
            now_ns: the time of the batch, in nanoseconds of `time.time_ns`.
        """
        last, self._last = self._last, (read, now_ns)
        if not self._is_delta or last is None or last[0].generation != read.generation:
            return _Part(read.sites, read.backlogs, read.begin_ns, self._temporality)
        before, begin_ns = last
        new = {
            path: counts_since(site, before.sites.get(path) or nothing_counted(path), 0.0)
            for path, site in read.sites.items()
        }
        return _Part(
            {path: site for path, site in new.items() if any(site.counts.values())},
            {path: sum_ - before.backlogs.get(path, 0.0) for path, sum_ in read.backlogs.items()},
            begin_ns,
            self._temporality,
        )
