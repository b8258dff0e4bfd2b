# SPDX-License-Identifier: BSD-3-Clause
"""One sentence about a table of ranks: who is slow, where, and how clearly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..text import format_seconds
from .rank_site import RankSite

# A difference below this part of the whole is left alone: ranks always differ a little.
_NOTABLE = 0.05
# Sites whose difference is at least this part of the largest difference may be the cause as well.
_ABOUT_AS_LARGE = 0.8

_WAITS_ARE_HIDDEN = (
    "A slow rank can hide in sites where ranks wait for each other. handle.steps() of "
    "fasttime.instrument() shows the wait for gradients apart from the backward pass."
)


def culprit(sites: Sequence[RankSite]) -> RankSite | None:
    """Return the site in which one rank costs the others most; None if no difference is notable.

    Sites count only if noise does not explain the difference, see `RankSite.slowest`. Waits do not
    count, because the slowest rank waits least. Of sites with about the same
    difference, the first one is the cause: ranks wait after the work, not before. Of that site and
    the sites inside it, the innermost one with the same slowest rank is returned.
    """
    candidates = [
        (position, site)
        for position, site in enumerate(sites)
        if not site.is_wait and not site.contains_wait and site.slowest is not None
    ]
    if not candidates:
        return None
    largest = max(site.weight for _, site in candidates)
    if largest == 0 or largest < _NOTABLE * _whole(sites):
        return None
    position, found = next(
        (position, site)
        for position, site in candidates
        if site.weight >= _ABOUT_AS_LARGE * largest
    )
    for inner, site in candidates:
        if (
            site.parent == position
            and site.slowest == found.slowest
            and site.weight >= _ABOUT_AS_LARGE * found.weight
        ):
            position, found = inner, site
    return found


def conclusion(
    sites: Sequence[RankSite], ranks: Sequence[int], host_names: Mapping[int, str]
) -> str:
    """Return the sentence below a table.

    Args:
        sites: the sites of the table.
        ranks: the ranks in the table.
        host_names: the machine of each rank, where known.
    """
    if len(ranks) < 2:
        return "There is only one rank, so there is nothing to compare."
    found = culprit(sites)
    if found is None or found.slowest is None:
        hint = "" if any(site.is_wait for site in sites) else f" {_WAITS_ARE_HIDDEN}"
        return (
            f"No rank stands out: in every site, the ranks differ by less than {_NOTABLE:.0%} of "
            f"the time, or by no more than chance explains.{hint}"
        )
    times = found.times
    others = sorted(time for rank, time in times.items() if rank != found.slowest)
    where = f" on {name}" if (name := _place(found.slowest, host_names)) else ""
    took = f"{format_seconds(found.max)} per call in {found.path}"
    rest = f"The other ranks take {_span(others)}."
    if len(others) > 1 and found.max - others[-1] <= others[-1] - others[0]:
        return (
            f"Several ranks differ: rank {found.slowest}{where} takes longest, {took}, but does "
            f"not stand out. {rest}"
        )
    return f"Rank {found.slowest}{where} is slowest: {took}. {rest}"


def ranks_text(ranks: Iterable[int]) -> str:
    """Return ranks as text, with ranges.

    >>> ranks_text([0, 1, 2, 5]), ranks_text([4])
    ('ranks 0-2, 5', 'rank 4')
    """
    ordered = sorted(ranks)
    parts: list[str] = []
    for run in np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1):
        first, last = int(run[0]), int(run[-1])
        parts.append(str(first) if first == last else f"{first}-{last}")
    return f"{'rank' if len(ordered) == 1 else 'ranks'} {', '.join(parts)}"


def _whole(sites: Sequence[RankSite]) -> float:
    """Return the time of the slowest rank in all root sites, in seconds."""
    return sum(
        site.max * float(np.median(list(site.calls.values())))
        for site in sites
        if site.parent is None
    )


def _place(rank: int, host_names: Mapping[int, str]) -> str:
    """Return the machine of a rank, if the ranks ran on several machines."""
    return host_names.get(rank, "") if len(set(host_names.values())) > 1 else ""


def _span(times: Sequence[float]) -> str:
    least, most = format_seconds(times[0]), format_seconds(times[-1])
    return least if least == most else f"{least} to {most}"
