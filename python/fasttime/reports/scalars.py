# SPDX-License-Identifier: BSD-3-Clause
"""A report as a flat dict of numbers, for experiment trackers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from . import by_path
from .counts import merge_counts

if TYPE_CHECKING:
    from .counts import SiteCounts
    from .report import Report

# MLflow takes letters, digits and these, and refuses keys that a file system would shorten.
_ODD = re.compile(r"[^\w.\- ]")


def scalars_of(report: Report, prefix: str) -> dict[str, float]:
    """Return the figures of every site by key; see `Report.scalars`."""
    alike: dict[str, list[SiteCounts]] = {}
    for path, site in by_path.of_report(report).items():
        alike.setdefault(_key(path), []).append(site)
    found: dict[str, float] = {}
    for key, sites in alike.items():
        site = merge_counts(sites)
        found[f"{prefix}{key}/calls"] = sum(site.counts.values())
        for kind, times in (("device", site.device), ("host", site.host)):
            if times is not None and times.count:
                for name, seconds in (
                    ("mean", times.mean),
                    ("p50", times.median),
                    ("p95", times.p95),
                    ("p99", times.p99),
                ):
                    found[f"{prefix}{key}/{kind}_{name}"] = seconds
    found[f"{prefix}warnings"] = len(report.warnings)
    return found


def _key(path: str) -> str:
    """Return a path whose every part is a plain name."""
    parts = (_ODD.sub("_", part) for part in path.split("/"))
    return "/".join("_" if not part.strip(". ") else part for part in parts)
