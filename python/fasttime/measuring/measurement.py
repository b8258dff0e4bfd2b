# SPDX-License-Identifier: BSD-3-Clause
"""What `fasttime.measure` has found out: raw times, what was measured, and doubts about it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..bottleneck import Bottleneck
from ..environment.describe import Environment
from ..stats.processes import (
    at_one_level,
    by_process,
    coarsest_step,
    processes_interval,
)
from ..stats.times import far_outliers, median_deviation, median_interval
from ..text import for_stdout, format_count, format_seconds, printable
from ..timing_warning import TimingWarning
from .merging import merge

Method = Literal["naive", "sync", "event", "graph"]
Cache = Literal["warm", "cold"]
Auto = Literal["auto"]
EndedBy = Literal["count", "precision", "budget"]

# The three that the comparison of methods is about; ``graph`` times something else, a replay.
METHODS: tuple[Method, ...] = ("naive", "sync", "event")

_LONGEST_LINE = 10_000

_MOST_LISTED = 5  # medians of processes, of which a line has room for no more


@dataclass(frozen=True, eq=False, repr=False)
class Measurement:
    """The times of one callable, run many times in a loop. All times are in seconds.

    Everything else is worked out from `times` when it is asked for. Prints as a few lines of text,
    its own warnings among them.

    Attributes:
        times: one for each kept run, in the order in which they ran; float64, read-only.
        warmup_times: the same for the runs that are ignored, which came first.
        host_times: how long the host was in the callable, for each kept run; where their number was
            not given, only for runs in which nothing held the host back. Where the launch queue is
            not full, that is what issuing the work takes.
        loop_time: the whole loop, warm-up included, with the device idle at either end.
        method: ``naive``, ``sync``, ``event``, or ``graph`` for replays of a CUDA graph.
        label: the callable's name.
        device: such as ``cuda:0 NVIDIA H100 80GB HBM3``, or ``cpu``.
        warmup: how many runs are ignored.
        repeat: how many runs there were, the ignored ones included.
        warnings: doubts about these numbers.
        wall_time: what one call takes when calls follow one another, the device's work included and
            ignored runs left out; None where that was not measured, as where a given number of runs
            was held, or cleared the cache.
        held: whether the stream was held while the work was queued, so that no launch latency is in
            `times`.
        cache: whether the device's L2 cache was left ``warm`` or cleared before each run, ``cold``.
        floor: what the method reads where there is nothing to time; None if unknown.
        is_calibrated: whether `floor` has been taken off `times`.
        ended_by: why there are so many runs: their ``count`` was given, the ``precision`` asked for
            was reached, or the ``budget`` was spent.
        processes: how many of the kept runs each process contributed, in the order of `times`.
        environment: the machine and the versions; None where it was not looked at.
        bottleneck: whether host or device decides, and by how much; None on the CPU, and where the
            host's clock was read. Of several processes, that of the one in the middle; ``unclear``
            where they do not agree.
    """

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
    environment: Environment | None = None
    bottleneck: Bottleneck | None = None

    def __post_init__(self) -> None:
        for name in ("times", "warmup_times", "host_times"):
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
        """What issuing one call takes the host: the median of `host_times`, in seconds."""
        return float(np.median(self.host_times))

    @property
    def mean(self) -> float:
        """Their mean."""
        return float(self.times.mean())

    @property
    def median(self) -> float:
        """Their median; of several processes, the median of `process_medians`.

        So a process that made more runs than another has no more say.
        """
        return float(np.median(self.process_medians))

    @property
    def process_medians(self) -> tuple[float, ...]:
        """The median of each process, in their order; of one process there is one."""
        return tuple(float(np.median(part)) for part in by_process(self.times, self.processes))

    @property
    def std(self) -> float:
        """Their standard deviation, with n - 1 below the line; NaN for a single run."""
        return float(self.times.std(ddof=1)) if len(self) > 1 else float("nan")

    @property
    def mad(self) -> float:
        """The median distance from the median: a spread that odd runs do not change. Not scaled."""
        return median_deviation(self.times)

    @property
    def median_interval(self) -> tuple[float, float]:
        """The interval that covers the true median with 95 % probability.

        Of one process: from one order statistic to another, exact for any distribution if runs do
        not resemble their neighbours; and from 40 runs on no narrower than the medians of
        consecutive blocks say, for where they do. NaN below 6 runs. It says nothing of what another
        process would read.

        Of three processes or more it does: Student's, of the logarithms of `process_medians`,
        however many runs there are. NaN for two processes, whose spread says too little, and where
        one of the medians is not above 0.

        Where readings come in steps, as of a GPU's clock, either has half a step more at each end.
        It has no width where all readings are one value, from which no step can be told.
        """
        if len(self.processes) == 1:
            return median_interval(self.times)
        return processes_interval(by_process(self.times, self.processes))

    @property
    def outliers(self) -> npt.NDArray[np.bool_]:
        """For each kept run, whether it lies far from the others. None is ever left out.

        Far is beyond Tukey's outer fences: three spreads of the middle half away from it, and at
        least 1 % of the median. Runs of several processes are each seen beside those of their own.
        """
        parts = by_process(self.times, self.processes)
        return far_outliers(at_one_level(parts), coarsest_step(parts))

    @property
    def min(self) -> float:
        """The shortest."""
        return float(self.times.min())

    @property
    def max(self) -> float:
        """The longest."""
        return float(self.times.max())

    def quantile(self, q: float) -> float:
        """Return the time below which a fraction `q` of the kept runs lie, interpolated linearly.

        Raises ValueError unless 0 <= q <= 1.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"q must lie between 0 and 1, got {q}")
        return float(np.quantile(self.times, q))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to a file, as JSON, for `fasttime.load`.

        Args:
            path: the file, whose name ends in ``.json`` or has no suffix. One that is there is
                replaced, in one step and only once all is written.

        Raises ValueError where the numbers cannot be true or the name has another suffix, and
        OSError as `open` does.

        >>> measurement.save("before.json")  # doctest: +SKIP
        """
        from ..documents import MEASUREMENT, write_document
        from .document import to_content

        write_document(path, MEASUREMENT, to_content(self))

    @staticmethod
    def merge(*measurements: Measurement) -> Measurement:
        """Return measurements of one thing as one, with all their runs.

        Args:
            measurements: at least one, each from a process of its own: `processes` of the result
                says which run came from which, and `median_interval` and `fasttime.compare_saved`
                go by how much they differ.

        Doubts about the times are worked out anew; where the environments differ, that is one, and
        where there are but two processes.

        Raises TypeError for anything but measurements, and ValueError where label, method, cache,
        device, held or is_calibrated differ, and where one measurement is given twice.
        """
        for part in measurements:
            if not isinstance(part, Measurement):
                raise TypeError(
                    f"merge() takes measurements, got a {type(part).__name__}; of a list, write "
                    "Measurement.merge(*measurements), of a file, fasttime.load(path)"
                )
        return merge(measurements)

    def __repr__(self) -> str:
        text = format_seconds
        lines = [
            f"Measurement of {self.label} on {self.device}, method {self.method!r}{self._options()}",
            f"  median {text(self.median)}{self._precision()}, mean {text(self.mean)}"
            + (f", std {text(self.std)}" if len(self) > 1 else ""),
            f"  min {text(self.min)}, max {text(self.max)}, {self._count()}",
        ]
        if len(self.processes) > 1:
            lines.append(f"  {self._medians()}")
        if self.warmup:
            first = text(float(self.warmup_times[0]))
            lines.append(
                f"  {format_count(self.warmup, 'run')} ignored as warm-up, the first took {first}"
            )
        if self.method != "naive" and all(warning.kind != "cpu" for warning in self.warnings):
            wall = "" if self.wall_time is None else f"; {text(self.wall_time)} a call in a row"
            lines.append(f"  the host was in the callable for {text(self.host_time)}{wall}")
        if self.bottleneck is not None:
            lines.append(f"  {self.bottleneck}")
        lines += [f"  {warning}" for warning in self.warnings]
        return for_stdout("\n".join(printable(line, _LONGEST_LINE) for line in lines))

    def _options(self) -> str:
        options = ", behind a held stream" if self.held else ""
        options += ", L2 cache cold" if self.cache == "cold" else ""
        if self.is_calibrated and self.event_overhead is not None:
            options += f", less {format_seconds(self.event_overhead)} of the events' own"
        return options

    def _precision(self) -> str:
        low, high = self.median_interval
        if math.isnan(low):
            return ""
        return f" (95 %: {format_seconds(low)} to {format_seconds(high)})"

    def _medians(self) -> str:
        medians = self.process_medians
        if len(medians) > _MOST_LISTED:
            low, high = format_seconds(min(medians)), format_seconds(max(medians))
            return f"medians of the processes from {low} to {high}"
        return f"medians of the processes: {', '.join(map(format_seconds, medians))}"

    def _count(self) -> str:
        text = format_count(len(self), "run")
        if len(self.processes) > 1:
            text += f" in {len(self.processes)} processes"
        if outliers := int(self.outliers.sum()):
            text += f", {outliers} far from the others"
        return text
