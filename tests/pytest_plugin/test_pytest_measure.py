# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime_measure`, the JSON file, and life beside pytest-benchmark and xdist."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up import measurement
from timed_project import PLUGIN, QUICK, XDIST, Project

from fasttime.pytest_checks.benchmark_json import benchmark

pytest_plugins = ["pytester"]

COMPARE = "from pytest_benchmark.cli import main; main()"
MEASURE = (
    "import pytest\n"
    "@pytest.mark.parametrize('n', [1, 2])\n"
    "def test_work(fasttime_measure, n):\n"
    "    measurement = fasttime_measure(work)\n"
    "    assert measurement.median == n / 1000\n"
)


def test_the_summary_lists_measurements(project: Project) -> None:
    project.test(MEASURE)
    project.takes(1e-3, 2e-3)
    result = project.run()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "*fasttime*",
            "test_it.py::test_work[[]1[]]: 1.000 ms (95 %: *), 41 runs, cuda:0 Simulated",
            "test_it.py::test_work[[]2[]]: 2.000 ms (95 %: *), 41 runs, cuda:0 Simulated",
        ]
    )


def test_the_summary_has_the_warnings(project: Project) -> None:
    project.test(
        "from fasttime import TimingWarning\n"
        "def test_work(fasttime_measure):\n"
        "    fasttime_measure(work, warnings=(TimingWarning('cpu', 'made up'),))\n"
    )
    project.takes(1e-3)
    project.run().stdout.fnmatch_lines(["    warning (cpu): made up"])


def test_measurements_of_xdist_workers_arrive(project: Project) -> None:
    pytest.importorskip("xdist")
    project.test(MEASURE)
    project.takes(1e-3, 2e-3)
    result = project.run(*XDIST, "-n1", "--fasttime-json", "out.json")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_it.py::test_work[[]2[]]: 2.000 ms*"])
    assert len(json.loads((project.path / "out.json").read_text())["benchmarks"]) == 2


def test_the_json_is_pytest_benchmark_s(project: Project) -> None:
    """pytest-benchmark's own `compare` command reads it."""
    pytest.importorskip("pytest_benchmark")
    project.test(MEASURE)
    project.takes(1e-3, 2e-3)
    project.run("--fasttime-json", "out.json")
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, "compare", "--csv", "table.csv", "out.json"],
        cwd=project.path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (project.path / "table.csv").read_text().splitlines()
    (one, two) = (dict(zip(rows[0].split(","), row.split(","), strict=True)) for row in rows[1:])
    assert one["name"].endswith("test_it.py::test_work[1]")
    assert float(one["median"]) == pytest.approx(1e-3)
    assert float(two["median"]) == pytest.approx(2e-3)
    assert one["param:n"] == "1"


def test_checks_are_in_the_json_too(project: Project) -> None:
    project.test("def test_work(fasttime_check):\n    fasttime_check(work)\n")
    project.takes(1e-3)
    project.run("--fasttime-update", "--fasttime-json", "out.json")
    (entry,) = json.loads((project.path / "out.json").read_text())["benchmarks"]
    assert entry["fullname"] == "test_it.py::test_work"


def test_statistics_are_pytest_benchmark_s() -> None:
    stats = pytest.importorskip("pytest_benchmark.stats").Stats()
    times = np.random.default_rng(1).gamma(2.0, 1e-3, 101)
    for time in times:
        stats.update(float(time))
    ours = benchmark(measurement(times), "a", "a", {})["stats"]
    assert set(stats.fields) <= set(ours)
    alike = ("min", "max", "mean", "stddev", "rounds", "median", "ops", "total")
    for field in (*alike, "stddev_outliers"):
        assert ours[field] == pytest.approx(getattr(stats, field)), field
    for field in ("q1", "q3"):  # quartiles have many definitions
        assert ours[field] == pytest.approx(getattr(stats, field), rel=0.05)


def test_it_lives_beside_pytest_benchmark(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pytest_benchmark")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # it would measure nothing
    project.test(
        "def test_both(benchmark, fasttime_measure, fasttime_check):\n"
        "    assert benchmark(lambda: 3) == 3\n"
        "    fasttime_measure(work)\n"
        "    fasttime_check(work)\n"
    )
    project.takes(1e-3, 1e-3)
    result = project.pytester.runpytest_inprocess(
        *PLUGIN,
        *QUICK,
        "-p",
        "pytest_benchmark.plugin",
        "--fasttime-update",
        "--benchmark-json=theirs.json",
        "--fasttime-json=ours.json",
    )
    result.assert_outcomes(passed=1)
    ours, theirs = (
        json.loads((project.path / f"{who}.json").read_text()) for who in ("ours", "theirs")
    )
    assert len(ours["benchmarks"]) == 2
    assert len(theirs["benchmarks"]) == 1
    assert set(theirs) == set(ours)
    assert set(theirs["commit_info"]) == set(ours["commit_info"])
    assert set(theirs["benchmarks"][0]) == set(ours["benchmarks"][0])
    assert set(theirs["benchmarks"][0]["stats"]) == set(ours["benchmarks"][0]["stats"])


def test_a_session_without_fixtures_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import sys\n"
        "def test_a():\n"
        "    assert 'fasttime_pytest' in sys.modules\n"
        "    assert 'torch' not in sys.modules\n"
        "    assert not [name for name in sys.modules if name.split('.')[0] == 'fasttime']\n"
    )
    options = ["-q", "-p", "no:cacheprovider", *PLUGIN]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_real_measure(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="def test_it(fasttime_measure):\n"
        "    measurement = fasttime_measure(sorted, [3, 1], warmup=1, repeat=9)\n"
        "    assert len(measurement) == 8\n"
    )
    result = pytester.runpytest_inprocess(*PLUGIN, *QUICK)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_it: *8 runs, cpu", "    warning (cpu): *"])


def test_pyproject_names_the_plugin() -> None:
    text = (Path(__file__).parent.parent.parent / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\nfasttime = "fasttime_pytest"' in text
    assert 'py-modules = ["fasttime_pytest"]' in text
