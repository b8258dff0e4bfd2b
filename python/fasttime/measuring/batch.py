# SPDX-License-Identifier: BSD-3-Clause
"""A batch of runs, and the protocol of samplers, which make and read the runs."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from ..recorder import Recorder
from ..sample import Sample
from ..stats import Times
from ..timing_warning import TimingWarning
from . import accelerators, machine
from .elsewhere import Elsewhere
from .warnings import judge_samples

# Names of the scopes that samplers record. Scopes of runs never share a boundary: each run has two
# events of its own, so that all runs are timed alike.
RUN, EMPTY = "run", "empty"


class Batch(NamedTuple):
    """Some runs in a row. All times are in seconds.

    Attributes:
        times: what the method read for each run, in the order of the runs.
        host_times: how long the host was in the callable, for each run.
        duration: the whole batch, with the device idle at both ends.
        backlog: how long the timed stream kept working after the host had left the last run.
        work_was_waiting: whether every run found its work already queued; None if unknown or not
            checked. See `waiting`.
        others: how long work elsewhere went on after the timed stream was done.
        event_overheads: readings of empty pairs of events, one per run, from the same holds; empty
            if there are none.
        warning: the method's own warning.
        kept_duration: how long the kept runs took, from the moment when the first of them could
            begin, with the device idle at the end. 0 if unknown, as behind a held stream.
    """

    times: Times
    host_times: Times
    duration: float
    backlog: float = 0.0
    work_was_waiting: bool | None = None
    others: Elsewhere = Elsewhere()
    event_overheads: Times = np.empty(0)
    warning: TimingWarning | None = None
    kept_duration: float = 0.0


class BatchInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a batch in which at least one kept run was complete.

    Attributes:
        batch: the complete runs.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.batch = batch


class Sampler(Protocol):
    """Runs one callable by one method. Open it once, then take batch after batch."""

    def take(self, runs: int, ignored: int = 0) -> Batch:
        """Run the callable `runs` times. Waits for the device before and after.

        The first `ignored` runs are warm-up. They are read like the others, but they do not count
        for `Batch.work_was_waiting`, for the method's warning, or for `Batch.kept_duration`.

        Raises BatchInterrupted on Ctrl-C if a kept run was complete.
        """
        ...


def nothing() -> None:
    """Do nothing. Stands in for a callable without work, or for a cache that is not cleared."""


def new_recorder(keep: int) -> Recorder:
    """Return a recorder for runs. ``FASTTIME=0`` does not switch it off."""
    recorder = Recorder(keep_samples=keep, share_boundaries=False)
    recorder.enable()
    return recorder


def read_samples(
    recorder: Recorder, ignored: int, path: str = RUN
) -> tuple[list[Sample], TimingWarning | None]:
    """Return the runs in the order in which they began. Waits for the device.

    Raises RuntimeError like `judge_samples`.
    """
    report = recorder.report(wait=True)
    samples = sorted(recorder.samples(path), key=lambda sample: sample.host_begin)
    warning = judge_samples(samples, ignored, report, machine.cuda_is_up())
    if warning is accelerators.ON_CPU:
        warning = accelerators.without_cuda("event")
    return samples, warning


def times_of(samples: list[Sample]) -> tuple[Times, Times]:
    """Return device times and host times. A run without a device time has its host time in both."""
    host_times = np.array([sample.host_time or 0.0 for sample in samples])
    times = [
        host_time if sample.device_time is None else sample.device_time
        for sample, host_time in zip(samples, host_times, strict=True)
    ]
    return np.array(times), host_times
