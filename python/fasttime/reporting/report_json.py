# SPDX-License-Identifier: BSD-3-Clause
"""A report as data that JSON can hold."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from ..saving import series
from ..saving.documents import REPORT, VERSIONS
from .site_report import walk_with_parents

if TYPE_CHECKING:
    from ..environment import Environment
    from .durations import Durations
    from .looks import Looks
    from .report import Report
    from .site_report import SiteReport
    from .verdict import Verdict


def as_dict(report: Report) -> dict[str, Any]:
    """Return a report as nested dicts and lists; keys name their units, seconds throughout."""
    cost = report.cost
    return {
        "format": REPORT,
        "version": VERSIONS[REPORT],
        "date": report.date,
        "duration_s": _number(report.duration),
        "backend": report.backend,
        "backend_reason": report.backend_reason,
        "open": report.open,
        "pending": report.pending,
        "refused_sites": report.refused_sites,
        "failures": report.failures,
        "last_failure": report.last_failure,
        "scopes_were_compiled": report.scopes_were_compiled,
        "switched_off": report.switched_off,
        "interval": report.interval,
        "differs": list(report.differs),
        "estimated_cost": {"host_s": _number(cost.host), "device_s": _number(cost.device)},
        "doubts": [doubt._asdict() for doubt in report.doubts],
        "sites": _sites(report),
    }


def as_json(report: Report, environment: Environment) -> str:
    """Return the same as text, with the environment and what `fasttime.load` needs beside it."""
    whole = {**as_dict(report), "environment": dataclasses.asdict(environment)}
    for told, site in zip(whole["sites"], report.walk(), strict=True):
        for times, kind in ((site.host, "host"), (site.device, "device")):
            if times is not None and times.count:
                told[kind] |= series.to_content(times._plain())
    # ASCII alone: lone surrogates become escapes, which every reader takes.
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _sites(report: Report) -> list[dict[str, Any]]:
    """Flat, as a tree as deep as scopes can nest is more than JSON's readers take."""
    listed: list[dict[str, Any]] = []
    for site, parent in walk_with_parents(report.sites):
        depth = 0 if parent is None else listed[parent]["depth"] + 1
        listed.append(_site(site, depth, parent))
    return listed


def _site(site: SiteReport, depth: int, parent: int | None) -> dict[str, Any]:
    return {
        "path": site.path,
        "name": site.name,
        "depth": depth,
        "parent": parent,
        "calls": site.count,
        "counts": dict(site.counts),
        "shared_boundaries": site.shared_boundaries,
        "began_earlier": site.began_earlier,
        "share": _number(site.share),
        "self_s": _number(site.self_time),
        "device": None if site.device is None else _durations(site.device),
        "host": _durations(site.host) if site.host.count else None,
        "verdict": None if site.verdict is None else _verdict(site.verdict),
        "looks": _looks(site.looks),
    }


def _durations(times: Durations) -> dict[str, Any]:
    return {
        "count": times.count,
        "total_s": _number(times.total),
        "mean_s": _number(times.mean),
        "std_s": _number(times.std),
        "min_s": _number(times.min),
        "max_s": _number(times.max),
        "p50_s": _number(times.median),
        "p95_s": _number(times.p95),
        "p99_s": _number(times.p99),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "bound": verdict.bound,
        "backlog_s": _number(verdict.backlog),
        "looks": verdict.looks,
        "agreement": _number(verdict.agreement),
        "host_took_as_long": verdict.host_took_as_long,
    }


def _looks(looks: Looks) -> dict[str, Any]:
    told = looks._asdict()
    told["backlog_total_s"] = _number(told.pop("backlog_total"))
    return told


def _number(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None
