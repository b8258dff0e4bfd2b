# SPDX-License-Identifier: BSD-3-Clause
"""What one rank sends to rank 0: counts and totals per site, and no histograms.

One site takes some 10 bytes when packed. A histogram would take up to 40 KiB, which 256 ranks with
thousands of sites cannot send through a store. Sites are columns, because rank 0 reads a million of
them if 256 ranks have 4,000 sites each.
"""

from __future__ import annotations

import json
import platform
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..documents import Fields
from ..timing_warning import TimingWarning

_VERSION = 2  # of the packed form; all ranks of a job should run the same fasttime
_MOST_UNPACKED = 1 << 30  # bytes, against a damaged value that would fill the memory
_ROOT = -1  # the parent of a root site
_FIGURES = (
    "host_counts",
    "host_ns",
    "device_counts",
    "device_ns",
    "host_errors_ns",
    "device_errors_ns",
)
UNKNOWN = -1  # an error that one call alone does not show


class Total(NamedTuple):
    """How many calls there were, the sum of their durations, and its standard error in ns."""

    calls: int
    ns: int
    error_ns: int = 0  # or `UNKNOWN`


NO_TIMES = Total(0, 0)


class RankedSite(NamedTuple):
    """One site on one rank.

    Attributes:
        name: the name, unique among the children of one parent.
        path: the path under which a user looks the site up.
        parent: the position of the parent in the list of sites; None for a root site.
        host, device: the times of the site; `NO_TIMES` where there are none.
        is_wait: whether the site is a wait for other ranks, and no work of this rank.
    """

    name: str
    path: str
    parent: int | None
    host: Total
    device: Total = NO_TIMES
    is_wait: bool = False


@dataclass(frozen=True, eq=False)
class SiteColumns:
    """The sites of one rank, parents before their children, one array or list per field.

    Attributes:
        names, paths: as in `RankedSite`.
        parents: the position of each parent; -1 for a root site.
        waits: the positions of the sites that are waits.
        figures: six rows: host counts, host totals in ns, device counts, device totals in ns, and
            the standard errors of the host totals and of the device totals.
    """

    names: list[str]
    paths: list[str]
    parents: list[int]
    waits: list[int]
    figures: npt.NDArray[np.int64]

    @classmethod
    def of(cls, sites: Sequence[RankedSite]) -> SiteColumns:
        """Return sites as columns."""
        figures = [
            [*site.host[:2], *site.device[:2], site.host.error_ns, site.device.error_ns]
            for site in sites
        ]
        return cls(
            names=[site.name for site in sites],
            paths=[site.path for site in sites],
            parents=[_ROOT if site.parent is None else site.parent for site in sites],
            waits=[position for position, site in enumerate(sites) if site.is_wait],
            figures=np.array(figures, np.int64).reshape(-1, len(_FIGURES)).T,
        )

    def __len__(self) -> int:
        return len(self.names)

    def has_same_tree(self, other: SiteColumns) -> bool:
        """Return whether both ranks have the same sites in the same order."""
        return self.names == other.names and self.parents == other.parents


@dataclass(frozen=True, eq=False)
class RankSummary:
    """The sites of one rank.

    Attributes:
        rank: the rank's number.
        source: the kind of result that the rank sent: ``report``, ``modules`` or ``steps``.
        host_name: the machine that the rank ran on; empty if unknown.
        sites: the sites.
        warnings: the warnings of the result.
    """

    rank: int
    source: str
    host_name: str
    sites: SiteColumns
    warnings: tuple[TimingWarning, ...]

    def packed(self) -> bytes:
        """Return the summary as compressed JSON. `unpacked` reads it again."""
        sites = self.sites
        content = {
            "version": _VERSION,
            "rank": self.rank,
            "source": self.source,
            "host_name": self.host_name,
            "names": sites.names,
            "paths": sites.paths,
            "parents": sites.parents,
            "waits": sites.waits,
            **dict(zip(_FIGURES, sites.figures.tolist(), strict=True)),
            "warnings": [warning.to_dict() for warning in self.warnings],
        }
        return zlib.compress(json.dumps(content).encode(), level=1)


def this_host() -> str:
    """Return the name of this machine."""
    return platform.node()


def unpacked(value: bytes) -> RankSummary:
    """Return the summary that another rank packed. Never runs code from the value.

    Raises ValueError if the value is damaged or has another version of the format.
    """
    try:
        decompressor = zlib.decompressobj()
        text = decompressor.decompress(value, _MOST_UNPACKED)
        if not decompressor.eof:
            raise ValueError("it was cut short")
        fields = Fields(json.loads(text))
    except (zlib.error, RecursionError) as error:
        raise ValueError(f"it is damaged ({error})") from None
    version = fields.whole("version")
    if version != _VERSION:
        raise ValueError(
            f"it has version {version}, and this rank reads version {_VERSION}; install the same "
            "fasttime on every rank"
        )
    return RankSummary(
        rank=fields.count("rank"),
        source=fields.text("source"),
        host_name=fields.text("host_name"),
        sites=_sites_in(fields),
        warnings=tuple(
            TimingWarning(one.text("kind"), one.text("message"))
            for one in fields.objects("warnings")
        ),
    )


def _sites_in(fields: Fields) -> SiteColumns:
    names, paths = fields.items("names"), fields.items("paths")
    if not {*map(type, names), *map(type, paths)} <= {str}:
        raise ValueError("names and paths should be strings")
    numbers = {name: fields.items(name) for name in ("parents", "waits", *_FIGURES)}
    for name, values in numbers.items():
        if not {*map(type, values)} <= {int}:
            raise fields.wrong(name, "a list of whole numbers")
    parents = numbers["parents"]
    if not all(_ROOT <= parent < position for position, parent in enumerate(parents)):
        raise fields.wrong("parents", "positions of sites before their children")
    columns = (names, paths, parents, *(numbers[name] for name in _FIGURES))
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise ValueError("the columns of the sites should have equal lengths")
    try:
        figures = np.array([numbers[name] for name in _FIGURES], np.int64)
    except OverflowError:
        raise ValueError("a count or a total is too large") from None
    return SiteColumns(names, paths, parents, numbers["waits"], figures)
