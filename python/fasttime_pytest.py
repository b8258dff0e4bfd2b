# SPDX-License-Identifier: BSD-3-Clause
"""The pytest plugin of fasttime: the fixtures `fasttime_check` and `fasttime_measure`.

    def test_decode(fasttime_check):
        fasttime_check(decode, x, fail_above="5%")

pytest loads this module in every session. So it imports torch and fasttime only when a test
uses a fixture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fasttime.pytest_checks.fixtures import Check, Measure

_MARKER = (
    "fasttime(fail_above=..., strict=..., processes=...): options of the test's fasttime_check. "
    "strict=True: fail if the check cannot decide, strict=False: skip"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("fasttime", "timing checks with fasttime")
    group.addoption(
        "--fasttime-update",
        action="store_true",
        help="save baselines instead of comparing with them",
    )
    group.addoption(
        "--fasttime-baseline",
        metavar="DIR",
        default=".fasttime",
        help="folder of the baselines, relative to the root folder; default: %(default)s",
    )
    group.addoption(
        "--fasttime-processes",
        metavar="N",
        type=_positive,
        help="measure each check in N fresh processes; default: in this process",
    )
    group.addoption(
        "--fasttime-against",
        metavar="REV",
        help="compare with this revision of the git repository instead of a baseline: both run in "
        "turns, in fresh processes (10 per side by default)",
    )
    group.addoption(
        "--fasttime-strict",
        action="store_true",
        help="fail instead of skipping if a check cannot decide",
    )
    group.addoption(
        "--fasttime-json",
        metavar="FILE",
        help="also write all measurements to a file, in the format of pytest-benchmark",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker and check the options."""
    config.addinivalue_line("markers", _MARKER)
    if config.getoption("--fasttime-update") and config.getoption("--fasttime-against"):
        raise pytest.UsageError(
            "--fasttime-against compares with a revision and uses no baseline; omit "
            "--fasttime-update"
        )
    path = config.getoption("--fasttime-json")
    if path and not Path(path).absolute().parent.is_dir():
        raise pytest.UsageError(f"--fasttime-json: there is no folder for {path}")
    config.pluginmanager.register(Results(config), "fasttime_results")


@pytest.fixture
def fasttime_check(request: pytest.FixtureRequest) -> Check:
    """Compare a callable with its baseline: ``fasttime_check(fn, x, fail_above="5%")``.

    The test fails if the callable is proven to be slower than the baseline by more than
    `fail_above`. If the check cannot decide, the test is skipped with the reason.
    """
    from fasttime.pytest_checks.fixtures import Check

    return Check(request)


@pytest.fixture
def fasttime_measure(request: pytest.FixtureRequest) -> Measure:
    """Measure a callable and add it to the summary: ``fasttime_measure(fn, x)``.

    Takes the arguments of ``fasttime.measure`` and returns its Measurement.
    """
    from fasttime.pytest_checks.fixtures import Measure

    return Measure(request)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """Attach the results to the report, and skip a test that passed but decided nothing."""
    outcome: Any = yield
    results = getattr(item, "_fasttime_results", None)
    if call.when != "call" or not results:
        return
    item._fasttime_results = []  # type: ignore[attr-defined]  # another run of the test adds its own
    report = outcome.get_result()
    report.fasttime = results  # builtins only, so that xdist can send them
    undecided = [result for result in results if result["undecided"]]
    if report.passed and undecided:
        reason = "; ".join(result["undecided"] for result in undecided)
        if any(result["strict"] for result in undecided):
            report.outcome = "failed"
            report.longrepr = f"fasttime could not decide, and the check is strict: {reason}"
        else:
            path, line, _ = item.location
            report.outcome = "skipped"
            report.longrepr = (path, (line or 0) + 1, f"Skipped: {reason}")


class Results:
    """The results of a session, in the process that prints the summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config: Any = config
        self._found: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the results of a test. xdist sends them from its workers."""
        self._found.extend(getattr(report, "fasttime", ()))

    def pytest_sessionfinish(self) -> None:
        """Write the JSON file."""
        config = self._config
        path = config.getoption("--fasttime-json")
        if path and not hasattr(config, "workerinput") and not hasattr(config, "_fasttime_record"):
            from fasttime.pytest_checks.benchmark_json import document

            benchmarks = [result["benchmark"] for result in self._found if result["benchmark"]]
            text = json.dumps(document(benchmarks, config.rootpath), indent=2)
            Path(path).write_text(text + "\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print every measurement and check, and what one process could not prove."""
        if not self._found:
            return
        terminalreporter.section("fasttime")
        for result in self._found:
            for text in result["lines"]:
                terminalreporter.line(text)
        if unproven := sum(result["one_process"] for result in self._found):
            checks = "1 check" if unproven == 1 else f"{unproven} checks"
            terminalreporter.line(
                f"{checks} could not be proven from one process: processes differ by up to 10 %. "
                "To prove smaller changes, measure both sides with --fasttime-processes 5."
            )

    def pytest_unconfigure(self) -> None:
        """Remove the worktree of --fasttime-against."""
        if hasattr(self._config, "_fasttime_trees"):
            self._config._fasttime_trees.close()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
