# SPDX-License-Identifier: BSD-3-Clause
"""Recording a timeline, from start to stop."""

from __future__ import annotations

import math
import operator
import os
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from .. import _native
from .columns import Columns, Site
from .replays import ReplayScopes
from .thread_names import ThreadNames
from .timeline import Timeline

if TYPE_CHECKING:
    from .._native import Core

_MAX_SCOPES = 10_000_000
_in_background: dict[Core, TimelineRecording] = {}


class TimelineRecording:
    """Records a timeline, in a ``with`` block or from `start` to `stop`. See `record_timeline`.

    After a stop you can start it again for another timeline.
    """

    def __init__(
        self,
        core: Core,
        max_scopes: int,
        timeout: float,
        others: Callable[[], Iterable[Core]] = tuple,
    ) -> None:
        if isinstance(max_scopes, (str, os.PathLike)):
            raise TypeError(
                f"max_scopes must be a number of scopes, got {max_scopes!r}; save the timeline "
                f"after the recording: timeline.save({os.fspath(max_scopes)!r})"
            )
        max_scopes = operator.index(max_scopes)
        if not 1 <= max_scopes <= _MAX_SCOPES:
            raise ValueError(
                f"max_scopes must lie between 1 and {_MAX_SCOPES:,}, got {max_scopes:,}"
            )
        self._core = core
        self._find_others = others  # cores to record as well, asked at the start
        self._others: list[Core] = []
        self._max_scopes = max_scopes
        self._timeout = _checked_timeout(timeout)
        self._timeline: Timeline | None = None
        self._thread_names = ThreadNames()
        self._replays = ReplayScopes(core)
        self._taking = threading.Lock()  # of several threads that stop, one gets the timeline

    def start(self) -> None:
        """Keep the scopes that begin from now on.

        Takes up to 30 µs per device to compare its clock with the host's. Does not wait otherwise.
        Raises RuntimeError if another timeline of this recorder is being recorded.
        """
        _native.bind_if_cuda_is_up()
        if self._core in _in_background:
            _in_background[self._core].stop()
        if not self._core.start_spans(self._max_scopes):
            raise RuntimeError(
                "a timeline of this recorder is being recorded already; stop() that recording "
                "first, or use a Recorder of your own"
            )
        self._others = [
            other for other in self._find_others() if other.start_spans(self._max_scopes)
        ]
        self._thread_names.start()
        if self._core.has_graphs():
            self._replays.start()
        self._timeline = Timeline._being_recorded()

    def start_in_background(self) -> None:
        """Start for a tool. This recording stops as soon as the program starts its own."""
        self.start()
        _in_background[self._core] = self

    @property
    def is_recording(self) -> bool:
        """Whether the recording has started and not stopped."""
        return self._timeline is not None

    def stop(self, wait: bool = False, timeout: float | None = None) -> Timeline:
        """Stop, and return the timeline of the scopes that began and ended since `start`.

        Args:
            wait: first wait until the device has finished the scopes. Other Python threads run
                meanwhile, and Ctrl-C interrupts. While the current stream captures a CUDA graph,
                nothing waits.
            timeout: the longest wait in seconds; None waits as long as it takes.

        Waits only if you ask for it, like `report`. Without a wait, scopes that the device has not
        finished are missing; `Timeline.pending` counts them. Raises RuntimeError if nothing is
        being recorded.
        """
        limit = math.inf if timeout is None else _checked_timeout(timeout)
        with self._taking:
            timeline, self._timeline = self._timeline, None
        if timeline is None:
            raise RuntimeError("no timeline is being recorded; call start() first")
        _in_background.pop(self._core, None)
        self._replays.stop()
        cores = [self._core, *self._others]
        for core in cores:
            core.close_spans()
        waits = wait and not _native.is_capturing()
        begin_ns = _native.host_now_ns()
        try:
            for core in cores:
                if waits:
                    left = limit - (_native.host_now_ns() - begin_ns) * 1e-9
                    core.drain(-1.0 if math.isinf(limit) else max(0.0, left))
                else:
                    core.poll()
        finally:
            timeline._complete(self._recorded(waits))
        return timeline

    def _recorded(self, waited: bool) -> Timeline:
        cores = [self._core, *self._others]
        self._others = []
        pending = sum(core.counts().pending for core in cores)
        all_taken = [core.take_spans() for core in cores]
        taken = all_taken[0]
        columns = Columns.joined(
            [Columns.of_core(one, _sites(core)) for one, core in zip(all_taken, cores, strict=True)]
        )
        names = self._thread_names.stop()
        threads = np.unique(columns.thread).tolist()
        return Timeline(
            columns,
            {thread: names[thread] for thread in threads if thread in names},
            begin_ns=taken["from_ns"],
            end_ns=taken["until_ns"],
            dropped=sum(one["dropped"] for one in all_taken),
            pending=pending,
            waited=waited,
        )

    def __enter__(self) -> Timeline:
        """Start, and return the timeline. You can read it after the block."""
        self.start()
        assert self._timeline is not None
        return self._timeline

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop. Wait for the device unless the block raised an exception."""
        if self._timeline is not None:  # otherwise stop() was called inside the block
            self.stop(wait=exc_type is None, timeout=self._timeout)


def _checked_timeout(timeout: float) -> float:
    if not timeout >= 0:
        raise ValueError(f"timeout must be a number of seconds >= 0, got {timeout!r}")
    return timeout


def _sites(core: Core) -> list[Site]:
    """Return all sites by id. Id 0 is the root, which has no scopes."""
    sites = [Site("", "", None, -1)]
    for parent_id, name in core.site_names():
        parent = sites[parent_id]
        path = f"{parent.path}/{name}" if parent_id else name
        sites.append(Site(path, name, parent.path if parent_id else None, parent.depth + 1))
    return sites
