# SPDX-License-Identifier: BSD-3-Clause
"""The recorder: it owns sites and their statistics, and makes reports of them."""

from __future__ import annotations

import operator
import os
import secrets
import threading
import weakref
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _native, profiler_marks
from . import pickling as _pickling
from .modules.active import active_cores
from .reports.build import build_sites, tallies_in
from .reports.report import Report
from .reports.site_index import SiteIndex
from .sample import Sample
from .timelines.recording import TimelineRecording
from .torch_compile import support as compile_support

if TYPE_CHECKING:
    from ._native import Core

_MAX_KEPT = 1_000_000

# Held while statistics are taken or cleared, so that they match their interval. Re-entrant, because
# a signal handler may ask for a report as well.
_taking = threading.RLock()


class _Interval(NamedTuple):
    """The time since the statistics began, and the counters at that moment that no reset clears.

    Attributes:
        name: differs from the name of every other interval, in every process.
        begin_ns: the beginning, on the host clock of the scopes.
        refused_sites: of the recorder, since it was made.
        failures: failed CUDA calls, since the process began.
    """

    name: str
    begin_ns: int
    refused_sites: int
    failures: int

    @classmethod
    def begin(cls, core: Core) -> _Interval:
        """Return an interval that begins now."""
        return cls(
            secrets.token_hex(8),
            _native.host_now_ns(),
            core.counts().refused_sites,
            _native.backend()["failures"],
        )


class Recorder:
    """A set of sites and their statistics. ``fasttime.scope`` and the like use a default recorder.

        recorder = fasttime.Recorder(keep_samples=1000)
        with recorder.scope("step"):
            y = model(x)
        print(recorder.report(wait=True))

    Make your own recorder to keep a library's scopes apart from an application's. It has the
    same functions as the module: `scope`, `phases`, `begin` and `end` are described under
    ``fasttime.scope`` and so on.

    Args:
        keep_samples: how many recent samples to keep per site, 0 to 1,000,000; see `keep_samples`.
        share_boundaries: let one CUDA event serve two boundaries that directly follow each other,
            such as the beginnings of nested scopes. "Directly" means less than 250 ns apart, in
            which time nothing can reach the stream. False records two events per scope.

    ``FASTTIME=0`` in the environment switches every recorder off from the start, and
    ``FASTTIME_NVTX=1`` calls `mark_nvtx`. Copying a recorder, for example together with a model,
    returns the same recorder. A pickled recorder starts empty in the process that loads it.
    """

    def __init__(self, *, keep_samples: int = 0, share_boundaries: bool = True) -> None:
        self._core = _native.Core()
        self.scope, self.begin, self.end, self.phases = self._core.scope_functions()
        compile_support.adopt(self, (self.scope, self.begin, self.end, self.phases))
        _pickling.adopt(self, self._core)
        self._share_boundaries = share_boundaries
        self._interval = _Interval.begin(self._core)
        self._site_ids: SiteIndex[int] = SiteIndex()  # of the sites known at the last samples()
        _recorders.add(self)
        if not share_boundaries:
            self._core.set_share_window_ns(0)
        self.keep_samples(keep_samples)
        if os.environ.get("FASTTIME", "").lower() in ("0", "false", "off", "no"):
            self.disable()
        if os.environ.get("FASTTIME_NVTX") == "1":
            self.mark_nvtx()

    def __deepcopy__(self, memo: dict[int, object]) -> Recorder:
        """Return the recorder itself, so that the copy of a model records to the same one."""
        return self

    def __copy__(self) -> Recorder:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the options only: another process has scopes of its own."""
        if self is default_recorder():
            return default_recorder, ()
        return _again, (self._kept, self._share_boundaries)

    def report(
        self, wait: bool = False, reset: bool = False, timeout: float | None = None
    ) -> Report:
        """Return a report of all scopes that have ended so far.

            print(fasttime.report())  # never waits

        Args:
            wait: first wait until the device has finished every scope that had ended when you
                called. Other Python threads keep running, and Ctrl-C interrupts the wait.
            reset: also clear the statistics, in one step: every scope counts in exactly one report.
                A scope that is pending or open counts in the next report, with its whole time; see
                `SiteReport.began_earlier`. Other readers of this recorder lose what you clear; use
                `Report.since` if there are several.
            timeout: seconds to wait at most; only with `wait`. Scopes that the device has not
                finished by then count as pending.

        Waits only if you pass `wait`. Raises ValueError if `timeout` is negative or
        comes without `wait`.
        """
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be a number of seconds >= 0, got {timeout!r}")
        if timeout is not None and not wait:
            raise ValueError(
                f"timeout={timeout!r} has no effect without wait=True, because report() then waits "
                f"for nothing; write report(wait=True, timeout={timeout!r})"
            )
        _native.bind_if_cuda_is_up()
        if wait:
            self._core.drain(-1.0 if timeout is None else timeout)
        else:
            self._core.poll()
        with _taking:
            interval, following = self._interval, _Interval.begin(self._core)
            entries = self._core.site_entries(reset)
            if reset:
                self._interval = following
        counts = self._core.counts()
        backend = _native.backend()
        duration = (following.begin_ns - interval.begin_ns) * 1e-9
        failures = following.failures - interval.failures
        return Report(
            sites=build_sites(tallies_in(entries, duration)),
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
        """Return the kept samples of one site, oldest first. Call `keep_samples` first.

            fasttime.keep_samples(1000)
            for x in batches:
                with fasttime.scope("step"):
                    y = model(x)
            times = [sample.device_time for sample in fasttime.samples("step")]

        Args:
            path: the path of the site, such as ``"step/forward"``, or its names from the root on,
                ``("step", "forward")``. Use names if two sites share a path, because
                a name contains a slash.

        Never waits, so scopes that the device has not finished are missing. Raises
        RuntimeError if the recorder keeps no samples, and KeyError if no site or more than one site
        has this path.
        """
        self._core.poll()
        with _taking:
            ids = self._site_ids
            for parent, name in self._core.site_names(len(ids) + 1):
                ids.add(parent, name, ids.path_below(parent, name), len(ids) + 1)
            site = ids[path]
        if not self._kept:
            raise RuntimeError(
                "this recorder keeps no samples; call keep_samples(1000) before the scopes run, or "
                "make it with Recorder(keep_samples=1000)"
            )
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
        """Record a timeline: when each scope ran on the host and on the device, on one clock.

            with fasttime.record_timeline() as timeline:
                step()
            timeline.save("trace.json")  # for https://ui.perfetto.dev; also .csv, .svg, .png, .pdf

        or, if a `with` block does not fit,

            recording = fasttime.record_timeline()
            recording.start()
            ...
            timeline = recording.stop(wait=True)

        Args:
            max_scopes: how many scopes to keep, 1 to 10,000,000, at 64 bytes each. Beyond that, new
                scopes are only counted, as `Timeline.dropped`.
            timeout: seconds that the end of the ``with`` block waits at most.

        A timeline has the scopes that begin after its start and end before its end. The end of the
        ``with`` block waits until the device has finished these scopes, for `timeout` seconds at
        most. It does not wait if an exception ends the block or if the stream is capturing a CUDA
        graph. `stop` waits only if you ask. The scopes themselves never wait and cost the same as
        without a timeline; reading each of them takes one more CUDA call.

        To put device times on the host's clock, fasttime compares the clocks at start, at stop, and
        every second while scopes end. It interpolates in between. The result is accurate to a few
        microseconds; `Span.uncertainty` states the error of each span. Device times are None if the
        clocks could not be compared.

        The timeline of the module's own recorder also has the modules of all models that are
        instrumented when it starts, and the parts of their steps. `max_scopes` limits each of them.

        Raises ValueError if `max_scopes` or `timeout` is out of range.
        """
        others = active_cores if self is default_recorder() else tuple
        return TimelineRecording(self._core, max_scopes, timeout, others)

    def keep_samples(self, count: int) -> None:
        """Keep the last `count` samples of each site from now on; `samples` returns them.

            fasttime.keep_samples(1000)

        Args:
            count: samples per site, 0 to 1,000,000, at about 64 bytes each. 0 keeps none, which is
                the default.

        ``report(reset=True)`` leaves the samples, and `reset` deletes them. Raises ValueError if
        `count` is out of range.
        """
        count = operator.index(count)
        if not 0 <= count <= _MAX_KEPT:
            raise ValueError(f"keep_samples must lie between 0 and {_MAX_KEPT:,}, got {count:,}")
        self._core.set_keep(count)
        self._kept = count

    def reset(self) -> None:
        """Delete all statistics and samples. Scopes that are open or pending now never count.

            train_step()  # warm-up
            fasttime.reset()

        Never waits. The next report covers the time from here on.
        """
        with _taking:
            self._core.reset()
            self._interval = _Interval.begin(self._core)

    def enable(self) -> None:
        """Switch scopes on again after `disable` or ``FASTTIME=0``.

            fasttime.enable()

        Scopes that begin from now on are timed. Never waits.
        """
        _native.set_enabled(self.scope, True)

    def disable(self) -> None:
        """Switch scopes off. Scopes that begin from now on do nothing and cost almost nothing.

            fasttime.disable()

        A scope that is already open is still timed. Statistics stay, and `report` still works.
        Never waits.
        """
        _native.set_enabled(self.scope, False)

    def mark_nvtx(self, on: bool = True) -> None:
        """Show each scope as a range in Nsight Systems and torch.profiler as well.

            fasttime.mark_nvtx()
            with torch.profiler.profile() as profile:
                train_step()

        Args:
            on: False stops it.

        Scopes and phases become NVTX ranges if torch has NVTX, and ranges of torch.profiler while a
        profiler runs. The ranges lie on the host. An NVTX range costs about a microsecond, which
        the scope's own times do not include. Without marks, scopes cost nothing more.
        ``FASTTIME_NVTX=1`` in the environment marks from the start. Errors of NVTX go to
        ``sys.unraisablehook`` and never reach the scope.
        """
        if on:
            _native.set_marks(self.scope, profiler_marks.begin, profiler_marks.end)
        else:
            _native.set_marks(self.scope, None, None)

    @property
    def enabled(self) -> bool:
        """Whether scopes are switched on; see `enable` and `disable`."""
        return _native.is_enabled(self.scope)


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _begin_in_child() -> None:
    """Begin new intervals in the child of a fork. The core has cleared its statistics by now."""
    _taking.release()
    for recorder in list(_recorders):
        recorder._interval = _Interval.begin(recorder._core)


os.register_at_fork(
    before=_taking.acquire, after_in_parent=_taking.release, after_in_child=_begin_in_child
)


def default_recorder() -> Recorder:
    """Return the recorder behind ``fasttime.scope`` and the other functions of the module."""
    return _default


def _again(keep_samples: int, share_boundaries: bool) -> Recorder:
    return Recorder(keep_samples=keep_samples, share_boundaries=share_boundaries)


_default = Recorder()
