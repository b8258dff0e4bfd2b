# SPDX-License-Identifier: BSD-3-Clause
"""Which sites a printed report shows, and in which order."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .site import walk_with_depth

if TYPE_CHECKING:
    from .report import Report
    from .site import SiteReport

# What a report can be sorted by, greatest first. Times come from `SiteReport.time`.
_KEYS: dict[str, Callable[[SiteReport], float | None]] = {
    "total": lambda site: site.time.total,
    "self": lambda site: site.self_time,
    "calls": lambda site: site.count,
    "mean": lambda site: site.time.mean,
    "p50": lambda site: site.time.median,
    "p95": lambda site: site.time.p95,
    "p99": lambda site: site.time.p99,
    "max": lambda site: site.time.max,
    "host": lambda site: site.host.total,
    "share": lambda site: site.share,
}


@dataclass(frozen=True)
class View:
    """How a report is shown; see `Report.view`."""

    sort: str | None = None
    top: int | None = None
    min_share: float = 0.0
    title: str = ""

    def __post_init__(self) -> None:
        if self.sort is not None and self.sort not in _KEYS:
            close = difflib.get_close_matches(str(self.sort), _KEYS, n=1)
            guess = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"sort must be one of {', '.join(_KEYS)}, got {self.sort!r}{guess}")
        if self.top is not None and (type(self.top) is not int or self.top < 1):
            raise ValueError(f"top must be a number of sites, 1 or more, got {self.top!r}")
        if not isinstance(self.min_share, (int, float)) or not 0 <= self.min_share <= 1:
            raise ValueError(
                f"min_share must lie between 0 and 1, 0.01 for 1 %, got {self.min_share!r}"
            )
        if not isinstance(self.title, str):
            raise TypeError(f"title must be a str, got {self.title!r}")


def visible(report: Report, most: int | None = None) -> list[tuple[SiteReport, int]]:
    """Return the sites to show with their depths, parents first, siblings in the view's order.

    Args:
        report: its `shown_as` is the view.
        most: the most sites to return. The sites with the greatest total are kept.
    """
    view = report.shown_as
    if view == View() and most is None:
        return list(walk_with_depth(report.sites))
    key = _KEYS[view.sort or "total"]
    sites = list(report.walk())
    chosen = [site for site in sites if view.min_share <= (site.share or 0.0)]
    if view.top is not None:
        chosen = sorted(chosen, key=lambda site: -_number(key(site)))[: view.top]
    shown = _with_parents(sites, {id(site) for site in chosen})
    if most is not None and len(shown) > most:
        shown = _heaviest(sites, shown, most)
    return _walk(report, shown, key if view.sort else None)


def _number(value: float | None) -> float:
    return -math.inf if value is None else value


def _with_parents(sites: list[SiteReport], chosen: set[int]) -> set[int]:
    shown = set(chosen)
    for site in reversed(sites):  # children first
        if any(id(child) in shown for child in site.children):
            shown.add(id(site))
    return shown


def _heaviest(sites: list[SiteReport], shown: set[int], most: int) -> set[int]:
    weights: dict[int, float] = {}  # a site weighs at least as much as its heaviest child
    for site in reversed(sites):
        weights[id(site)] = max([site.time.total, *(weights[id(s)] for s in site.children)])
    # The sort is stable, so children stay behind their parents.
    ranked = sorted((id(site) for site in sites if id(site) in shown), key=lambda i: -weights[i])
    return set(ranked[:most])


def _walk(
    report: Report, shown: set[int], key: Callable[[SiteReport], float | None] | None
) -> list[tuple[SiteReport, int]]:
    def siblings(sites: tuple[SiteReport, ...]) -> list[SiteReport]:
        kept = [site for site in sites if id(site) in shown]
        return kept if key is None else sorted(kept, key=lambda site: -_number(key(site)))

    found = []
    waiting: list[tuple[Any, int]] = [(site, 0) for site in reversed(siblings(report.sites))]
    while waiting:
        site, depth = waiting.pop()
        found.append((site, depth))
        waiting += [(child, depth + 1) for child in reversed(siblings(site.children))]
    return found


def guides(depths: list[int]) -> list[str]:
    """Return the lines of a tree to draw before each name.

    Args:
        depths: of all sites, parents first.
    """
    found = [""] * len(depths)
    # Going up from the last row, remember at which depths a sibling follows.
    follows: list[bool] = []
    for row in range(len(depths) - 1, -1, -1):
        depth = depths[row]
        follows += [False] * (depth + 1 - len(follows))
        del follows[depth + 1 :]
        if depth:
            above = "".join("│ " if follows[d] else "  " for d in range(1, depth))
            found[row] = above + ("├ " if follows[depth] else "└ ")
        follows[depth] = True
    return found


def hidden_sites(report: Report, shown: int) -> str:
    """Return a sentence on the sites that are not shown; empty if all are."""
    whole = sum(1 for _ in report.walk())
    return f"{shown:,} of {whole:,} sites are shown." if shown < whole else ""
