# SPDX-License-Identifier: BSD-3-Clause
"""The recorder: scopes, and what they have measured."""

from __future__ import annotations

import operator
import os
import threading
import weakref
from datetime import datetime, timezone
from typing import Any

from . import _native, _pickling, compile_support, profiler_marks
from .interval import Interval
from .reporting.report import Report
from .reporting.report_building import build_sites
from .reporting.site_index import SiteIndex
from .reporting.site_tally import tally_of
from .sample import Sample
from .timelines.recording import TimelineRecording

_MAX_KEPT = 1_000_000

# Held while statistics are taken or cleared, so that they and their interval belong together.
# Re-entrant, as a signal's handler may ask for a report as well.
_taking = threading.RLock()


class Recorder:
    """Owns sites and their statistics. ``fasttime.scope`` and its kin belong to a default one.

    Make one of your own to keep a library's scopes apart from an application's.

    Args:
        keep_samples: how many recent samples to keep for each site, for `samples`; 0 to 1,000,000.
        share_boundaries: let one CUDA event serve two boundaries that lie closer together (250 ns)
            than anything could reach the stream in, such as the beginnings of nested scopes.

    See ``help(fasttime.scope)`` for `scope`, and the same for `phases`, `begin` and `end`.
    ``FASTTIME=0`` in the environment switches every recorder off from the start. A recorder that is
    copied, as with a model, is the same one; one that is pickled begins
    empty in the process that it comes to.
    """

    def __init__(self, *, keep_samples: int = 0, share_boundaries: bool = True) -> None:
        self._core = _native.Core()
        self.scope, self.begin, self.end, self.phases = self._core.scope_functions()
        compile_support.adopt(self, (self.scope, self.begin, self.end, self.phases))
        _pickling.adopt(self, self._core)
        self._share_boundaries = share_boundaries
        self._interval = Interval.begin(self._core)
        self._site_ids: SiteIndex[int] = SiteIndex()  # of the sites that were known when last asked
        _recorders.add(self)
        if not share_boundaries:
            self._core.set_share_window_ns(0)
        self.keep_samples(keep_samples)
        if os.environ.get("FASTTIME", "").lower() in ("0", "false", "off", "no"):
            self.disable()
        if os.environ.get("FASTTIME_NVTX") == "1":
            self.mark_nvtx()

    def __deepcopy__(self, memo: dict[int, object]) -> Recorder:
        """Return the recorder itself: a copy of a model that keeps one records there as well."""
        return self

    def __copy__(self) -> Recorder:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the options: another process has its own scopes, and begins with none."""
        if self is default_recorder():
            return default_recorder, ()
        return _again, (self._kept, self._share_boundaries)

    def report(
        self, wait: bool = False, reset: bool = False, timeout: float | None = None
    ) -> Report:
        """Return what has been measured so far.

        Args:
            wait: first wait until the device has finished every scope that had ended by the call.
                Other Python threads run meanwhile, and Ctrl-C interrupts.
            reset: clear the statistics in the same step, so that each scope is counted in one
                report, and in one only. Scopes that are pending or open count in the next one,
                with all of their time; see `SiteReport.began_earlier`.
            timeout: how many seconds to wait at most; what is not done then is counted as pending.

        Waits for nothing unless `wait` is given. Raises ValueError for a timeout that is less than
        nothing, or without `wait`.
        """
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be a number of seconds >= 0, got {timeout!r}")
        if timeout is not None and not wait:
            raise ValueError(
                f"report() waits for nothing, so that timeout={timeout!r} says nothing; to wait, "
                f"write report(wait=True, timeout={timeout!r})"
            )
        _native.bind_if_cuda_is_up()
        if wait:
            self._core.drain(-1.0 if timeout is None else timeout)
        else:
            self._core.poll()
        with _taking:
            interval, following = self._interval, Interval.begin(self._core)
            entries = self._core.site_entries(reset)
            if reset:
                self._interval = following
        counts = self._core.counts()
        backend = _native.backend()
        duration = (following.begin_ns - interval.begin_ns) * 1e-9
        failures = following.failures - interval.failures
        return Report(
            sites=build_sites([tally_of(entry, duration) for entry in entries]),
            backend="cuda" if backend["has_cuda"] else "host",
            backend_reason=backend["reason"],
            duration=duration,
            open=counts.open,
            pending=counts.pending,
            refused_sites=following.refused_sites - interval.refused_sites,
            last_failure=backend["last_failure"] if failures else "",
            scopes_were_compiled=compile_support.scopes_were_compiled(),
            switched_off=not self.enabled,
            date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            failures=failures,
            interval=interval.name,
        )

    def samples(self, path: str | tuple[str, ...]) -> list[Sample]:
        """Return the kept samples of a site, oldest first; see `keep_samples`.

        Args:
            path: of the site, such as ``"step/forward"``; or its names, ``("step", "forward")``,
                which tell sites apart whose names hold a slash.

        Waits for nothing: scopes that the device has not finished are not among them yet. Raises
        KeyError where nothing was ever timed there, or where several sites have that path.
        """
        self._core.poll()
        with _taking:
            ids = self._site_ids
            for parent, name in self._core.site_names(len(ids) + 1):
                ids.add(parent, name, ids.path_below(parent, name), len(ids) + 1)
            site = ids[path]
        path = path if isinstance(path, str) else "/".join(path)
        return [
            Sample(
                path,
                status,
                begin_ns * 1e-9,
                None if host_ns < 0 else host_ns * 1e-9,
                None if device_ns is None else device_ns * 1e-9,
                shared,
            )
            for status, begin_ns, host_ns, device_ns, shared in self._core.recent(site)
        ]

    def record_timeline(
        self, max_scopes: int = 100_000, *, timeout: float = 10.0
    ) -> TimelineRecording:
        """Record what host and device do in an interval, on one clock, to look at it as a picture.

            with fasttime.record_timeline() as timeline:
                step()
            timeline.save("trace.json")  # for https://ui.perfetto.dev; also .csv, .svg, .png, .pdf

        or, where a `with` does not fit,

            recording = fasttime.record_timeline()
            recording.start()
            ...
            timeline = recording.stop(wait=True)

        Args:
            max_scopes: how many scopes to keep, 1 to 10,000,000; 64 bytes each. When they are
                reached the newest are not kept, but counted as `Timeline.dropped`.
            timeout: how many seconds the end of the ``with`` block waits at most.

        The scopes of the interval are those that begin after its start and end before its end. The
        device is behind, and a picture with its last scopes missing is not what one wants to see,
        so the end of the block waits until the device has finished them, for `timeout` seconds
        at most, unless an exception ends it or the stream captures a CUDA graph. Scopes themselves
        do not wait and cost the same; reading them takes one CUDA call more. `stop` waits only
        where it is asked to.

        The device is put on the host's clock by events between two readings of it, taken at start,
        at stop, and each second while scopes end. Between two of them its moments are
        interpolated, to some microseconds; each span says to how many, `Span.uncertainty`. Where
        the clocks could not be compared they are None.

        Raises ValueError for a bound or a timeout out of range.
        """
        return TimelineRecording(self._core, max_scopes, timeout)

    def keep_samples(self, count: int) -> None:
        """Keep the last `count` samples of each site from now on, for `samples`; 0 keeps none.

        A sample takes about 64 bytes. ``report(reset=True)`` leaves the samples, `reset` forgets
        them. Raises ValueError unless 0 <= count <= 1,000,000.
        """
        count = operator.index(count)
        if not 0 <= count <= _MAX_KEPT:
            raise ValueError(f"keep_samples must lie between 0 and {_MAX_KEPT:,}, got {count:,}")
        self._core.set_keep(count)
        self._kept = count

    def reset(self) -> None:
        """Forget all that was measured, and scopes that are open or pending now as well."""
        with _taking:
            self._core.reset()
            self._interval = Interval.begin(self._core)

    def enable(self) -> None:
        """Switch scopes on again after `disable`."""
        _native.set_enabled(self.scope, True)

    def disable(self) -> None:
        """Switch scopes off: those that begin from now on do nothing, at next to no cost."""
        _native.set_enabled(self.scope, False)

    def mark_nvtx(self, on: bool = True) -> None:
        """Make each scope a range in Nsight Systems and torch.profiler too, or stop doing so.

        Ranges are NVTX's, where torch has it, and torch.profiler's own while a profiler runs. They
        lie on the host; an NVTX range costs about a microsecond, outside of the scope's own times.
        Phases are ranges too. Scopes that do not mark cost nothing more. ``FASTTIME_NVTX=1`` in the
        environment asks for it from the start. What NVTX raises is
        reported by ``sys.unraisablehook``, and never reaches the scope.
        """
        if on:
            _native.set_marks(self.scope, profiler_marks.begin, profiler_marks.end)
        else:
            _native.set_marks(self.scope, None, None)

    @property
    def enabled(self) -> bool:
        """Whether scopes do anything."""
        return _native.is_enabled(self.scope)


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _begin_in_child() -> None:
    """Begin anew in the child of a fork, as the core has done by now."""
    _taking.release()
    for recorder in list(_recorders):
        recorder._interval = Interval.begin(recorder._core)


os.register_at_fork(
    before=_taking.acquire, after_in_parent=_taking.release, after_in_child=_begin_in_child
)


def default_recorder() -> Recorder:
    """Return the recorder that ``fasttime.scope`` and its kin belong to."""
    return _default


def _again(keep_samples: int, share_boundaries: bool) -> Recorder:
    return Recorder(keep_samples=keep_samples, share_boundaries=share_boundaries)


_default = Recorder()
