# SPDX-License-Identifier: BSD-3-Clause
"""A report from the content of a document. `Report.save` writes it, by `report_json`."""

from __future__ import annotations

from ..reporting.looks import Looks
from ..reporting.plain_series import PlainSeries
from ..reporting.report import Report
from ..reporting.report_building import build_sites
from ..reporting.series_sums import NOTHING
from ..reporting.site_tally import SiteTally
from ..sample import STATUSES
from . import environments, series
from .fields import Fields


def from_content(fields: Fields) -> Report:
    """Return the report that was written. Raises ValueError where there is none.

    What follows from what was counted (paths, shares, self times, verdicts, doubts) is worked out
    anew.
    """
    report = Report(
        sites=build_sites(_tallies(fields.objects("sites"))),
        backend=fields.choice("backend", ("cuda", "host", "mixed")),
        backend_reason=fields.text("backend_reason"),
        duration=fields.number("duration_s"),
        open=fields.count("open"),
        pending=fields.count("pending"),
        refused_sites=fields.count("refused_sites"),
        last_failure=fields.text("last_failure"),
        scopes_were_compiled=fields.flag("scopes_were_compiled"),
        switched_off=fields.flag("switched_off"),
        date=fields.text("date"),
        failures=fields.count("failures"),
        interval=fields.text("interval"),
        differs=tuple(map(str, fields.items("differs"))),
    )
    report.__dict__["environment"] = environments.from_content(fields.object("environment"))
    return report


def _tallies(sites: list[Fields]) -> list[SiteTally]:
    return [_tally(number, site) for number, site in enumerate(sites, 1)]


def _tally(number: int, site: Fields) -> SiteTally:
    parent = None if site.is_null("parent") else site.count("parent")
    if parent is not None and parent >= number - 1:
        raise site.wrong("parent", "the place of a site before this one")
    counts = site.object("counts")
    tally = SiteTally(
        number=number,
        parent=0 if parent is None else parent + 1,
        name=site.text("name"),
        counts={status: counts.count(status) for status in STATUSES},
        shared_boundaries=site.count("shared_boundaries"),
        host=_series(site, "host"),
        device=_series(site, "device"),
        looks=_looks(site.object("looks")),
        began_earlier=site.flag("began_earlier"),
    )
    if tally.device.count != tally.counts["ok"]:
        raise counts.wrong("ok", f"as many as there are device times, {tally.device.count}")
    return tally


def _series(site: Fields, name: str) -> PlainSeries:
    return NOTHING if site.is_null(name) else series.from_content(site.object(name))


def _looks(looks: Fields) -> Looks:
    backlog = looks.number("backlog_total_s")
    counts = {name: looks.count(name) for name in Looks._fields if name != "backlog_total"}
    return Looks(**counts, backlog_total=backlog)
