# SPDX-License-Identifier: BSD-3-Clause
"""What the fixtures `fasttime_check` and `fasttime_measure` return."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..comparing.saved import compare_saved
from ..comparing.saved_verdict import FEWEST_PAIRS
from ..comparing.saved_verdict import judge_saved as verdict_on
from ..comparing.verdict import MARGIN
from ..measuring.measure import measure
from ..measuring.measurement import Measurement
from ..text import format_count, format_seconds
from . import processes
from .benchmark_json import benchmark
from .judging import Outcome, in_pytest, judge, judge_saved, limit_of

_PAIRS = 10  # processes per side for --fasttime-against
_MARKER_OPTIONS = ("fail_above", "strict", "processes")
_XDIST = (
    "xdist runs other tests at the same time, which changes times; run the timed tests with -n0"
)


class _Timer:
    """The part that both fixtures share: the test, and where its results go."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._item: Any = request.node
        self._config: Any = request.config
        self._names: set[str] = set()
        if not hasattr(self._item, "_fasttime_results"):
            self._item._fasttime_results = []

    def _new_name(self, name: str | None) -> str:
        """Return the name of a measurement, which no other of this test has."""
        if name is None:
            name = "" if not self._names else str(len(self._names) + 1)
        if name in self._names:
            raise ValueError(f"two measurements of this test have the name {name!r}; rename one")
        self._names.add(name)
        return name

    def _title(self, name: str) -> str:
        nodeid: str = self._item.nodeid
        return f"{nodeid} ({name})" if name else nodeid

    def _report(
        self,
        name: str,
        measurement: Measurement | None,
        outcome: Outcome | None = None,
        *,
        strict: bool = False,
        saved: bool = False,
    ) -> None:
        """Add a result to the report of the test. It consists of builtins only."""
        title = self._title(name)
        lines = [] if outcome is None else [f"{title}: {outcome.word}, {outcome.text}"]
        undecided = outcome.reason if outcome and outcome.word == "undecided" else ""
        one_process = bool(outcome and outcome.one_process)
        if undecided and not one_process:  # the end of the summary covers all checks of one process
            lines.append(f"    {undecided}")
        entry = None
        if measurement is not None:
            if outcome is None:
                word = "saved as the baseline, " if saved else ""
                lines.append(f"{title}: {word}{_figures(measurement)}")
            lines += [f"    {in_pytest(str(warning))}" for warning in measurement.warnings]
            parameters = getattr(getattr(self._item, "callspec", None), "params", {})
            suffix = f" ({name})" if name else ""
            entry = benchmark(measurement, self._item.name + suffix, title, parameters)
        self._item._fasttime_results.append(
            {
                "lines": lines,
                "undecided": undecided,
                "one_process": one_process,
                "strict": strict,
                "benchmark": entry,
            }
        )


class Measure(_Timer):
    """Measures callables and adds them to the terminal summary and to ``--fasttime-json``."""

    def __call__(
        self, fn: Callable[..., object], /, *args: Any, name: str | None = None, **kwargs: Any
    ) -> Measurement:
        """Measure a callable like ``fasttime.measure``, and return the Measurement.

        Args:
            fn: the callable, followed by its arguments and the options of ``fasttime.measure``.
            name: tells several measurements of one test apart.
        """
        name = self._new_name(name)
        measurement = measure(fn, *args, **kwargs)
        self._report(name, measurement)
        return measurement


class Check(_Timer):
    """Compares callables with their baselines."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._from_processes: dict[str, Any] | None = None
        marker = self._item.get_closest_marker("fasttime")
        self._marked: dict[str, Any] = dict(marker.kwargs) if marker else {}
        for option in self._marked:
            if option not in _MARKER_OPTIONS:
                raise ValueError(
                    f"the marker fasttime has no option {option!r}; it has "
                    f"{', '.join(_MARKER_OPTIONS)}"
                )
        self._is_strict = bool(
            self._marked.get("strict", self._config.getoption("--fasttime-strict"))
        )

    def __call__(
        self,
        fn: Callable[..., object],
        /,
        *args: Any,
        fail_above: str | float | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Compare a callable with its baseline.

        Args:
            fn: the callable, followed by its arguments and the options of ``fasttime.measure``.
            fail_above: how much slower it may be, ``"5%"`` or 0.05. By default, what the marker
                says, or 5 %.
            name: tells several checks of one test apart. The baseline has it in its name.

        Fails the test if a slowdown of more than `fail_above` is proven. If the check can decide
        nothing, the test goes on and is skipped at its end, or fails if it is strict.
        """
        given = self._marked.get("fail_above", "5%") if fail_above is None else fail_above
        limit = limit_of(given)
        name = self._new_name(name)
        record = getattr(self._config, "_fasttime_record", None)
        if record is not None:  # this is one of the fresh processes
            measure(fn, *args, **kwargs).save(record / f"{_key(name)}.json")
            return
        measurement, outcome = self._outcome(name, limit, lambda: measure(fn, *args, **kwargs))
        self._report(name, measurement, outcome, strict=self._is_strict, saved=outcome is None)
        if outcome is not None and outcome.word == "failed":
            pytest.fail(f"{self._title(name)} is slower: {outcome.text}", pytrace=False)

    def _outcome(
        self, name: str, limit: float, in_this_process: Callable[[], Measurement]
    ) -> tuple[Measurement | None, Outcome | None]:
        """Return the new measurement and what the check found; no finding for an update."""
        if hasattr(self._config, "workerinput"):
            return None, Outcome("undecided", "not measured", _XDIST)
        try:
            if revision := self._config.getoption("--fasttime-against"):
                return self._against(name, limit, revision)
            path = self._baseline(name)
            is_update = self._config.getoption("--fasttime-update")
            if not is_update and not path.exists():
                reason = f"there is no baseline {path}; make one: pytest --fasttime-update"
                return None, Outcome("undecided", "not measured", reason)
            if self._processes > 1:
                new = processes.merged(self._in_processes(name))
            else:
                new = in_this_process()
        except processes.NotMeasured as error:
            return None, Outcome("undecided", "not measured", str(error))
        if is_update:
            path.parent.mkdir(parents=True, exist_ok=True)
            new.save(path)
            return new, None
        old = processes.load_measurement(path)
        try:
            comparison = compare_saved(old, new)
        except ValueError as error:  # they were measured in different ways
            return new, Outcome("undecided", "not compared", str(error))
        return new, judge_saved(comparison, limit)

    def _against(self, name: str, limit: float, revision: str) -> tuple[Measurement, Outcome]:
        pairs = self._processes if self._has_processes else _PAIRS
        if pairs < FEWEST_PAIRS:
            raise ValueError(
                f"--fasttime-against needs at least {FEWEST_PAIRS} processes per side, got {pairs}"
            )
        if self._from_processes is None:
            trees = processes.trees_for(self._config, revision)
            self._from_processes = processes.against(self._item, trees, pairs)
        sides = self._of_this(name, self._from_processes)
        old, new = map(processes.merged, sides)
        return new, judge(verdict_on(old, new, MARGIN, 0.0, in_pairs=True), limit)

    def _in_processes(self, name: str) -> Any:
        if self._from_processes is None:
            self._from_processes = processes.in_processes(self._item, self._processes)
        return self._of_this(name, self._from_processes)

    def _of_this(self, name: str, found: dict[str, Any]) -> Any:
        try:
            return found[_key(name)]
        except KeyError:
            raise processes.NotMeasured(
                f"some of the processes did not make the check {self._title(name)}; a test must "
                "make the same checks each time, under the same names"
            ) from None

    @property
    def _has_processes(self) -> bool:
        return bool(self._config.getoption("--fasttime-processes") or "processes" in self._marked)

    @property
    def _processes(self) -> int:
        given = self._config.getoption("--fasttime-processes")
        return int(given or self._marked.get("processes", 1))

    def _baseline(self, name: str) -> Path:
        folder: Path = self._config.rootpath / self._config.getoption("--fasttime-baseline")
        return folder / f"{_key(self._title(name))}.json"


def _key(name: str) -> str:
    """Return a file name for any name. Different names have different file names."""
    plain = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)[-80:]
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def _figures(measurement: Measurement) -> str:
    low, high = measurement.median_interval
    interval = ""
    if not math.isnan(low):
        interval = f" (95 %: {format_seconds(low)} to {format_seconds(high)})"
    runs = format_count(len(measurement), "run")
    return f"{format_seconds(measurement.median)}{interval}, {runs}, {measurement.device}"
