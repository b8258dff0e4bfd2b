# SPDX-License-Identifier: BSD-3-Clause
"""What scopes have measured: a tree of sites, as plain data. Times are in seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..result import Result
from ..sample import Status
from .site import (
    SiteReport,
    flattened,
    nested,
    walk_with_depth,
    walk_with_parents,
)
from .site_index import SiteIndex

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..environment.describe import Environment
    from ..timelines.timeline import Timeline
    from ..timing_warning import TimingWarning
    from .timing_cost import TimingCost


@dataclass(frozen=True, repr=False)
class Report(Result):
    """What was resolved when the report was made. Prints as a table, and shows in a notebook.

    ``report["pipeline/model_large"]`` is the `SiteReport` of a path, ``"decode" in report`` says
    whether there is one, `walk` yields them all. A name may hold a slash: where a path is that of
    several sites, look one up by its names, ``report["v1", "chat"]``; the path raises KeyError.

    ``print(report)`` fits the terminal, or 100 columns where there is none; ``rich.print(report)``
    adds colours. Columns that do not fit are left out, and named below the table. Of more than 200
    sites those with the greatest total time are shown; `save` to ``.html``, ``.md`` or ``.json``
    keeps them all.

    Attributes:
        sites: the root sites, in the order in which they first began.
        backend: ``cuda``, or ``host`` where only host time can be had; ``mixed`` where a report was
            put together of both.
        backend_reason: why it is that one, in words.
        duration: seconds since these statistics began: at the last reset, ``report(reset=True)``
            included, when the recorder was made, or when the process was forked.
        open: scopes begun and not ended.
        pending: scopes ended that the device had not finished.
        refused_sites: how many scopes at new sites were counted under ``(more)`` in this time, the
            bound being reached.
        last_failure: what CUDA answered to the last call of ours that failed in this time; empty if
            none did.
        scopes_were_compiled: whether torch.compile met scopes in this process, which are not timed:
            at any time, as nothing tells when a compiled region runs.
        switched_off: whether scopes were switched off when the report was made.
        date: when the report was made, in UTC, to the second; empty if unknown.
        failures: how many calls of ours failed in this time, on any thread of the process.
        interval: names what this is a report of: the same in all reports of one recorder between
            two resets, and in no others; empty where the report was put together.
        differs: of a report that was put together, the fields of `environment` in which its parts
            differ; there it has what the first of them has.
    """

    sites: tuple[SiteReport, ...]
    backend: str
    backend_reason: str
    duration: float
    open: int
    pending: int
    refused_sites: int
    last_failure: str
    scopes_were_compiled: bool = False
    switched_off: bool = False
    date: str = ""
    failures: int = 0
    interval: str = ""
    differs: tuple[str, ...] = ()

    def __getitem__(self, where: str | tuple[str, ...]) -> SiteReport:
        return self._index[where]

    def __contains__(self, where: object) -> bool:
        return where in self._index

    @cached_property
    def _index(self) -> SiteIndex[SiteReport]:
        index: SiteIndex[SiteReport] = SiteIndex()
        for site, parent in walk_with_parents(self.sites):
            # There the root is number 0, and the first site 1.
            index.add(0 if parent is None else parent + 1, site.name, site.path, site)
        return index

    def __getstate__(self) -> dict[str, object]:
        sites = flattened(self.sites)
        state = {**self.__dict__, "sites": sites, "environment": self.environment}
        state.pop("_index", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, sites=nested(state["sites"]))

    def __copy__(self) -> Report:
        return self  # nothing in it can change

    def __deepcopy__(self, _: object) -> Report:
        return self

    # Python would otherwise try the indices 0, 1, ... Paths or sites? `walk` says which.
    __iter__ = None

    def walk(self) -> Iterator[SiteReport]:
        """Yield every site, parents before their children."""
        return (site for site, _ in walk_with_depth(self.sites))

    def count(self, status: Status) -> int:
        """Return how many scopes of this status there are at all sites."""
        return sum(site.counts[status] for site in self.walk())

    @property
    def host_only(self) -> int:
        """Scopes without device time, as CUDA was not up when they began."""
        return self.count("host_only")

    @property
    def dropped(self) -> int:
        """Scopes given up for want of room, or never ended."""
        return self.count("dropped")

    @property
    def captured(self) -> int:
        """Scopes without device time, as their stream was capturing a CUDA graph."""
        return self.count("captured")

    @property
    def failed(self) -> int:
        """Scopes without device time, as CUDA answered an error."""
        return self.count("failed")

    @property
    def cost(self) -> TimingCost:
        """What timing itself has cost host and device: an estimate."""
        from .timing_cost import estimate_cost

        return estimate_cost(self)

    @property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """What to know before the figures are used; empty if all is well."""
        from .warnings import warnings_of

        return warnings_of(self)

    @cached_property
    def environment(self) -> Environment:
        """The machine, the versions and the process that the report comes from.

        Looked up when it is first asked for, and when the report is pickled or saved, so that it
        is the sender's: once in a process, which takes a fraction of a second where ``nvidia-smi``
        has to be run.
        """
        from ..environment.process import environment_of

        return environment_of(self.backend)

    @staticmethod
    def merge(*reports: Report) -> Report:
        """Return reports of several processes, ranks or intervals as one.

            parts = [None] * world_size if rank == 0 else None
            torch.distributed.gather_object(fasttime.report(reset=True), parts)
            if rank == 0:
                print(fasttime.Report.merge(*parts))

        Args:
            reports: at least one. Several of one recorder must share no scope: they come from
                ``report(reset=True)``, or from `since`.

        Sites are the same where all their names are. What was counted adds up: counts, totals,
        means, standard deviations, least and greatest are exact, quantiles within 1 %. Open and
        pending scopes, failures and refused sites add up as well; `duration` is the longest.
        Verdicts, self times and shares are worked out anew. Where the environments differ,
        `differs` says in what.

        Waits for nothing; looks up `environment` where a report does not have it yet. Raises
        TypeError for anything but reports, and ValueError where two of them share scopes.
        """
        for part in reports:
            if not isinstance(part, Report):
                raise TypeError(
                    f"merge() takes reports, got a {type(part).__name__}; of a list, write "
                    "Report.merge(*reports), of a file, fasttime.load(path)"
                )
        from .merging import merge

        return merge(reports)

    def since(self, earlier: Report) -> Report:
        """Return what came after an earlier report of the same recorder, neither of which reset.

            last = fasttime.report()
            ...
            now = fasttime.report()
            new, last = now.since(last), now

        So each of several readers can have intervals of its own: ``report(reset=True)`` would take
        from the others what it clears.

        Args:
            earlier: the one to set this off against; may have been sent, or saved and loaded.

        Counts, totals, means and standard deviations are exact, quantiles within 1 %. Least and
        greatest are exact where they are new to the recorder, else within 1 % as well. Open and
        pending scopes are those of this report.

        Waits for nothing. Raises TypeError for anything but a report, and ValueError where the
        recorder was reset in between, where it is another one, and where `earlier` is the later.
        """
        if not isinstance(earlier, Report):
            raise TypeError(f"since() takes an earlier report, got a {type(earlier).__name__}")
        from .since import since

        return since(self, earlier)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that ``json.dumps`` takes; keys name their units.

        Sites come as a flat list, parents first, each with its ``depth`` and the index of its
        ``parent`` in that list: ``pandas.json_normalize(report.to_dict()["sites"])`` is a table.
        """
        from .formats.document import as_dict

        return as_dict(self)

    def to_markdown(self) -> str:
        """Return the report as a Markdown table, sites by their paths, with all columns."""
        from .formats.markdown import as_markdown

        return as_markdown(self)

    def to_html(self, *, timeline: Timeline | None = None) -> str:
        """Return the report as one HTML page that needs no other file and no network.

        Args:
            timeline: is drawn below the table, for light and dark; of more than 48 scopes the last
                ones, in whole rounds.

        Looks up `environment`. With a timeline, raises ImportError without matplotlib, and
        ValueError where there is no scope in it.
        """
        from .formats.html import as_page

        return as_page(self, self.environment, timeline)

    def save(self, path: str | os.PathLike[str], *, timeline: Timeline | None = None) -> None:
        """Write the report to a file, in the format that its suffix names.

        Args:
            path: ends in ``.html``, ``.md``, ``.json`` (`to_dict`, the environment and the
                histograms: `fasttime.load` reads it again) or ``.txt`` (the table with all
                columns). The file is whole or it is not there: it is written beside `path` and then
                moved there, replacing what there was.
            timeline: is drawn on an HTML page; see `to_html`.

        Raises ValueError for another suffix, or for a timeline where the format holds no picture,
        and OSError where the file cannot be written.
        """
        from .formats.saving import save

        save(self, path, timeline)

    def _renderable(self, width: int) -> RenderableType:
        from .formats.table import as_renderable

        return as_renderable(self, width)

    def _html(self) -> str:
        from .formats.html import as_body

        return as_body(self)
