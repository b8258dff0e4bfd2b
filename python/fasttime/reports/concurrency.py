# SPDX-License-Identifier: BSD-3-Clause
"""Whether the outermost scopes of a report ran at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Report

_TOLERANCE = 0.01  # scopes and the period are not read at the same moment


def root_time(report: Report) -> float:
    """Return the summed times of all root sites in seconds: device times if there are any."""
    on_device = any(site.device for site in report.walk())
    times = (site.device if on_device else site.host for site in report.sites)
    return sum(one.total for one in times if one is not None)


def roots_overlap(report: Report) -> bool:
    """Return whether root sites took longer than the period: then some of them overlap.

    The reports inside a merged report may have run at the same time, so each has a period of its
    own. Scopes that overlap for less time than the period has left cannot be told from others.
    """
    period = report.duration * report.parts
    return 0 < period * (1 + _TOLERANCE) < root_time(report) and not any(
        site.began_earlier for site in report.sites
    )
