# SPDX-License-Identifier: BSD-3-Clause
"""Recording a timeline: from a start to a stop."""

from __future__ import annotations

import math
import operator
import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from .. import _native
from .columns import Columns, Site
from .timeline import Timeline

if TYPE_CHECKING:
    from .._native import Core

_MAX_SCOPES = 10_000_000
_in_background: dict[Core, TimelineRecording] = {}


class TimelineRecording:
    """Records a timeline, by ``with`` or from `start` to `stop`; `record_timeline` makes it.

    Once stopped it can be started again, for another timeline.
    """

    def __init__(self, core: Core, max_scopes: int, timeout: float) -> None:
        if isinstance(max_scopes, (str, os.PathLike)):
            raise TypeError(
                f"max_scopes is how many scopes to keep, got {max_scopes!r}; a timeline is saved "
                f"once it is recorded: timeline.save({os.fspath(max_scopes)!r})"
            )
        max_scopes = operator.index(max_scopes)
        if not 1 <= max_scopes <= _MAX_SCOPES:
            raise ValueError(
                f"max_scopes must lie between 1 and {_MAX_SCOPES:,}, got {max_scopes:,}"
            )
        self._core = core
        self._max_scopes = max_scopes
        self._timeout = _checked_timeout(timeout)
        self._timeline: Timeline | None = None
        self._taking = threading.Lock()  # guards that one thread alone takes it to fill

    def start(self) -> None:
        """Keep the scopes that begin from now on.

        Takes up to 30 us a device to compare its clock with the host's, and waits for nothing else.
        Raises RuntimeError where a timeline of this recorder is being recorded already.
        """
        _native.bind_if_cuda_is_up()
        if self._core in _in_background:
            _in_background[self._core].stop()
        if not self._core.start_spans(self._max_scopes):
            raise RuntimeError(
                "a timeline of this recorder is being recorded already: stop() that one first, or "
                "record the scopes of a Recorder of your own"
            )
        self._timeline = Timeline._unfilled()

    def start_in_background(self) -> None:
        """Start, for a tool: where the program starts a recording of its own, this one stops."""
        self.start()
        _in_background[self._core] = self

    @property
    def is_recording(self) -> bool:
        """Whether it was started and not stopped."""
        return self._timeline is not None

    def stop(self, wait: bool = False, timeout: float | None = None) -> Timeline:
        """Stop, and return the timeline of the scopes that began and ended since `start`.

        Args:
            wait: first wait until the device has finished them. Other Python threads run meanwhile,
                and Ctrl-C interrupts. Nothing is waited for while the current stream captures a
                CUDA graph.
            timeout: how many seconds to wait at most; without it, as long as it takes.

        As with `report`, nothing is waited for unless `wait` is given: scopes that the device has
        not finished are missing then, and counted as `Timeline.pending`. Raises RuntimeError where
        nothing is being recorded.
        """
        limit = math.inf if timeout is None else _checked_timeout(timeout)
        with self._taking:
            timeline, self._timeline = self._timeline, None
        if timeline is None:
            raise RuntimeError("no timeline is being recorded: call start() first")
        _in_background.pop(self._core, None)
        self._core.close_spans()
        waits = wait and not _native.is_capturing()
        try:
            if waits:
                self._core.drain(-1.0 if math.isinf(limit) else limit)
            else:
                self._core.poll()
        finally:
            self._finish(timeline, waits)
        return timeline

    def _finish(self, timeline: Timeline, was_awaited: bool) -> None:
        pending = self._core.counts().pending
        taken = self._core.take_spans()
        names = {t.native_id: t.name for t in threading.enumerate() if t.native_id is not None}
        host_begin_ns, host_end_ns = taken["host_begin_ns"], taken["host_end_ns"]
        columns = Columns(
            sites=_sites(self._core),
            site=taken["site"].astype(np.int32),
            status=taken["status"],
            thread=taken["thread"],
            device=taken["device"],
            stream=taken["stream"],
            host_begin_ns=host_begin_ns,
            host_end_ns=host_end_ns,
            is_ended=host_end_ns >= host_begin_ns,
            device_begin_ns=taken["device_begin_ns"],
            device_end_ns=taken["device_end_ns"],
            is_placed=taken["is_placed"],
            uncertainty_ns=taken["uncertainty_ns"],
            shares_boundary=taken["shares_boundary"],
        ).in_order()
        seen = set(np.unique(columns.thread).tolist())
        timeline._fill(
            columns,
            {thread: name for thread, name in names.items() if thread in seen},
            taken["from_ns"],
            taken["until_ns"],
            taken["dropped"],
            pending,
            was_awaited=was_awaited,
        )

    def __enter__(self) -> Timeline:
        """Start; the timeline that is returned can be read after the block."""
        self.start()
        assert self._timeline is not None
        return self._timeline

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, waiting for the device unless an exception is on its way."""
        if self._timeline is not None:  # or stop() was called inside
            self.stop(wait=exc_type is None, timeout=self._timeout)


def _checked_timeout(timeout: float) -> float:
    if not timeout >= 0:
        raise ValueError(f"timeout must be a number of seconds >= 0, got {timeout!r}")
    return timeout


def _sites(core: Core) -> list[Site]:
    """By site id; number 0 is the root, which nothing is ever at."""
    sites = [Site("", "", None, -1)]
    for site in core.site_names():
        parent = sites[site[0]]
        path = f"{parent.path}/{site[1]}" if site[0] else site[1]
        sites.append(Site(path, site[1], parent.path if site[0] else None, parent.depth + 1))
    return sites
