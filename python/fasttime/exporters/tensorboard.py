# SPDX-License-Identifier: BSD-3-Clause
"""Write reports to TensorBoard.

from fasttime.exporters import tensorboard
from torch.utils.tensorboard import SummaryWriter

tensorboard.write(SummaryWriter(), fasttime.report(), step=100)
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from ..optional import require
from ..reports import by_path

if TYPE_CHECKING:
    from ..reports.durations import Durations
    from ..reports.report import Report

require("tensorboard", __name__, "tensorboard")

_PER_OCTAVE = 8  # buckets of a histogram per factor of two


def write(writer: Any, report: Report, step: int, *, prefix: str = "fasttime/") -> None:
    """Write the figures, a histogram per site, and the warnings of a report.

        tensorboard.write(writer, fasttime.report(), step)

    Args:
        writer: a ``torch.utils.tensorboard.SummaryWriter``.
        report: the report. For figures of the time since the last call, pass `Report.since`.
        step: the number of the training step.
        prefix: the beginning of every tag.

    Scalars have the tags of `Report.scalars`. Histograms have the tags ``<site>/device`` and
    ``<site>/host``. Times are in seconds. Never waits for the device.
    """
    for tag, value in report.scalars(prefix).items():
        writer.add_scalar(tag, value, step)
    for path, site in by_path.of_report(report).items():
        for kind, times in (("device", site.device), ("host", site.host)):
            if times is not None and times.count:
                _add_histogram(writer, f"{prefix}{path}/{kind}", times, step)
    if report.warnings:
        text = "\n\n".join(map(str, report.warnings))
        writer.add_text(f"{prefix}warnings", text, step)


def _add_histogram(writer: Any, tag: str, times: Durations, step: int) -> None:
    limits = _limits(times)
    below = [0, *times.counts_below(limits)]
    # The sample variance is (sum of squares - n * mean²) / (n - 1).
    squares = (times.count - 1) * times.std**2 + times.count * times.mean**2
    writer.add_histogram_raw(
        tag,
        min=times.min,
        max=times.max,
        num=times.count,
        sum=times.total,
        sum_squares=squares,
        bucket_limits=limits,
        bucket_counts=[high - low for low, high in itertools.pairwise(below)],
        global_step=step,
    )


def _limits(times: Durations) -> list[float]:
    """Return the upper limits of the buckets in seconds. The last limit is the longest duration."""
    shortest = max(times.min, 1e-9)  # a nanosecond, for durations that read 0
    if times.max <= shortest:
        return [shortest]
    octaves = math.log2(times.max / shortest)
    inner = range(math.ceil(octaves * _PER_OCTAVE))
    return [*(shortest * 2 ** (place / _PER_OCTAVE) for place in inner), times.max]
