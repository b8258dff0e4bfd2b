# SPDX-License-Identifier: BSD-3-Clause
"""The result of a sweep: its table, its plot and its JSON."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..console import plain_text, table, terminal_width
from ..documents import SWEEP, Fields, plain
from ..environment.describe import Environment
from ..rates.rate import KINDS, Kind, format_rate
from ..tabular import TabularResult
from ..text import format_seconds, printable
from ..timing_warning import TimingWarning
from . import plot as plots
from .point import AxisValue, SweepPoint, dtype_as_name, named_values
from .point import from_content as point_from_content
from .point import to_content as point_to_content

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

_PROVEN = "*"

_MOST_NAMED = 3  # failed points in a warning

# The value of an option of `sweep` in a file.
Option = int | float | str | bool | None


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(TabularResult):
    """Several callables over all combinations of some values. All times are in seconds.

    Prints as a table of times, and a table per kind of rate. A row is a point, and a column is a
    candidate. ``*`` marks a candidate that is proven to be the fastest of its point. Iterating
    yields the points.

    Attributes:
        axes: the values of each axis, by name.
        candidates: the names of the candidates; the first is the baseline.
        points: the points so far, in the order of the axes; the last axis varies fastest.
        margin: candidates that differ by less are the ``same``.
        environment: the machine and the versions.
        options: how the points were timed: budget, method and so on. A function is saved as the
            word ``function``. Empty if unknown.
        reused: how many points come from the file of an earlier call; not saved.
        changed: which options differ from the options of that call, in words; not saved.
    """

    _format = SWEEP

    axes: dict[str, tuple[AxisValue, ...]]
    candidates: tuple[str, ...]
    points: tuple[SweepPoint, ...]
    margin: float
    environment: Environment | None = None
    options: Mapping[str, Option] = dataclasses.field(default_factory=dict)
    reused: int = 0
    changed: tuple[str, ...] = ()

    @property
    def _headings(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*self.axes, *self.candidates)

    def __iter__(self) -> Iterator[SweepPoint]:
        return iter(self.points)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(
        self, values: AxisValue | torch.dtype | tuple[AxisValue | torch.dtype, ...]
    ) -> SweepPoint:
        wanted = tuple(map(dtype_as_name, values if isinstance(values, tuple) else (values,)))
        for point in self.points:
            if tuple(point.values.values()) == wanted:
                return point
        raise KeyError(
            f"no point {wanted!r}; a point is named by its values of {', '.join(self.axes)}"
        )

    @property
    def is_complete(self) -> bool:
        """Whether every point was tried. A sweep that was interrupted is not complete."""
        return len(self.points) == math.prod(map(len, self.axes.values()))

    def geometric_mean(self, candidate: str) -> float:
        """Return the geometric mean of a candidate's ratios to the baseline, over all points.

        NaN if no point has a ratio. Raises KeyError if there is no such candidate.
        """
        if candidate not in self.candidates:
            raise KeyError(f"no candidate {candidate!r}; there are {', '.join(self.candidates)}")
        ratios = [point[candidate].ratio for point in self.points if point.timed]
        logs = [math.log(ratio) for ratio in ratios if 0 < ratio < math.inf]
        return math.exp(sum(logs) / len(logs)) if logs else math.nan

    @cached_property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """The warnings about the points, each kind once, with the number of points."""
        found: Counter[str] = Counter()
        first: dict[str, str] = {}
        for point in self.points:
            for kind, message in point.warnings.items():
                found[kind] += 1
                first.setdefault(kind, message)
        warnings = []
        if failed := [point for point in self.points if point.error]:
            more = f" and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
            names = "; ".join(named_values(point.values) for point in failed[:_MOST_NAMED])
            warnings.append(
                TimingWarning(
                    "failed_points",
                    f"{_points(len(failed))} failed ({names}{more}), so there are no times there. "
                    f"The first error: {failed[0].error}",
                )
            )
        if self.reused:
            changes = f". Options differ: {', '.join(self.changed)}" if self.changed else ""
            code = "code" if self.options else "code or your options"
            warnings.append(
                TimingWarning(
                    "reused",
                    f"{_points(self.reused)} of {len(self.points)} come from the file and were not "
                    f"timed again, even if your {code} changed{changes}. Delete the file to time "
                    "every point.",
                )
            )
        if not self.is_complete:
            whole = math.prod(map(len, self.axes.values()))
            warnings.append(
                TimingWarning(
                    "incomplete",
                    f"The sweep tried {len(self.points)} of {whole} points, so the table lacks the "
                    "rest. Run the same sweep again with the same file (save_to=, or -o in a "
                    "shell) to go on.",
                )
            )
        for kind, count in found.items():
            where = "" if count == len(self.points) else f"At {_points(count)}: "
            warnings.append(TimingWarning(kind, where + first[kind]))
        return tuple(warnings)

    def table(self, show: Kind | str = "time") -> str:
        """Return the table as text: one row per point, one column per candidate.

        Args:
            show: ``time``, or ``bytes``, ``flops`` or ``items`` for rates.

        Raises ValueError for anything else, and if the sweep has no such rates.
        """
        self._check_shown(show)
        rows = table(self._headings, left=len(self.axes))
        for row in self._cells(show):
            rows.add_row(*row)
        return plain_text(rows, max(terminal_width(), 80))

    def plot(self, show: Kind | str = "time") -> Figure:
        """Draw times or rates over the first axis of numbers, with logarithmic axes.

        Each combination of the other axes gets a panel of its own. Bands are the intervals of the
        medians. Returns a matplotlib Figure; ``figure.savefig("sweep.svg")`` saves it.

        Args:
            show: as for `table`.

        Raises ValueError if no axis has numbers, or without points; ImportError without matplotlib.
        """
        self._check_shown(show)
        return plots.draw(self.axes, self.candidates, self.points, show)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that ``json.dumps`` accepts. `save` writes the same."""
        content: dict[str, Any] = plain(
            {
                "axes": [{"name": name, "values": list(v)} for name, v in self.axes.items()],
                "candidates": list(self.candidates),
                "points": [point_to_content(point) for point in self.points],
                "margin": self.margin,
                "environment": None
                if self.environment is None
                else dataclasses.asdict(self.environment),
                "options": dict(self.options),
                "warnings": [warning.to_dict() for warning in self.warnings],
            }
        )
        return content

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of work that are known at any point: ``bytes``, ``flops``, ``items``."""
        return [kind for kind in KINDS if any(kind in point.work for point in self.points)]

    def _check_shown(self, show: str) -> None:
        kinds = self.kinds
        if show != "time" and show not in kinds:
            known = ", ".join(["time", *kinds])
            remedy = f"; pass {show}= to sweep()" if show in KINDS else ""
            raise ValueError(f"show must be one of {known}, got {show!r}{remedy}")

    def _cells(self, show: str) -> Iterator[tuple[str, ...]]:
        for point in self.points:
            values = [printable(str(value)) for value in point.values.values()]
            if point.error:
                yield (*values, *["failed"] * len(self.candidates))
                continue
            yield (*values, *(self._cell(point, name, show) for name in self.candidates))
        if len(self.candidates) > 1 and any(point.timed for point in self.points):
            means = [self.geometric_mean(name) for name in self.candidates]
            if show != "time":  # a rate is higher where a time is shorter
                means = [1 / mean for mean in means]
            blank = [""] * (len(self.axes) - 1)
            yield ("geometric mean", *blank, *(f"x {mean:#.3g}" for mean in means))

    def _cell(self, point: SweepPoint, name: str, show: str) -> str:
        rate = None if show == "time" else point.rate(name, show)
        if show == "time":
            text = format_seconds(point[name].median)
        elif rate is None:
            text = "-"
        else:
            share = rate.share_of_peak
            text = format_rate(rate.value, show) + ("" if share is None else f" {share:.0%}")
        return f"{text} {_PROVEN}" if point.fastest == name else f"{text}  "

    def _title(self) -> str:
        names = ", ".join(self.candidates)
        return f"Sweep of {names} over {', '.join(self.axes)}: {_points(len(self.points))}"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        return self._cells("time")

    def _more_tables(self) -> list[tuple[str, Iterator[tuple[str, ...]]]]:
        return [(f"{kind} per second", self._cells(kind)) for kind in self.kinds]

    def _notes(self) -> list[str]:
        if len(self.candidates) < 2:
            return []
        return [
            f"{_PROVEN} marks the fastest candidate where that is proven. The geometric mean is "
            f"of the ratios to {self.candidates[0]}."
        ]

    def _records(self) -> list[dict[str, Any]]:
        """Return one row per point and candidate; a point that failed has no times."""
        rows = []
        for point in self.points:
            for name in self.candidates:
                one = point[name] if point.timed else None
                row: dict[str, Any] = {
                    **point.values,
                    "candidate": name,
                    "median": one and one.median,
                    "low": one and one.interval[0],
                    "high": one and one.interval[1],
                    "host_time": one and one.host_time,
                    "runs": one and one.runs,
                    "ratio": one and one.ratio,
                    "verdict": one and one.verdict,
                    "is_fastest": point.fastest == name,
                }
                for kind in self.kinds:
                    rate = point.rate(name, kind) if one else None
                    row[f"{kind}_per_second"] = rate and rate.value
                rows.append({**row, "error": point.error})
        return rows

    def _text_columns(self) -> tuple[int, ...]:
        return tuple(range(len(self.axes)))


def from_content(fields: Fields) -> Sweep:
    """Return the sweep in a document. Raises ValueError if the content is not one."""
    points = tuple(point_from_content(one) for one in fields.objects("points"))
    candidates = tuple(_texts(fields, "candidates"))
    axes = {axis.text("name"): tuple(axis.items("values")) for axis in fields.objects("axes")}
    for point in points:
        if list(point.values) != list(axes):
            raise ValueError("a point has other axes than the sweep")
        if point.timed and [one.candidate for one in point.timed] != list(candidates):
            raise ValueError("a point has other candidates than the sweep")
    known = not fields.is_null("environment")
    environment = Environment.from_fields(fields.object("environment")) if known else None
    options = fields.object("options") if "options" in fields.names() else Fields({})
    for name in options.names():
        if not isinstance(options.raw(name), (int, float, str, bool, type(None))):
            raise options.wrong(name, "a number, a text or null")
    return Sweep(
        axes,
        candidates,
        points,
        fields.number("margin"),
        environment,
        {name: options.raw(name) for name in options.names()},
    )


def _texts(fields: Fields, name: str) -> Sequence[str]:
    items = fields.items(name)
    if not items or not all(isinstance(item, str) for item in items):
        raise fields.wrong(name, "a list of names")
    return items


def _points(count: int) -> str:
    return "1 point" if count == 1 else f"{count} points"
