# SPDX-License-Identifier: BSD-3-Clause
"""The sites of all ranks side by side: the table, its warnings and its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..documents import RANK_TABLE, Fields, plain
from ..html.elements import TreeRow
from ..reports.site_index import SiteIndex
from ..tabular import TabularResult
from ..timing_warning import TimingWarning
from . import formats
from .conclusion import conclusion
from .rank_site import RankSite, SiteRow, sites_of

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, eq=False, repr=False)
class RankTable(TabularResult):
    """What every rank of a job measured, site by site. `gather` makes it on rank 0.

    ``table["step/backward"]`` is the `RankSite` of a path, iterating yields every site, and
    ``print(table)`` shows the table with a sentence that names the slowest rank. Times are means
    per call, in seconds.

    Attributes:
        rows: the times of each site on each rank; read `sites` instead.
        ranks: the ranks in the table, in the order of the columns of `rows`.
        world_size: how many ranks the job has.
        missing: the ranks whose values did not come in time, or could not be read.
        source: what the ranks sent: ``report``, ``modules`` or ``steps``.
        host_names: the machine of each rank, where known.
        warnings: reasons to distrust the table. The kinds are ``missing_ranks``,
            ``unreadable_ranks``, ``different_sites``, ``different_clocks``,
            ``different_sources``, ``no_process_group``, and the warnings of the ranks.
    """

    _format = RANK_TABLE

    rows: Sequence[SiteRow]
    ranks: tuple[int, ...]
    world_size: int
    source: str
    missing: tuple[int, ...] = ()
    host_names: Mapping[int, str] = field(default_factory=dict)
    warnings: tuple[TimingWarning, ...] = ()

    @cached_property
    def sites(self) -> tuple[RankSite, ...]:
        """The sites that any rank has, parents before their children."""
        return sites_of(self.rows, self.ranks)

    @cached_property
    def conclusion(self) -> str:
        """One or two sentences: the slowest rank, where it is slow, and how clearly."""
        return conclusion(self.sites, self.ranks, self.host_names)

    def __iter__(self) -> Iterator[RankSite]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, where: str | tuple[str, ...]) -> RankSite:
        return self._index[where]

    def __contains__(self, where: object) -> bool:
        return where in self._index

    @cached_property
    def _index(self) -> SiteIndex[RankSite]:
        index: SiteIndex[RankSite] = SiteIndex()
        for site in self.sites:
            # In the index, the root is number 0 and the first site is number 1.
            index.add(0 if site.parent is None else site.parent + 1, site.name, site.path, site)
        return index

    def to_dict(self) -> dict[str, Any]:
        """Return the table as a dict that ``json.dumps`` accepts.

        ``times_s``, ``errors_s`` and ``calls`` of a site have one entry per rank, in the order of
        ``ranks``. ``errors_s`` are the standard errors of the times. A time or an error is null if
        it is unknown.
        """
        content: dict[str, Any] = plain(
            {
                "source": self.source,
                "world_size": self.world_size,
                "ranks": self.ranks,
                "missing": self.missing,
                "host_names": self.host_names,
                "conclusion": self.conclusion,
                "warnings": [warning.to_dict() for warning in self.warnings],
                "sites": [
                    {
                        "path": site.path,
                        "name": site.name,
                        "parent": site.parent,
                        "depth": site.depth,
                        "clock": site.clock,
                        "is_wait": site.is_wait,
                        "min_s": site.min,
                        "median_s": site.median,
                        "max_s": site.max,
                        "slowest": site.slowest,
                        "imbalance": site.imbalance,
                        "calls": row.calls.tolist(),
                        "times_s": [None if np.isnan(time) else time for time in row.times],
                        "errors_s": [None if np.isnan(error) else error for error in row.errors],
                    }
                    for site, row in zip(self.sites, self.rows, strict=True)
                ],
            }
        )
        return content

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with one row per site and rank.

        Columns: ``path``, ``depth``, ``rank``, ``clock``, ``calls`` and ``time``, the mean in
        seconds. A rank without the site has no row. Raises ImportError without pandas.
        """
        return super().to_pandas()

    def _records(self) -> list[dict[str, Any]]:
        return [
            {
                "path": site.path,
                "depth": site.depth,
                "rank": rank,
                "clock": site.clock,
                "calls": site.calls[rank],
                "time": time,
            }
            for site in self.sites
            for rank, time in site.times.items()
        ]

    def _title(self) -> str:
        return formats.title(self)

    def _rows(self) -> list[tuple[str, ...]]:
        return formats.rows(self)

    def _tree(self) -> list[TreeRow]:
        return formats.tree(self)

    def _notes(self) -> list[str]:
        return [self.conclusion, *formats.notes(self)]

    def _column_headings(self) -> list[str]:
        return formats.headings(self)

    def _text_columns(self) -> tuple[int, ...]:
        return (0,)

    def _renderable(self, width: int) -> RenderableType:
        return formats.as_renderable(self, width)


def from_content(fields: Fields) -> RankTable:
    """Return the table in a document. Raises ValueError if the content is no table of ranks."""
    ranks = tuple(_ranks(fields, "ranks"))
    if len(set(ranks)) < len(ranks):
        raise fields.wrong("ranks", "different numbers")
    names = fields.object("host_names")
    rows = []
    for position, site in enumerate(fields.objects("sites")):
        parent = None if site.is_null("parent") else site.count("parent")
        if parent is not None and parent >= position:
            raise site.wrong("parent", "the position of a site before this one")
        calls = _ranks(site, "calls")
        times, errors = _numbers(site, "times_s"), _numbers(site, "errors_s")
        if not len(calls) == len(times) == len(errors) == len(ranks):
            raise site.wrong("times_s", f"{len(ranks)} numbers or nulls, like calls")
        if [count > 0 for count in calls] != [not np.isnan(time) for time in times]:
            raise site.wrong("times_s", "null where there are no calls, and nowhere else")
        if not any(calls):
            raise site.wrong("calls", "above 0 for some rank")
        rows.append(
            SiteRow(
                name=site.text("name"),
                path=site.text("path"),
                parent=parent,
                clock=site.choice("clock", ("device", "host")),
                is_wait=site.flag("is_wait"),
                times=np.array(times, np.float64),
                errors=np.array(errors, np.float64),
                calls=np.array(calls, np.int64),
            )
        )
    return RankTable(
        rows=tuple(rows),
        ranks=ranks,
        world_size=fields.count("world_size"),
        source=fields.text("source"),
        missing=tuple(_ranks(fields, "missing")),
        host_names={int(rank): names.text(rank) for rank in names.names()},
        warnings=tuple(
            TimingWarning(one.text("kind"), one.text("message"))
            for one in fields.objects("warnings")
        ),
    )


def _ranks(fields: Fields, name: str) -> list[int]:
    values = fields.items(name)
    if not all(type(value) is int and value >= 0 for value in values):
        raise fields.wrong(name, "a list of whole numbers of at least 0")
    return values


def _numbers(fields: Fields, name: str) -> list[float]:
    """Return a list of numbers, with NaN for each null. Leaves out anything else."""
    return [
        np.nan if one is None else float(one)
        for one in fields.items(name)
        if one is None or (isinstance(one, (int, float)) and not isinstance(one, bool))
    ]
