# SPDX-License-Identifier: BSD-3-Clause
"""A report as flat rows, one per site: for pandas and for CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from ...data_frame import data_frame
from ...sample import STATUSES
from ...text import printable
from ..view import visible
from .columns import backlog

if TYPE_CHECKING:
    from ..durations import Durations
    from ..report import Report
    from ..site import SiteReport

_FIGURES = ("count", "total", "mean", "std", "min", "max", "first", "p50", "p95", "p99")
COLUMNS = (
    "path",
    "depth",
    "calls",
    *STATUSES,
    "lost",
    *(f"device_{figure}" for figure in _FIGURES),
    *(f"host_{figure}" for figure in _FIGURES),
    "self_time",
    "share",
    "shares_overlap",
    "bottleneck",
    "backlog",
)
_TEXTS = ("path", "bottleneck")


def to_pandas(report: Report) -> Any:
    """Return a pandas.DataFrame of the rows; see `Report.to_pandas`."""
    rows = _rows(report)
    return data_frame(
        {
            name: [
                math.nan if row[name] is None and name not in _TEXTS else row[name] for row in rows
            ]
            for name in COLUMNS
        }
    )


def as_csv(report: Report) -> str:
    """Return the rows as CSV with a heading. An unknown value is an empty cell."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in _rows(report):
        writer.writerow({**row, "path": printable(row["path"], len(row["path"]) + 1)})
    return file.getvalue()


def _rows(report: Report) -> list[dict[str, Any]]:
    overlap = report.shares_overlap
    return [{**_row(site, depth), "shares_overlap": overlap} for site, depth in visible(report)]


def _row(site: SiteReport, depth: int) -> dict[str, Any]:
    return {
        "path": site.path,
        "depth": depth,
        "calls": site.count,
        **{str(status): count for status, count in site.counts.items()},
        "lost": site.lost,
        **_figures("device", site.device),
        **_figures("host", site.host),
        "self_time": site.self_time,
        "share": site.share,
        "bottleneck": None if site.bottleneck is None else site.bottleneck.bound,
        "backlog": backlog(site),
    }


def _figures(kind: str, times: Durations | None) -> dict[str, float | None]:
    if times is None or not times.count:
        return {f"{kind}_{figure}": None for figure in _FIGURES} | {f"{kind}_count": 0}
    return {
        f"{kind}_{figure}": times.median if figure == "p50" else getattr(times, figure)
        for figure in _FIGURES
    }
