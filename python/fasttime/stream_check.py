# SPDX-License-Identifier: BSD-3-Clause
"""Warn where other streams worked while a scope was open."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

from . import _native, profiler_marks
from .stream_operators import OperatorWatch
from .streams import Stream, describe_stream, pooled_streams, stream_from
from .text import for_stdout, format_count, format_seconds, printable
from .timing_warning import TimingWarning

if TYPE_CHECKING:
    from ._native import Core
    from .scope_marks import ScopeMarks

_MAX_STREAMS = 1024  # known streams; further ones are not checked
_MAX_WARNINGS = 1000


class _OpenScope:
    """A scope between its begin and its end, and the operators on other streams inside it."""

    def __init__(self, site: tuple[int, str], own: frozenset[Stream], mark: Any) -> None:
        self.site = site  # the number of the parent's site, and the name
        self.own = own  # its streams; empty while CUDA is not in use
        self.mark = mark
        self.operators: Counter[Stream] = Counter()


class StreamCheck:
    """The value of ``with fasttime.check_streams() as check:``.

    ``fasttime.check_streams`` makes it. Two things show work on other streams:

    * The end of each scope asks every stream of torch's pools, and every other stream that torch's
      operators used, whether it still has work. If so, the end records an event on the stream. A
      stream that reaches its event more than 20 µs after the scope's own end was still working.
    * fasttime watches the operators that torch issues in the thread of the block, and in its
      backward pass. So the check also sees work that ended before the scope. It does not see
      kernels that libraries, compiled code and other threads launch.

    Warnings have the kind ``other_streams``. fasttime calls ``warnings.warn`` as soon as the device
    has finished the stream: at the end of a later scope, at the end of the block, or in a report.

    While the block runs, operators and the ends of scopes take longer, and outer scopes include
    this in their host time: on an H200, 11 µs per operator, and 130 µs per scope to ask 65 idle
    streams, with 6 µs more for each stream that still has work. The beginning of the block pauses
    for up to 30 µs per device to compare the clocks. ``print(check)`` shows what the check has
    seen.

    Attributes:
        checked: how many scopes were compared with other streams.
    """

    def __init__(
        self,
        core: Core,
        marks: ScopeMarks,
        ignore: Iterable[Any],
    ) -> None:
        if os.environ.get("CUDA_DEVICE_MAX_CONNECTIONS") == "1":
            raise RuntimeError(
                "check_streams cannot work with CUDA_DEVICE_MAX_CONNECTIONS=1: all streams then "
                "share one queue, so events of the check would make streams wait for each other; "
                "unset the variable while you check"
            )
        self._core = core
        self._ignore = {stream_from(stream) for stream in ignore}
        self._marks = marks
        self._watch = _native.StreamWatch()
        self._numbers = itertools.count(1)
        self._operators: OperatorWatch | None = None
        self._thread = 0
        self._open: list[_OpenScope] = []  # of the thread of the block
        self._ended: dict[int, _OpenScope] = {}  # by the number of their mark
        self._known: set[Stream] = set()
        self._devices: set[int] = set()  # whose streams are known
        self._said: set[tuple[tuple[int, str], Stream]] = set()
        self._warnings: list[TimingWarning] = []
        self._unraised: list[TimingWarning] = []
        self._lock = threading.RLock()  # guards the two lists and _said
        self.checked = 0

    def __enter__(self) -> StreamCheck:
        if self._thread:
            raise RuntimeError("this check has run already; call check_streams() again")
        self._marks.connect(self)
        self._thread = threading.get_ident()
        try:
            if torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
                self._learn_streams()
                operators = OperatorWatch(self._note_operator)
                operators.__enter__()  # type: ignore[no-untyped-call]
                self._operators = operators
        except BaseException:
            self._marks.disconnect()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._operators is not None:
            self._operators.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        self._marks.disconnect()
        self.read()
        for ended in list(self._ended.values()):
            self._say_all(ended, {})
        with self._lock:
            unraised, self._unraised = self._unraised, []
        if exception[0] is None:
            for warning in unraised:
                warnings.warn(warning, stacklevel=2)

    @property
    def warnings(self) -> tuple[TimingWarning, ...]:
        """Every warning so far. Reads what the device has finished, and never waits."""
        self.read()
        return tuple(self._warnings)

    @property
    def skipped(self) -> int:
        """How many comparisons of a scope with a stream gave no answer.

        The stream captured a CUDA graph, a CUDA call failed, or 64 scopes were waiting for their
        answers.
        """
        return self._watch.skipped

    @property
    def pending(self) -> int:
        """How many scopes wait for the device to finish the streams."""
        return self._watch.pending

    def __str__(self) -> str:
        """Say what the check has seen so far, with every warning. Never waits."""
        found = self.warnings
        if self.checked:
            seen = format_count(len(found), "warning") if found else "no other stream at work"
            lines = [f"{format_count(self.checked, 'scope')} compared with other streams: {seen}."]
        elif _native.is_bound():
            lines = ["No scope was compared with other streams."]
        else:
            lines = ["CUDA is not in use, so no scope was compared with other streams."]
        if self.pending:
            lines.append(f"The device has yet to answer for {format_count(self.pending, 'scope')}.")
        if self.skipped:
            lines.append(f"{format_count(self.skipped, 'comparison')} gave no answer.")
        return for_stdout("\n".join([*lines, *map(str, found)]))

    # --- what scopes call; an exception would go to sys.unraisablehook ---

    def begin(self, name: str, parent: int, places: tuple[Stream, ...]) -> _OpenScope:
        """Begin to check a scope, before it begins. Return the token for `end`."""
        mark = profiler_marks.begin(name) if self._marks.nvtx else None
        _native.bind_if_cuda_is_up()
        here = _native.current_stream()
        own = frozenset(
            (here[0] if here and device < 0 else device, handle) for device, handle in places
        )
        begun = _OpenScope((parent, name), own or frozenset([here] if here else []), mark)
        if here:
            self._learn_streams()
            if threading.get_ident() == self._thread:
                self._open.append(begun)
        return begun

    def end(self, scope: _OpenScope) -> None:
        """Mark the end of a scope on all known streams, after it has ended."""
        with contextlib.suppress(ValueError):
            self._open.remove(scope)
        if scope.own:
            self.read()
            others = [stream for stream in tuple(self._known) if self._is_wanted(scope, stream)]
            number = next(self._numbers)
            self._ended[number] = scope  # first: another thread may read the answer
            try:
                busy = self._watch.mark(number, list(scope.own), others) if others else None
            except MemoryError:
                del self._ended[number]
                raise
            self.checked += busy is not None
            if not busy:
                del self._ended[number]
                self._say_all(scope, {})
        if scope.mark is not None:
            profiler_marks.end(scope.mark)

    def read(self) -> None:
        """Warn about everything that the device has finished. Never waits."""
        busy, done = self._watch.read()
        for number, device, handle, beyond_ns in busy:
            if number in self._ended:
                self._say_all(self._ended[number], {(device, handle): beyond_ns * 1e-9})
        for number in done:
            if (scope := self._ended.pop(number, None)) is not None:
                self._say_all(scope, {})

    def _is_wanted(self, scope: _OpenScope, stream: Stream) -> bool:
        return not (
            stream in scope.own
            or stream in self._ignore
            or (-1, stream[1]) in self._ignore
            or (scope.site, stream) in self._said
        )

    def _learn_streams(self) -> None:
        """Learn the streams of devices that have come into use. Never starts a device."""
        is_up: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        if not is_up or _native.is_capturing():
            return
        _native.bind_if_cuda_is_up()
        for device in range(torch.cuda.device_count()):
            if device not in self._devices and self._watch.prepare(device):
                self._devices.add(device)
                self._known.update((device, handle) for handle in pooled_streams(device))

    def _note_operator(self, stream: Stream) -> None:
        if len(self._known) < _MAX_STREAMS:
            self._known.add(stream)
        for scope in list(self._open):
            if self._is_wanted(scope, stream) and not _native.is_capturing():
                scope.operators[stream] += 1

    # --- warnings ---

    def _say_all(self, scope: _OpenScope, beyond: dict[Stream, float]) -> None:
        """Warn about busy streams and, if there are none, about streams with operators."""
        for stream in beyond or list(scope.operators):
            with self._lock:
                if (scope.site, stream) in self._said or len(self._warnings) >= _MAX_WARNINGS:
                    continue
                self._said.add((scope.site, stream))
                warning = self._warning(scope, stream, beyond.get(stream))
                self._warnings.append(warning)
            try:
                warnings.warn(warning, stacklevel=3)
            except TimingWarning:  # warnings are errors here; the end of the block raises them
                with self._lock:
                    self._unraised.append(warning)

    def _warning(self, scope: _OpenScope, stream: Stream, beyond: float | None) -> TimingWarning:
        name = describe_stream(*stream)
        facts = []
        if count := scope.operators[stream]:
            facts.append(f"torch issued {format_count(count, 'operator')} on it")
        if beyond is not None:
            facts.append(f"it kept working for {format_seconds(beyond)} after the scope's end")
        meaning = (
            "the scope's device time includes that work only if the scope's stream waited for it"
            if beyond is None
            else "the scope's device time does not include that work"
        )
        same_device = any(device == stream[0] for device, _ in scope.own)
        remedy = (
            "let the scope's stream wait for it, or time both with scope(..., streams=[...])"
            if same_device
            else "give the work on that device a scope of its own"
        )
        return TimingWarning(
            "other_streams",
            f"{name[0].upper()}{name[1:]} ran while the scope {printable(self._path(scope.site))} "
            f"was open: {' and '.join(facts)}, and {meaning}. If the work belongs to the scope, "
            f"{remedy}; otherwise pass the stream in check_streams(ignore=[...]).",
        )

    def _path(self, site: tuple[int, str]) -> str:
        parent, name = site
        sites = self._core.site_names()  # from number 1 on
        names = [name]
        while parent > 0:
            parent, name = sites[parent - 1]
            names.append(name)
        return "/".join(reversed(names))
