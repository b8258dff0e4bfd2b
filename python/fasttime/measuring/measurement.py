# SPDX-License-Identifier: BSD-3-Clause
"""`Measurement`: the times of one callable, how they print, and how they are saved."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..bottleneck import Bottleneck
from ..console import line, warning_lines
from ..documents import MEASUREMENT, Fields, plain
from ..environment.describe import Environment
from ..environment.origin import ProcessOrigin
from ..rates.rate import Rate, rates_of
from ..stats.median import median_interval
from ..stats.outliers import far_outliers, median_deviation
from ..stats.processes import at_one_level, by_process, coarsest_step, processes_interval
from ..tabular import TabularResult
from ..text import format_seconds
from ..timing_warning import TimingWarning
from .clocks import ClockSample, median_clock
from .document import SERIES, check, read_fields, saved_content, to_content
from .figures import charts, rows
from .merging import merged_fields
from .options import Cache, EndedBy, Method
from .percentiles import PERCENTS, Percentiles
from .plot import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType


@dataclass(frozen=True, eq=False, repr=False)
class Measurement(TabularResult):
    """The times of one callable that was run many times in a loop. All times are in seconds.

    Statistics are derived from `times` when you ask for them. A measurement prints as a few lines
    of text, with its warnings.

    Attributes:
        times: one time per kept run, in the order of the runs; float64, read-only.
        warmup_times: the same for the ignored runs, which came first. The event overhead is never
            subtracted from them.
        host_times: how long the host was in the callable. One per kept run if you gave `warmup` and
            `repeat`. Otherwise only of runs in which the device did not make the host wait. If the
            launch queue is not full, it is the time that the host needs to issue the work.
        loop_time: the whole loop, warm-up included, with the device idle at both ends.
        method: ``naive``, ``sync``, ``event``, or ``graph`` for replays of a CUDA graph.
        label: the callable's name.
        device: such as ``cuda:0 NVIDIA H200``, or ``cpu``.
        warmup: how many runs were ignored.
        repeat: how many runs there were, the ignored ones included.
        warnings: reasons to distrust these numbers.
        wall_time: the time per call when calls follow each other, with the device's work and
            without ignored runs. None if it was not measured: for a given number of runs with a
            held stream, with a cold cache, or with `setup`.
        held: whether the stream was held while work was queued. If so, `times` include no launch
            latency.
        cache: ``warm`` if the device's L2 cache was left alone, ``cold`` if it was cleared before
            each run.
        event_overhead: what the method reads for an empty run. For events, what an empty pair of
            events reads. Without CUDA, what the loop adds to the call of an empty function. None if
            unknown.
        is_calibrated: whether `event_overhead` has been subtracted from `times`.
        ended_by: why the runs ended: you gave their ``count``, the ``precision`` was reached, or
            the ``budget`` was spent.
        processes: how many kept runs each process contributed, in the order of `times`.
        origins: where and when each process made its runs, in the order of `processes`. Empty if
            unknown.
        environment: the machine and the versions; None if unknown.
        bottleneck: host or device, and by what factor. None on the CPU, and for methods that read
            the host's clock. For several processes, the bottleneck of the middle one, or
            ``unclear`` if they disagree.
        calls: how many calls a run made in a row. All times are per call.
        has_setup: whether `setup` made fresh arguments before each run.
        work: the work of one call, by kind: ``bytes``, ``flops``, ``items``.
        peaks: the highest measured rate of this GPU, by kind, where known.
        clocks: the clock of the GPU's multiprocessors, read between batches of runs. Empty if the
            driver does not report it.
    """

    _format = MEASUREMENT
    _headings = ("figure", "value")

    times: npt.NDArray[np.float64]
    warmup_times: npt.NDArray[np.float64]
    host_times: npt.NDArray[np.float64]
    loop_time: float
    method: Method
    label: str
    device: str
    warmup: int
    repeat: int
    warnings: tuple[TimingWarning, ...] = ()
    wall_time: float | None = None
    held: bool = False
    cache: Cache = "warm"
    event_overhead: float | None = None
    is_calibrated: bool = False
    ended_by: EndedBy = "count"
    processes: tuple[int, ...] = ()
    origins: tuple[ProcessOrigin, ...] = ()
    environment: Environment | None = None
    bottleneck: Bottleneck | None = None
    calls: int = 1
    has_setup: bool = False
    work: Mapping[str, float] = dataclasses.field(default_factory=dict)
    peaks: Mapping[str, float] = dataclasses.field(default_factory=dict)
    clocks: tuple[ClockSample, ...] = ()

    def __post_init__(self) -> None:
        for name in SERIES:
            values = np.array(getattr(self, name), dtype=np.float64)
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if not self.processes:
            object.__setattr__(self, "processes", (len(self.times),))

    def __len__(self) -> int:
        """Return the number of kept runs."""
        return len(self.times)

    @property
    def host_time(self) -> float:
        """The median of `host_times`: how long the host takes to issue one call, in seconds."""
        return float(np.median(self.host_times))

    @property
    def mean(self) -> float:
        """The mean of `times`."""
        return float(self.times.mean())

    @property
    def median(self) -> float:
        """The median of `times`. For several processes, the median of `process_medians`.

        So each process has the same weight, however many runs it has.
        """
        return float(np.median(self.process_medians))

    @property
    def process_medians(self) -> tuple[float, ...]:
        """The median of each process, in order. A single process has one."""
        return tuple(float(np.median(part)) for part in by_process(self.times, self.processes))

    @property
    def std(self) -> float:
        """The standard deviation of `times`, with n - 1 as divisor; NaN for a single run."""
        return float(self.times.std(ddof=1)) if len(self) > 1 else float("nan")

    @property
    def mad(self) -> float:
        """The median absolute deviation from the median, not scaled. Outliers do not change it."""
        return median_deviation(self.times)

    @property
    def median_interval(self) -> tuple[float, float]:
        """The interval that covers the true median with 95 % probability, in seconds.

        For one process, it goes from one order statistic to another. It is exact for any
        distribution if runs are independent. From 40 runs on, it is no narrower than the spread of
        the medians of consecutive blocks suggests, because runs may resemble their neighbours.
        Blocks that resemble each other count as fewer blocks. The interval is NaN for fewer than 6
        runs. It says nothing about what another process would read.

        For three processes or more, it covers further processes too. It is then Student's interval
        from the logarithms of `process_medians`, however many runs there are. It is NaN for two
        processes, because two are too few to show how much processes differ. It is also NaN if a
        process median is not above 0.

        If readings come in steps, as a GPU's clock gives them, half a step is added at each end.
        If all readings are equal, no step shows and the interval has no width.
        """
        if len(self.processes) == 1:
            return median_interval(self.times)
        return processes_interval(by_process(self.times, self.processes))

    @property
    def outliers(self) -> npt.NDArray[np.bool_]:
        """For each kept run, whether it lies far from the others. Statistics include outliers.

        Far means beyond Tukey's outer fences: more than three interquartile ranges beyond the
        quartiles, and at least 1 % of the median. Each run is compared with its own process.
        """
        parts = by_process(self.times, self.processes)
        return far_outliers(at_one_level(parts), coarsest_step(parts))

    @property
    def min(self) -> float:
        """The shortest time."""
        return float(self.times.min())

    @property
    def max(self) -> float:
        """The longest time."""
        return float(self.times.max())

    def quantile(self, q: float) -> float:
        """Return the time below which a fraction `q` of the kept runs lie, interpolated linearly.

        Raises ValueError unless 0 <= q <= 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q must be between 0 and 1, got {q}")
        return float(np.quantile(self.times, q))

    def percentiles(self, percents: Sequence[float] = PERCENTS) -> Percentiles:
        """Return the times, in seconds, below which the given percents of the kept runs lie.

        The result is a dict from percent to time, and prints as a table.

        Raises ValueError unless each number is between 0 and 100.
        """
        for percent in percents:
            if not 0 <= percent <= 100:
                raise ValueError(f"percents must be between 0 and 100, got {percent}")
        return Percentiles({percent: self.quantile(percent / 100) for percent in percents})

    @property
    def rates(self) -> dict[str, Rate]:
        """The work per second, by kind. Empty unless you passed `bytes`, `flops` or `items`."""
        return rates_of(self.work, self.peaks, self.median, self.median_interval)

    @property
    def clock(self) -> float | None:
        """The median of `clocks` in MHz; None if unknown."""
        return median_clock(self.clocks)

    def plot(self) -> Figure:
        """Draw the times in run order and their cumulative distribution, with the interval.

        Vertical lines mark changes of the GPU's clock. Returns a matplotlib Figure;
        ``figure.savefig("times.svg")`` saves it. Raises ImportError without matplotlib.
        """
        return draw(self)

    @staticmethod
    def merge(*measurements: Measurement) -> Measurement:
        """Return measurements of the same callable as one, with all their runs.

        Args:
            measurements: at least one, each from a process of its own. `processes` of the result
                says which run came from which process. `median_interval` and
                `fasttime.compare_saved` use the differences between processes.

        Warnings about the times are worked out anew. There are warnings if the environments differ,
        and if there are only two processes. If `is_calibrated` differs, the event overhead is added
        to the times from which it was subtracted, with a warning. If `held` differs, there is a
        warning, and `held` of the result is False.

        Raises TypeError for anything but measurements. Raises ValueError if label, method, cache,
        device, calls, has_setup or work differ, if a measurement is given twice, and if two are
        from the same process.
        """
        for part in measurements:
            if not isinstance(part, Measurement):
                raise TypeError(
                    f"merge() takes measurements, got {type(part).__name__}; for a list, write "
                    "Measurement.merge(*measurements), for a file, fasttime.load(path)"
                )
        fields = merged_fields(measurements)
        return dataclasses.replace(measurements[0], **fields)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict that ``json.dumps`` accepts.

        `save` writes the same content, with long series of times in a shorter form.

        Keys are the attributes. NaN and infinities are the strings ``nan``, ``inf`` and ``-inf``.

        Raises ValueError if the numbers are impossible, such as a negative duration.
        """
        content: dict[str, Any] = plain(to_content(self))
        return content

    def _records(self) -> list[dict[str, Any]]:
        """Return one row per kept run.

        `host_time` is NaN if host times come from other runs than `times`: see `host_times`.
        """
        # With a held stream, automatic lengths take host times from separate runs that are not
        # held. Only those measurements have a wall time, except that fresh arguments prevent it.
        are_paired = len(self.host_times) == len(self.times) and not (
            self.held and (self.wall_time is not None or self.has_setup)
        )
        host_times = self.host_times if are_paired else np.full(len(self.times), math.nan)
        return [
            {"run": run, "time": float(time), "host_time": float(host)}
            for run, (time, host) in enumerate(zip(self.times, host_times, strict=True))
        ]

    def _to_save(self) -> dict[str, Any]:
        return saved_content(to_content(self))

    def to_pandas(self) -> Any:
        """Return a DataFrame with one row per kept run, and its `time` and `host_time` in seconds.

        `host_time` is NaN if host times come from other runs than `times`: see `host_times`.

        Raises ImportError without pandas.
        """
        return super().to_pandas().set_index("run")

    def _renderable(self, width: int) -> RenderableType:
        from rich.console import Group
        from rich.padding import Padding
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        rows = self._rows()
        if self.bottleneck is not None:
            rows.append(("bottleneck", str(self.bottleneck)))
        for name, value in rows:
            grid.add_row(line(name), line(value))
        body = Padding(grid, (0, 0, 0, 2))
        return Group(line(self._title(), "bold"), body, *warning_lines(self.warnings))

    def _notes(self) -> list[str]:
        return [] if self.bottleneck is None else [f"Bottleneck: {self.bottleneck}"]

    def _charts(self) -> str:
        return charts(self)

    def _title(self) -> str:
        title = f"Measurement of {self.label} on {self.device}, method {self.method!r}"
        title += ", held stream" if self.held else ""
        title += ", cold L2 cache" if self.cache == "cold" else ""
        title += ", fresh arguments in each run" if self.has_setup else ""
        title += f", {self.calls} calls per run" if self.calls > 1 else ""
        if self.is_calibrated and self.event_overhead:
            what = "the loop's own" if self.device == "cpu" else "event overhead of"
            title += f", {what} {format_seconds(self.event_overhead)} subtracted"
        return title

    def _rows(self) -> list[tuple[str, str]]:
        """Return the names and values of all figures."""
        return rows(self)


def from_content(fields: Fields) -> Measurement:
    """Return the measurement in a document. Raises ValueError if the content is impossible."""
    measurement = Measurement(**read_fields(fields))
    check(measurement)
    return measurement
