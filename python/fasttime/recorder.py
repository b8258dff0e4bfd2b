# SPDX-License-Identifier: BSD-3-Clause
"""The recorder: it owns sites and their statistics, and makes reports of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _native
from . import pickling as _pickling
from .current_interval import CurrentInterval, taking
from .graph_scopes import GraphTiming
from .kept_samples import KeptSamples
from .modules.active import active_cores
from .reports.report import Report
from .sample import Sample
from .scope_marks import ScopeMarks
from .stream_check import StreamCheck
from .timelines.recording import TimelineRecording
from .torch_compile import support as compile_support

if TYPE_CHECKING:
    import torch

    from .reports.totals import Totals, TotalsRead


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
        graph_timing: time scopes inside CUDA graphs, in all captures from now on; see
            `graph_timing`. Make the recorder after CUDA has started and outside a capture.

    ``FASTTIME=0`` in the environment switches every recorder off from the start, and
    ``FASTTIME_NVTX=1`` calls `mark_nvtx`. Copying a recorder, for example together with a model,
    returns the same recorder. A pickled recorder starts empty in the process that loads it.
    """

    def __init__(
        self, *, keep_samples: int = 0, share_boundaries: bool = True, graph_timing: bool = False
    ) -> None:
        self._core = _native.Core()
        self.scope, self.begin, self.end, self.phases = self._core.scope_functions()
        compile_support.adopt(self, (self.scope, self.begin, self.end, self.phases))
        _pickling.adopt(self, self._core)
        self._share_boundaries = share_boundaries
        self._graph_timing = graph_timing
        self._marks = ScopeMarks(self.scope)
        self._interval = CurrentInterval(self._core)
        self._kept = KeptSamples(self._core)
        if not share_boundaries:
            self._core.set_share_window_ns(0)
        self.keep_samples(keep_samples)
        if graph_timing:
            self.graph_timing().start()
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
        return _again, (self._kept.count, self._share_boundaries, self._graph_timing)

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
        self._marks.read_ended()
        return self._interval.report(reset=reset, switched_off=not self.enabled)

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
        return self._kept.of_site(path)

    def drain_samples(self) -> list[Sample]:
        """Return the kept samples of all sites and forget them, in the order in which they began.

            fasttime.keep_samples(10_000)
            ...
            for sample in fasttime.drain_samples():  # every few seconds, on any thread
                store(sample.path, sample.device_time)

        Each kept sample is returned once, even if several threads call this. `samples` no longer
        returns it. Between two calls, each site keeps only as many samples as you asked for, and
        drops the oldest ones beyond that. Reports still count every scope.

        Never waits, so scopes that the device has not finished come with a later call. Raises
        RuntimeError if the recorder keeps no samples.
        """
        self._core.poll()
        return self._kept.take_all()

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

    def graph_timing(self, *, max_scopes: int = 256, depth: int = 1024) -> GraphTiming:
        """Time scopes inside CUDA graphs: capture the graph in this ``with`` block.

            with fasttime.graph_timing(), torch.cuda.graph(graph):
                with fasttime.scope("attention"):
                    y = attention(x)
            graph.replay()
            print(fasttime.report())  # "attention" has one call per replay

        Args:
            max_scopes: how many scopes the captures in this block may contain, 1 to 4,096.
            depth: how many replays each scope keeps until fasttime reads them, 1 to 32,768; rounded
                up to a power of two. Older replays count as `SiteReport.lost`.

        Each boundary of a scope becomes a *stamp* in the graph: a kernel with one thread that
        writes the GPU's timer to pinned memory. A stamp takes about a microsecond on the device and
        no time on the host. Boundaries with nothing between them share one stamp. Nesting and paths
        are the ones at capture time. Scopes in graphs have no host time and no bottleneck.

        Entering the block loads the kernels and reserves ``max_scopes * depth * 32`` bytes of
        pinned memory on each device in use. Later captures use this memory again. Entering may wait
        for up to a second per device. Enter the block before the capture begins, and after the
        first use of each device: fasttime never starts CUDA. If fasttime cannot time scopes in
        graphs, they count as ``captured``, and the report says why.

        fasttime reads the times in `report`, and as ordinary scopes end. Warns if CUDA is not in
        use. Raises ValueError if `max_scopes` or `depth` is out of range.
        """
        return GraphTiming(self._core, max_scopes, depth)

    def keep_samples(self, count: int) -> None:
        """Keep the last `count` samples of each site from now on; `samples` returns them.

            fasttime.keep_samples(1000)

        Args:
            count: samples per site, 0 to 1,000,000, at about 64 bytes each. 0 keeps none, which is
                the default.

        ``report(reset=True)`` leaves the samples, and `reset` deletes them. Raises ValueError if
        `count` is out of range.
        """
        self._kept.keep(count)

    def reset(self) -> None:
        """Delete all statistics and samples. Scopes that are open or pending now never count.

            train_step()  # warm-up
            fasttime.reset()

        Never waits. The next report covers the time from here on. It no longer warns of scopes that
        torch.compile has met before.
        """
        self._interval.clear()

    def _read_totals(self, totals: Totals) -> TotalsRead:
        """Return the counts that exporters show, whatever `report` has cleared; see `Totals`."""
        with taking:  # so no report clears statistics between the two steps
            self._interval.hand_over_to(totals)
            return totals.read(self.report())

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
            on: False ends the marks.

        Scopes and phases become NVTX ranges if torch has NVTX, and ranges of torch.profiler while a
        profiler runs. The ranges lie on the host. An NVTX range costs about a microsecond, which
        the scope's own times do not include. Without marks, scopes cost nothing more.
        ``FASTTIME_NVTX=1`` in the environment marks from the start. Errors of NVTX go to
        ``sys.unraisablehook`` and never reach the scope.
        """
        self._marks.mark_nvtx(on)

    def check_streams(self, ignore: Iterable[torch.cuda.Stream | int] = ()) -> StreamCheck:
        """Warn where other streams or devices worked while a scope was open. For debugging.

            with fasttime.check_streams(ignore=[prefetch_stream]) as check:
                train_step()
                torch.cuda.synchronize()  # so that every stream has an answer
            print(check)

        A scope times its own stream. If work inside the scope runs on another stream, and the
        scope's stream does not wait for it, the scope's device time does not include the work.
        fasttime cannot know whose work it was, so ignore streams that work beside the scope on
        purpose. Each scope and stream get one warning. See `StreamCheck` for what a check sees and
        what it costs.

        Args:
            ignore: streams to leave out, as torch.cuda.Stream or raw handles.

        Never waits. Without CUDA it does nothing, and ``print(check)`` says so. Raises TypeError if
        `ignore` has anything but streams. Raises RuntimeError for a check inside another, and if
        ``CUDA_DEVICE_MAX_CONNECTIONS=1``, where the check would make streams wait for each other.
        """
        return StreamCheck(self._core, self._marks, ignore)

    @property
    def enabled(self) -> bool:
        """Whether scopes are switched on; see `enable` and `disable`."""
        return _native.is_enabled(self.scope)


def default_recorder() -> Recorder:
    """Return the recorder behind ``fasttime.scope`` and the other functions of the module."""
    return _default


def _again(keep_samples: int, share_boundaries: bool, graph_timing: bool) -> Recorder:
    return Recorder(
        keep_samples=keep_samples, share_boundaries=share_boundaries, graph_timing=graph_timing
    )


_default = Recorder()
