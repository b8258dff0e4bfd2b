# SPDX-License-Identifier: BSD-3-Clause
"""A profiler for Lightning: where the time of a training goes, on host and device.

from fasttime.integrations.lightning import FasttimeProfiler

trainer = Trainer(profiler=FasttimeProfiler())
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..console import line, plain_text, warning_lines
from ..console import table as rich_table
from ..optional import require
from ..recorder import Recorder, default_recorder
from ..text import format_seconds

if TYPE_CHECKING:
    from ..reports.site import SiteReport

_WIDTH = 10_000  # columns: the summary goes to a log or a file, which hides no columns
_SECONDS_TO_WAIT = 10.0  # for the device, at the end


def _profiler_class() -> Any:
    """Return the base class of the Lightning that the program uses: it has two names."""
    names = ("lightning.pytorch", "pytorch_lightning")
    used = [name for name in names if name in sys.modules]
    try:
        return require(f"{(used or names)[0]}.profilers.profiler", __name__, "lightning").Profiler
    except ImportError:
        if used:
            raise
        return require(f"{names[1]}.profilers.profiler", __name__, "lightning").Profiler


_Profiler: Any = _profiler_class()


class FasttimeProfiler(_Profiler):  # type: ignore[misc]
    """Times each action of a ``Trainer`` as a scope, on host and device, without waiting.

        profiler = FasttimeProfiler()
        Trainer(profiler=profiler).fit(model)
        print(profiler.summary())

    Args:
        recorder: the recorder of the scopes; the recorder behind ``fasttime.scope`` if None. Scopes
            that you open in your own module then lie inside the action that runs them.
        dirpath, filename: where to write the summary, as for Lightning's own profilers. Without a
            filename, the first process logs it.

    Lightning's actions nest: with automatic optimization, ``optimizer_step`` contains the forward
    and the backward pass. So the summary is sorted by self time, which leaves out nested actions.
    ``recorder.report()`` shows the actions as a tree. Actions never wait. The summary waits for the
    device, for 10 seconds at most.
    """

    def __init__(
        self,
        recorder: Recorder | None = None,
        *,
        dirpath: str | Path | None = None,
        filename: str | None = None,
    ) -> None:
        super().__init__(dirpath=dirpath, filename=filename)
        self.recorder = recorder or default_recorder()
        self._open: dict[str, list[Any]] = {}
        self._names: set[str] = set()

    def start(self, action_name: str) -> None:
        """Begin an action. The same action may begin again inside itself."""
        self._names.add(action_name)
        self._open.setdefault(action_name, []).append(self.recorder.begin(action_name))

    def stop(self, action_name: str) -> None:
        """End the action that began last under this name. Raises ValueError if there is none."""
        if not self._open.get(action_name):
            raise ValueError(
                f"the action {action_name!r} has not been started; call start({action_name!r})"
            )
        self.recorder.end(self._open[action_name].pop())

    def summary(self) -> str:
        """Return a table of all actions, with the greatest self time first."""
        from rich.console import Group

        report = self.recorder.report(wait=True, timeout=_SECONDS_TO_WAIT)
        kind = "host" if report.backend == "host" else "device"
        rows = _rows(site for site in report.walk() if site.name in self._names)
        whole = sum(row.self_time for row in rows if row.self_time is not None)
        table = rich_table((f"action ({kind} times)", "calls", "self", "share", "total", "mean"))
        for row in rows:
            self_time, share = "-", "-"
            if row.self_time is not None:
                self_time = format_seconds(row.self_time)
                share = f"{100 * row.self_time / whole:.1f}%" if whole else "-"
            mean = format_seconds(row.total / row.calls)
            table.add_row(
                line(row.name), f"{row.calls:,}", self_time, share, format_seconds(row.total), mean
            )
        stage = f"{getattr(self._stage, 'value', self._stage)} " if self._stage else ""
        heading = line(f"fasttime {stage}profile")
        return plain_text(Group(heading, table, *warning_lines(report.warnings)), _WIDTH)


class _Row(NamedTuple):
    """One action, wherever it ran.

    Attributes:
        name: of the action.
        calls: how often it ended.
        self_time: seconds without nested scopes; None if unknown at one of its sites.
        total: seconds.
    """

    name: str
    calls: int
    self_time: float | None
    total: float


def _rows(sites: Iterable[SiteReport]) -> list[_Row]:
    by_name: dict[str, list[SiteReport]] = {}
    for site in sites:
        if site.time.count:
            by_name.setdefault(site.name, []).append(site)
    rows = []
    for name, found in by_name.items():
        self_times = [site.self_time for site in found]
        known = [time for time in self_times if time is not None]
        rows.append(
            _Row(
                name,
                sum(site.time.count for site in found),
                sum(known) if len(known) == len(found) else None,
                sum(site.time.total for site in found),
            )
        )
    return sorted(rows, key=lambda row: (row.self_time or 0.0, row.total), reverse=True)
