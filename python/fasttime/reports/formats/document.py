# SPDX-License-Identifier: BSD-3-Clause
"""A report as JSON, both ways. Keys name their units.

A file holds what was counted, exactly. Paths, shares, self times, bottlenecks and warnings are
written for readers and computed again when fasttime loads the file.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...documents import REPORT, VERSIONS, Fields
from ...environment.describe import Environment
from ...sample import STATUSES
from ..bottleneck import BacklogChecks
from ..build import Tally, build_sites
from ..counts import SiteCounts
from ..durations import merged
from ..site import walk_with_parents
from .durations_document import as_content, durations_from, exact_content, finite

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
    "captured_reason": Fields.text,
    "overlapping_parts": Fields.flag,
}
_SITE_PLAIN: dict[str, Callable[[Fields, str], Any]] = {
    "name": Fields.text,
    "shared_boundaries": Fields.count,
    "began_earlier": Fields.flag,
    "lost": Fields.count,
}


def as_dict(report: Report) -> dict[str, Any]:
    """Return a report as nested dicts and lists of what JSON can hold."""
    return {
        "format": REPORT,
        "version": VERSIONS[REPORT],
        **{name: getattr(report, name) for name in _PLAIN},
        "backend": report.backend,
        "duration_s": finite(report.duration),
        "parts": report.parts,
        "differs": list(report.differs),
        "shares_overlap": report.shares_overlap,
        "estimated_cost": {
            "host_s": finite(report.cost.host),
            "device_s": finite(report.cost.device),
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
                written[kind] |= exact_content(times)
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
        "share": finite(site.share),
        "self_s": finite(site.self_time),
        "device": None if site.device is None else as_content(site.device),
        "host": as_content(site.host) if site.host.count else None,
        "bottleneck": None if site.bottleneck is None else _bottleneck(site.bottleneck),
        "checks": checks_content(site.checks),
    }


def _tallies(sites: list[Fields]) -> list[Tally]:
    return [_tally(position, site) for position, site in enumerate(sites)]


def _tally(position: int, site: Fields) -> Tally:
    parent = None if site.is_null("parent") else site.count("parent")
    if parent is not None and parent >= position:
        raise site.wrong("parent", "the position of a site before this one")
    counts = site.object("counts")
    host, device = (
        None if site.is_null(kind) else durations_from(site, kind) for kind in ("host", "device")
    )
    found = SiteCounts(
        **{name: read(site, name) for name, read in _SITE_PLAIN.items()},
        counts={status: counts.count(status) for status in STATUSES},
        host=host or merged(()),
        device=device,
        checks=checks_from(site.object("checks")),
    )
    timed = device.count if device else 0
    if timed != found.counts["ok"]:
        raise counts.wrong("ok", f"the number of device times, {timed}")
    return Tally(parent, found)


# --- The bottleneck and its evidence ---


def _bottleneck(bottleneck: Bottleneck) -> dict[str, Any]:
    return {
        "bound": bottleneck.bound,
        "reason": bottleneck.reason,
        "backlog_s": finite(bottleneck.backlog),
        "checks": bottleneck.checks,
        "agreement": finite(bottleneck.agreement),
        "host_may_wait": bottleneck.host_may_wait,
    }


def checks_content(checks: BacklogChecks) -> dict[str, Any]:
    """Return the evidence for a bottleneck as a dict. `checks_from` reads it again."""
    written = checks._asdict()
    written["backlog_total_s"] = finite(written.pop("backlog_total"))
    return written


def checks_from(content: Fields) -> BacklogChecks:
    """Return the evidence that `checks_content` wrote. Raises ValueError, naming the field."""
    backlog = content.number("backlog_total_s")
    if not math.isfinite(backlog):  # it may be below 0: the two clocks agree to within some us
        raise content.wrong("backlog_total_s", "finite")
    counts = {
        name: content.count(name) for name in BacklogChecks._fields if name != "backlog_total"
    }
    return BacklogChecks(**counts, backlog_total=backlog)
