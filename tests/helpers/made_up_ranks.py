# SPDX-License-Identifier: BSD-3-Clause
"""What ranks send, made up for tests."""

from __future__ import annotations

from collections.abc import Mapping

from fasttime import TimingWarning
from fasttime.ranks.summary import NO_TIMES, UNKNOWN, RankedSite, RankSummary, SiteColumns, Total

MS = 1_000_000  # nanoseconds


def summary(
    rank: int,
    times: Mapping[str, float],
    *,
    device: bool = True,
    calls: int = 10,
    spread_ms: float = 0.0,
    host_name: str = "node-1",
    source: str = "report",
    waits: tuple[str, ...] = (),
    warnings: tuple[TimingWarning, ...] = (),
) -> RankSummary:
    """Return the summary of a rank.

    Args:
        times: mean times in milliseconds by path, parents first. A slash begins a child.
        device: whether the times are device times. The host times are a tenth of them.
        spread_ms: the standard deviation of the calls of each site.
    """
    sites: list[RankedSite] = []
    places: dict[str, int] = {}
    for path, mean_ms in times.items():
        above, _, name = path.rpartition("/")
        total = round(mean_ms * MS) * calls
        error = UNKNOWN if calls == 1 else round(spread_ms * MS * calls**0.5)
        on_device = Total(calls, total, error) if device else NO_TIMES
        on_host = Total(calls, total // 10 if device else total, error)
        places[path] = len(sites)
        parent = places[above] if above else None
        sites.append(RankedSite(name, path, parent, on_host, on_device, path in waits))
    return RankSummary(rank, source, host_name, SiteColumns.of(sites), warnings)
