# SPDX-License-Identifier: BSD-3-Clause
"""Serve the statistics of scopes to Prometheus, through the library ``prometheus-client``.

from fasttime.exporters import prometheus
from prometheus_client import start_http_server

prometheus.register()
start_http_server(8000)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..optional import require
from ..recorder import Recorder, default_recorder
from ..reports.totals import Totals
from .buckets import BOUNDS, check_bounds

if TYPE_CHECKING:
    from ..reports.durations import Durations

_client = require("prometheus_client", __name__, "prometheus")
_core = require("prometheus_client.core", __name__, "prometheus")
_text = require("prometheus_client.utils", __name__, "prometheus")


def register(
    registry: Any = _client.REGISTRY,
    *,
    recorder: Recorder | None = None,
    bounds: Iterable[float] = BOUNDS,
) -> ScopeCollector:
    """Add a collector of all scopes to a registry of ``prometheus-client``, and return it.

        prometheus.register()

    Args:
        registry: the registry that you serve.
        recorder: whose scopes; the recorder behind ``fasttime.scope`` if None.
        bounds: the upper bounds of the buckets in seconds, ascending. The bucket ``+Inf`` is added.

    Each scrape reads a report and never waits for the device. See `ScopeCollector` for the metrics.
    ``registry.unregister(collector)`` removes the collector. With ``PROMETHEUS_MULTIPROC_DIR``, the
    library ignores collectors, so serve each process on a port of its own.

    Raises ValueError for bad bounds, and if the registry already has such a collector. Two
    recorders need two registries.
    """
    collector = ScopeCollector(recorder or default_recorder(), check_bounds(bounds))
    try:
        registry.register(collector)
    except ValueError as error:  # a name is taken
        raise ValueError(
            f"this registry already has metrics of fasttime ({error}); call register() once per "
            "registry, or first registry.unregister(collector) with the collector that register() "
            "returned"
        ) from error
    return collector


class ScopeCollector:
    """The statistics of a recorder as metrics. Times are in seconds; `site` is the path of a site.

    * ``fasttime_device_seconds{site}`` and ``fasttime_host_seconds{site}``: histograms. A site
      without device times has no device histogram. A duration within 1 % of a bound may be counted
      on either side of the bound.
    * ``fasttime_scopes_total{site, status}``: how many scopes ended, by status; see
      `fasttime.Sample`.
    * ``fasttime_backlog_seconds{site}``: a summary of how far the device was behind when the host
      left a scope. The rate of the sum over the rate of the count is the mean backlog.
    * ``fasttime_pending_scopes``: scopes that the device has not finished.
    * ``fasttime_warnings{kind}``: 1 for each kind of warning that the report has now.

    Numbers only grow, whatever ``report(reset=True)`` clears. So several scrapers and a log can
    read the same recorder. `Recorder.reset` deletes the numbers, which Prometheus takes for a
    restart of the process.
    """

    def __init__(self, recorder: Recorder, bounds: tuple[float, ...]) -> None:
        self._recorder = recorder
        self._bounds = bounds
        self._totals = Totals()
        recorder._read_totals(self._totals)

    def describe(self) -> Iterator[Any]:
        """Yield the metrics without numbers. The registry asks for them once, for their names."""
        return iter(self._families().values())

    def collect(self) -> Iterator[Any]:
        """Yield the metrics. Never waits for the device."""
        read = self._recorder._read_totals(self._totals)
        families = self._families()
        for path, site in read.sites.items():
            if site.host.count:
                self._add(families["host"], path, site.host)
            if site.device is not None:
                self._add(families["device"], path, site.device)
            for status, count in site.counts.items():
                families["scopes"].add_metric([path, status], count)
            if site.checks.number:
                families["backlog"].add_metric([path], site.checks.number, read.backlogs[path])
        families["pending"].add_metric([], read.report.pending)
        for kind in dict.fromkeys(warning.kind for warning in read.report.warnings):
            families["warnings"].add_metric([kind], 1)
        return iter(families.values())

    def _add(self, family: Any, path: str, times: Durations) -> None:
        below = times.counts_below(self._bounds)
        names = [*map(_text.floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(names, [*below, times.count], strict=True))
        family.add_metric([path], buckets, times.total)

    def _families(self) -> dict[str, Any]:
        return {
            "device": _core.HistogramMetricFamily(
                "fasttime_device_seconds", "Time of a scope on the device.", labels=["site"]
            ),
            "host": _core.HistogramMetricFamily(
                "fasttime_host_seconds", "Time of a scope on the host.", labels=["site"]
            ),
            "scopes": _core.CounterMetricFamily(
                "fasttime_scopes", "Scopes that ended, by status.", labels=["site", "status"]
            ),
            "backlog": _core.SummaryMetricFamily(
                "fasttime_backlog_seconds",
                "How far the device was behind when the host left a scope.",
                labels=["site"],
            ),
            "pending": _core.GaugeMetricFamily(
                "fasttime_pending_scopes",
                "Scopes that have ended but that the device has not finished.",
                labels=[],
            ),
            "warnings": _core.GaugeMetricFamily(
                "fasttime_warnings",
                "1 for each kind of warning about these numbers.",
                labels=["kind"],
            ),
        }
