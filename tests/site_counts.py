# SPDX-License-Identifier: BSD-3-Clause
"""What a recorder has counted at each site."""

from __future__ import annotations

from fasttime import Recorder


def paths(recorder: Recorder) -> dict[str, int]:
    """Return the count of each site, by path."""
    return {site.path: site.count for site in recorder.report(wait=True).walk()}


def statuses(recorder: Recorder) -> dict[str, dict[str, int]]:
    """Return how many scopes had each status, by path; statuses without scopes are left out."""
    return {
        site.path: {status: count for status, count in site.counts.items() if count}
        for site in recorder.report(wait=True).walk()
    }
