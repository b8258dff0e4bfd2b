# SPDX-License-Identifier: BSD-3-Clause
"""A report: the statistics of all scopes, as a tree of sites. Times are in seconds."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..environment.process import environment_of
from ..result import Result
from ..sample import Status
from .combine import fields_since, merged_fields
from .concurrency import shares_overlap
from .formats import document, html, markdown, rows
from .scalars import scalars_of
from .site import SiteReport, flattened, nested, walk_with_depth, walk_with_parents
from .site_index import SiteIndex
from .timing_cost import TimingCost, estimate_cost
from .view import View
from .warnings import warnings_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..environment.describe import Environment
    from ..timelines.timeline import Timeline
    from ..timing_warning import TimingWarning


@dataclass(frozen=True, repr=False)
class Report(Result):
    """The statistics of all scopes that ended. Prints as a table and shows in a notebook.

    ``report["pipeline/model_large"]`` is the `SiteReport` of a path, ``"decode" in report`` says
    whether the report has one, and `walk` yields every site. A name may contain a slash. If two
    sites share a path, look one up by its names instead: ``report["v1", "chat"]``.

    ``print(report)`` fits the terminal, or 100 columns without a terminal; ``rich.print(report)``
    adds colours. The table hides columns that do not fit and names them below. It shows up to 200
    sites, those with the greatest total time; `save` writes every site.

    Attributes:
        sites: the root sites, in the order in which they first began.
        backend: ``cuda``, or ``host`` if only host times are available; ``mixed`` for a merged
            report with parts of both kinds.
        backend_reason: the reason for this backend, in words.
        duration: seconds since the statistics began. They begin when the recorder is made, at a
            reset, at ``report(reset=True)`` and in a forked process.
        open: scopes that have begun and not ended.
        pending: scopes that have ended but that the device has not finished.
        refused_sites: scopes counted under ``(more)`` in this interval, because the recorder had
            reached its limit of sites.
        last_failure: CUDA's error for fasttime's last failed call in this interval; empty if every
            call succeeded.
        scopes_were_compiled: whether torch.compile has met scopes since the last `reset`. Such
            scopes are not timed. The flag covers the whole process, since fasttime cannot see
            compiled regions run.
        switched_off: whether scopes were switched off when the report was made.
        date: when the report was made, in UTC, to the second; empty if unknown.
        failures: how many of fasttime's CUDA calls failed in this interval, on any thread.
        interval: an identifier of the recorder and its interval. Reports of one recorder share it
            until the next reset. Empty for a report made by `merge` or `since`.
        captured_reason: why the last scope in a capture could not be timed although `graph_timing`
            was on; empty if there was no such scope.
        parts: how many reports were merged into this one; 1 for an ordinary report.
        differs: the fields of `environment` in which the parts of a merged report differ. There
            `environment` has the value of the first part.
        overlapping_parts: whether `shares_overlap` is True for a part of a merged report.
        known_environment: the environment, if the report came from a file, from another process or
            from `merge`; otherwise None. Use `environment` instead.
        shown_as: the order and the selection of sites when the report is printed; see `view`.
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
    captured_reason: str = ""
    parts: int = 1
    differs: tuple[str, ...] = ()
    overlapping_parts: bool = False
    known_environment: Environment | None = field(default=None, compare=False)
    shown_as: View = field(default=View(), compare=False)

    def __getitem__(self, where: str | tuple[str, ...]) -> SiteReport:
        return self._index[where]

    def __contains__(self, where: object) -> bool:
        return where in self._index

    @cached_property
    def _index(self) -> SiteIndex[SiteReport]:
        index: SiteIndex[SiteReport] = SiteIndex()
        for site, parent in walk_with_parents(self.sites):
            # In the index, the root is number 0 and the first site is number 1.
            index.add(0 if parent is None else parent + 1, site.name, site.path, site)
        return index

    def __getstate__(self) -> dict[str, object]:
        state = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {**state, "sites": flattened(self.sites), "known_environment": self.environment}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, sites=nested(state["sites"]))

    def __copy__(self) -> Report:
        return self  # immutable

    def __deepcopy__(self, _: object) -> Report:
        return self

    # Without this, iteration would try the indices 0, 1, and so on. `walk` yields the sites.
    __iter__ = None

    def walk(self) -> Iterator[SiteReport]:
        """Yield every site, parents before their children."""
        return (site for site, _ in walk_with_depth(self.sites))

    def view(
        self,
        *,
        sort: str | None = None,
        top: int | None = None,
        min_share: float = 0.0,
        title: str = "",
    ) -> Report:
        """Return the same report, shown in another order or in part.

            print(report.view(sort="self", top=10))

        Text, HTML, Markdown, CSV and pandas follow the view. JSON and `to_dict` keep every site.

        Args:
            sort: the order of sites with the same parent, greatest first: ``total``, ``self``,
                ``calls``, ``mean``, ``p50``, ``p95``, ``p99``, ``max``, ``host`` or ``share``.
                None keeps the order in which the sites first began.
            top: show only this many sites, those with the greatest `sort` or, without `sort`, the
                greatest total. The sites above them are shown as well.
            min_share: show only sites with at least this share, 0.01 for 1 %, and the sites above.
            title: a heading for every format but CSV.

        Never waits. Raises ValueError for an unknown `sort` and for a number out of range.
        """
        return dataclasses.replace(self, shown_as=View(sort, top, min_share, title))

    def count(self, status: Status) -> int:
        """Return how many scopes have this status, over all sites."""
        return sum(site.counts[status] for site in self.walk())

    @property
    def host_only(self) -> int:
        """How many scopes have no device time because CUDA was not up when they began."""
        return self.count("host_only")

    @property
    def dropped(self) -> int:
        """How many scopes were dropped, because there was no room or because they never ended."""
        return self.count("dropped")

    @property
    def captured(self) -> int:
        """How many scopes have no device time because their stream was capturing a CUDA graph."""
        return self.count("captured")

    @property
    def failed(self) -> int:
        """How many scopes have no device time because a CUDA call failed."""
        return self.count("failed")

    @cached_property
    def shares_overlap(self) -> bool:
        """Whether shares are parts of a sum, because root sites or the sites inside them overlap.

        Such shares are not parts of the elapsed time, so compare them only with each other.
        Printed tables name the column ``of sum``.
        """
        return shares_overlap(self)

    @cached_property
    def cost(self) -> TimingCost:
        """An estimate of what timing itself cost the host and the device."""
        return estimate_cost(self)

    @cached_property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Reasons to distrust the figures; empty if all is well."""
        return warnings_of(self)

    @cached_property
    def environment(self) -> Environment:
        """The machine, the versions and the process that the report comes from.

        fasttime looks the environment up when you first ask for it, and when you pickle, save or
        merge the report. A report that you send to another process therefore keeps the sender's
        environment. The first look-up in a process can take a fraction of a second.
        """
        return self.known_environment or environment_of(self.backend)

    @staticmethod
    def merge(*reports: Report) -> Report:
        """Merge reports of several processes, ranks or intervals into one.

            parts = [None] * world_size if rank == 0 else None
            torch.distributed.gather_object(fasttime.report(reset=True), parts)
            if rank == 0:
                print(fasttime.Report.merge(*parts))

        Args:
            reports: at least one. Reports of the same recorder must not share scopes: make them
                with ``report(reset=True)`` or `since`.

        Two sites are the same if all their names from the root on are the same. Counts, totals,
        means, standard deviations, min and max are exact; quantiles are within 1 %. Open and
        pending scopes, failures and refused sites add up. `duration` is the longest of the parts.
        Bottlenecks, self times and shares are computed from the sums. `parts` says how many reports
        were merged, and `differs` in which fields their environments differ.

        Never waits for the device. Looks up `environment` of reports that do not have it yet.
        Raises TypeError for anything but reports, and ValueError if two reports share scopes.
        """
        for part in reports:
            if not isinstance(part, Report):
                raise TypeError(
                    f"merge() takes reports, got {type(part).__name__}; for a list, write "
                    "Report.merge(*reports), for a file, fasttime.load(path)"
                )
        if not reports:
            raise ValueError("merge() takes at least one report, got none")
        return reports[0] if len(reports) == 1 else Report(**merged_fields(reports))

    def since(self, earlier: Report) -> Report:
        """Return a report of what came after an earlier report of the same recorder.

            last = fasttime.report()
            ...
            now = fasttime.report()
            new, last = now.since(last), now

        With `since`, several readers can each have their own intervals. ``report(reset=True)``
        clears the statistics for every reader.

        Args:
            earlier: the report to subtract. It may have been pickled, or saved and loaded.

        Counts, totals, means and standard deviations are exact; quantiles are within 1 %. A min or
        a max that is new to the recorder is exact, others are within 1 %. Open and pending scopes
        are counted as in this report.

        Never waits. Raises TypeError for anything but a report. Raises ValueError if the
        recorder was reset in between, and if `earlier` comes from another recorder or is the later
        report.
        """
        if not isinstance(earlier, Report):
            raise TypeError(f"since() takes an earlier report, got {type(earlier).__name__}")
        return Report(**fields_since(self, earlier))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dict that ``json.dumps`` accepts; keys name their units.

        Sites are a flat list, parents first. Each site has its ``depth`` and the position of its
        ``parent`` in the list.
        """
        return document.as_dict(self)

    def to_pandas(self) -> Any:
        """Return a pandas.DataFrame with one row per site, parents first.

        Columns: ``path``; ``depth``, 0 for a root site; ``calls``; one count per status (``ok``,
        ``host_only``, ``dropped``, ``captured``, ``failed``); ``lost``; for each of ``device_`` and
        ``host_`` the columns ``count``, ``total``, ``mean``, ``std``, ``min``, ``max``, ``p50``,
        ``p95`` and ``p99``; ``self_time``, ``share``, ``shares_overlap``, ``bottleneck`` and
        ``backlog``. Times are in seconds. An unknown value is missing.
        ``report.save("report.csv")`` writes the same table without pandas.

        Raises ImportError without pandas.

        >>> frame = fasttime.report().to_pandas()
        >>> frame.sort_values("device_total", ascending=False).head()  # doctest: +SKIP
        """
        return rows.to_pandas(self)

    def scalars(self, prefix: str = "fasttime/") -> dict[str, float]:
        """Return the figures as a flat dict, for W&B, MLflow, TensorBoard or ``trainer.log``.

            wandb.log(fasttime.report().scalars(), step=step)

        Args:
            prefix: the beginning of every key.

        The keys of a site are ``calls``, and ``mean``, ``p50``, ``p95`` and ``p99`` of its device
        times and host times, such as ``fasttime/step/forward/device_p50``. Times are in seconds. A
        site without device times has no ``device_`` keys. ``fasttime/warnings`` is the number of
        `warnings`. Characters that MLflow refuses become ``_``, and sites that get the same key
        are merged.
        """
        return scalars_of(self, prefix)

    def to_markdown(self) -> str:
        """Return the report as a Markdown table with one row per path and all columns."""
        return markdown.as_markdown(self)

    def to_html(self, *, timeline: Timeline | None = None) -> str:
        """Return the report as one HTML page that needs no other file and no network.

        Args:
            timeline: drawn below the table, in a light and a dark version. If it has more than 48
                scopes, the page shows the last whole rounds.

        Looks up `environment`. With a timeline, raises ImportError without matplotlib, and
        ValueError if the timeline has no scopes.
        """
        return html.as_page(self, self.environment, timeline)

    def save(self, path: str | os.PathLike[str], *, timeline: Timeline | None = None) -> None:
        """Write the report to a file, in the format of the file's suffix.

        Args:
            path: ``.html`` (a page), ``.md`` (a table), ``.csv`` (see `to_pandas`), ``.txt`` (the
                printed table with all columns), or ``.json``. JSON holds `to_dict`, the
                environment and the histograms, and `fasttime.load` reads it. The file is written
                whole or not at all: fasttime writes a new file and then replaces the old one.
            timeline: drawn on an HTML page; see `to_html`.

        Looks up `environment`. Raises ValueError for another suffix, or for a timeline with a
        format other than HTML, and OSError if the file cannot be written.
        """
        from .formats import saving  # imports rich, which `import fasttime` must not

        saving.save(self, self.environment, path, timeline)

    def _renderable(self, width: int) -> RenderableType:
        from .formats import table  # imports rich

        return table.as_renderable(self, width)

    def _html(self) -> str:
        return html.as_body(self)
