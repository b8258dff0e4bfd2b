# SPDX-License-Identifier: BSD-3-Clause
"""A report as JSON, both ways. Keys name their units.

A file holds what was counted, exactly. Paths, shares, self times, bottlenecks and warnings are
written for readers and computed again when fasttime loads the file.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._native import Series
from ...documents import REPORT, VERSIONS, Fields
from ...environment.describe import Environment
from ...sample import STATUSES
from ..bottleneck import BacklogChecks
from ..build import Tally, build_sites
from ..counts import SiteCounts
from ..durations import Durations, merged
from ..site import walk_with_parents

if TYPE_CHECKING:
    from ...bottleneck import Bottleneck
    from ..report import Report
    from ..site import SiteReport

# Fields whose key and value in the file are the same as in the report, and how each is read.
_PLAIN: dict[str, Callable[[Fields, str], Any]] = {
    "date": Fields.text,
    "backend_reason": Fields.text,
    "open": Fields.count,
    "pending": Fields.count,
    "refused_sites": Fields.count,
    "failures": Fields.count,
    "last_failure": Fields.text,
    "scopes_were_compiled": Fields.flag,
    "switched_off": Fields.flag,
    "interval": Fields.text,
}
_SITE_PLAIN: dict[str, Callable[[Fields, str], Any]] = {
    "name": Fields.text,
    "shared_boundaries": Fields.count,
    "began_earlier": Fields.flag,
}
_HISTOGRAM = r"(\d{1,18}:\d{1,18}( \d{1,18}:\d{1,18})*)?"


def as_dict(report: Report) -> dict[str, Any]:
    """Return a report as nested dicts and lists of what JSON can hold."""
    return {
        "format": REPORT,
        "version": VERSIONS[REPORT],
        **{name: getattr(report, name) for name in _PLAIN},
        "backend": report.backend,
        "duration_s": _number(report.duration),
        "parts": report.parts,
        "differs": list(report.differs),
        "estimated_cost": {
            "host_s": _number(report.cost.host),
            "device_s": _number(report.cost.device),
        },
        "warnings": [warning.to_dict() for warning in report.warnings],
        "sites": _sites(report),
    }


def as_json(report: Report, environment: Environment) -> str:
    """Return the text of a file: the dict, the environment and what `from_content` needs."""
    whole = {**as_dict(report), "environment": dataclasses.asdict(environment)}
    for written, site in zip(whole["sites"], report.walk(), strict=True):
        for times, kind in ((site.host, "host"), (site.device, "device")):
            if times is not None and times.count:
                written[kind] |= _exact(times)
    # ASCII only: lone surrogates become escapes, which every reader accepts.
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def from_content(content: Fields) -> dict[str, Any]:
    """Return the fields of the report that a file holds.

    Raises ValueError, naming the field, if the content is not the content of a report.
    """
    duration = content.number("duration_s")
    if not math.isfinite(duration):
        raise content.wrong("duration_s", "finite")
    return {
        **{name: read(content, name) for name, read in _PLAIN.items()},
        "sites": build_sites(_tallies(content.objects("sites"))),
        "backend": content.choice("backend", ("cuda", "host", "mixed")),
        "duration": duration,
        "parts": content.count("parts", at_least=1),
        "differs": tuple(map(str, content.items("differs"))),
        "known_environment": Environment.from_fields(content.object("environment")),
    }


# --- Sites: a flat list, because a tree can be deeper than JSON readers allow ---


def _sites(report: Report) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for site, parent in walk_with_parents(report.sites):
        depth = 0 if parent is None else written[parent]["depth"] + 1
        written.append(_site(site, depth, parent))
    return written


def _site(site: SiteReport, depth: int, parent: int | None) -> dict[str, Any]:
    return {
        "path": site.path,
        **{name: getattr(site, name) for name in _SITE_PLAIN},
        "depth": depth,
        "parent": parent,
        "calls": site.count,
        "counts": dict(site.counts),
        "share": _number(site.share),
        "self_s": _number(site.self_time),
        "device": None if site.device is None else _durations(site.device),
        "host": _durations(site.host) if site.host.count else None,
        "bottleneck": None if site.bottleneck is None else _bottleneck(site.bottleneck),
        "checks": _checks(site.checks),
    }


def _tallies(sites: list[Fields]) -> list[Tally]:
    return [_tally(position, site) for position, site in enumerate(sites)]


def _tally(position: int, site: Fields) -> Tally:
    parent = None if site.is_null("parent") else site.count("parent")
    if parent is not None and parent >= position:
        raise site.wrong("parent", "the position of a site before this one")
    counts = site.object("counts")
    host, device = (
        None if site.is_null(kind) else _durations_from(site, kind) for kind in ("host", "device")
    )
    found = SiteCounts(
        **{name: read(site, name) for name, read in _SITE_PLAIN.items()},
        counts={status: counts.count(status) for status in STATUSES},
        host=host or merged(()),
        device=device,
        checks=_checks_from(site.object("checks")),
    )
    timed = device.count if device else 0
    if timed != found.counts["ok"]:
        raise counts.wrong("ok", f"the number of device times, {timed}")
    return Tally(parent, found)


# --- Durations: seconds for readers, whole nanoseconds and the histogram for loading ---


def _durations(times: Durations) -> dict[str, Any]:
    return {
        "count": times.count,
        "total_s": _number(times.total),
        "mean_s": _number(times.mean),
        "std_s": _number(times.std),
        "min_s": _number(times.min),
        "max_s": _number(times.max),
        "first_s": _number(times.first),
        "p50_s": _number(times.median),
        "p95_s": _number(times.p95),
        "p99_s": _number(times.p99),
    }


def _exact(times: Durations) -> dict[str, Any]:
    """Return the exact sums, and the histogram as ``bucket:count`` for each filled bucket.

    Bucket b holds durations of b ns up to 127. Above, each octave has 64 buckets.
    """
    _, total, squares, least, greatest = times._series.moments()
    pairs = zip(*(column.tolist() for column in times._series.histogram()), strict=True)
    return {
        "total_ns": total,
        "squares_ns2": squares,
        "min_ns": least,
        "max_ns": greatest,
        "first_ns": times._series.first_ns,
        "histogram": " ".join(f"{bucket}:{count}" for bucket, count in pairs),
    }


def _durations_from(site: Fields, kind: str) -> Durations:
    content = site.object(kind)
    text = content.text("histogram")
    if not re.fullmatch(_HISTOGRAM, text, re.ASCII) or len(text) > 10**6:
        raise content.wrong("histogram", "of the form bucket:count bucket:count")
    histogram = np.array([pair.split(":") for pair in text.split()], np.int64).reshape(-1, 2)
    moments = {
        "count": content.count("count", at_least=1),
        "total_ns": content.whole("total_ns"),
        "squares_ns2": content.count("squares_ns2"),
        "min_ns": content.whole("min_ns"),
        "max_ns": content.whole("max_ns"),
    }
    try:
        first = None if content.is_null("first_ns") else content.whole("first_ns")
        return Durations(
            Series(**moments, buckets=histogram[:, 0], counts=histogram[:, 1], first_ns=first)
        )
    except ValueError as error:
        raise site.wrong(kind, f"consistent ({error})") from None


# --- The bottleneck and its evidence ---


def _bottleneck(bottleneck: Bottleneck) -> dict[str, Any]:
    return {
        "bound": bottleneck.bound,
        "reason": bottleneck.reason,
        "backlog_s": _number(bottleneck.backlog),
        "checks": bottleneck.checks,
        "agreement": _number(bottleneck.agreement),
        "host_may_wait": bottleneck.host_may_wait,
    }


def _checks(checks: BacklogChecks) -> dict[str, Any]:
    written = checks._asdict()
    written["backlog_total_s"] = _number(written.pop("backlog_total"))
    return written


def _checks_from(content: Fields) -> BacklogChecks:
    backlog = content.number("backlog_total_s")
    if not math.isfinite(backlog):  # it may be below 0: the two clocks agree to within some us
        raise content.wrong("backlog_total_s", "finite")
    counts = {
        name: content.count(name) for name in BacklogChecks._fields if name != "backlog_total"
    }
    return BacklogChecks(**counts, backlog_total=backlog)


def _number(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None
