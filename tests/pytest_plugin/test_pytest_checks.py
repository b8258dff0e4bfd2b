# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime_check` against baselines, measured in one process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from timed_project import XDIST, Project

pytest_plugins = ["pytester"]

CHECK = "def test_work(fasttime_check):\n    fasttime_check(work, fail_above={limit!r})\n"
OTHER = "def test_other():\n    pass\n"


def baseline_of(project: Project) -> Path:
    (path,) = (project.path / ".fasttime").glob("*.json")
    return path


def make_baseline(project: Project, seconds: float = 1e-3) -> None:
    project.takes(seconds)
    project.run("--fasttime-update").assert_outcomes(passed=2)


def test_no_baseline_skips_with_the_remedy(project: Project) -> None:
    project.test(CHECK.format(limit="5%") + OTHER)
    result = project.run()
    result.assert_outcomes(passed=1, skipped=1)
    reason = "there is no baseline *make one: pytest --fasttime-update"
    result.stdout.fnmatch_lines([f"    {reason}", f"SKIPPED*{reason}"])


def test_an_update_saves_a_baseline(project: Project) -> None:
    project.test(CHECK.format(limit="5%") + OTHER)
    project.takes(1e-3)
    result = project.run("--fasttime-update")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["test_it.py::test_work: saved as the baseline, 1.000 ms*"])
    assert json.loads(baseline_of(project).read_text())["format"] == "fasttime measurement"


def test_the_folder_of_baselines_is_yours(project: Project) -> None:
    project.test(CHECK.format(limit="5%") + OTHER)
    project.takes(1e-3, 2e-3)
    project.run("--fasttime-update", "--fasttime-baseline", "some/folder")
    assert len(list((project.path / "some" / "folder").glob("*.json"))) == 1
    project.run("--fasttime-baseline", "some/folder").assert_outcomes(passed=1, failed=1)


def test_a_proven_slowdown_fails_the_test_alone(project: Project) -> None:
    project.test(CHECK.format(limit="5%") + OTHER)
    make_baseline(project)
    project.takes(1.3e-3)
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*test_it.py::test_work is slower: +30.0 % (95 %: *), limit +5 %",
            "test_it.py::test_work: failed, +30.0 % *limit +5 %",
        ]
    )


@pytest.mark.parametrize(
    ("seconds", "limit", "word"),
    [
        (1.0e-3, "25%", "passed"),  # one process proves that it is not 25 % slower
        (1.0e-3, 0.25, "passed"),
        (0.9e-3, "5%", "passed"),
        (1.0e-3, "5%", "skipped"),  # one process cannot rule out 5 %
        (1.1e-3, "5%", "skipped"),
        (1.2e-3, "25%", "skipped"),
        (1.3e-3, "25%", "skipped"),  # slower, but perhaps not by 25 %
        (1.4e-3, "25%", "failed"),
    ],
)
def test_the_interval_has_to_leave_the_limit(
    project: Project, seconds: float, limit: object, word: str
) -> None:
    project.test(CHECK.format(limit=limit) + OTHER)
    make_baseline(project)
    project.takes(seconds)
    expected = {"passed": 1}
    expected[word] = expected.get(word, 0) + 1
    project.run().assert_outcomes(**expected)


def test_the_summary_says_what_is_not_proven(project: Project) -> None:
    project.test(CHECK.format(limit="5%") + OTHER)
    make_baseline(project)
    project.takes(1e-3)
    result = project.run()
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_work: undecided, +0.0 % (95 %: *), limit +5 %",
            "1 check could not be proven from one process*--fasttime-processes 5.",
            "SKIPPED * test_it.py:2: one process cannot rule out a slowdown of 5 %*",
        ]
    )


def test_a_test_goes_on_after_it_is_undecided(project: Project) -> None:
    project.test(CHECK.format(limit="5%") + "    assert not 'wrong result'\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert not 'wrong result'*"])


def test_strict_fails_instead_of_skipping(project: Project) -> None:
    project.test(CHECK.format(limit="5%") + OTHER)
    result = project.run("--fasttime-strict")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["fasttime could not decide, and the check is strict: there is no*"]
    )


@pytest.mark.parametrize(
    ("strict", "option", "word"),
    [
        ("True", (), "failed"),
        ("False", ("--fasttime-strict",), "skipped"),
        ("True", ("--fasttime-strict",), "failed"),
    ],
)
def test_the_marker_says_how_strict(
    project: Project, strict: str, option: tuple[str, ...], word: str
) -> None:
    marker = f"import pytest\n@pytest.mark.fasttime(strict={strict})\n"
    project.test(marker + CHECK.format(limit="5%"))
    project.run("--strict-markers", *option).assert_outcomes(**{word: 1})


def test_the_marker_says_the_limit(project: Project) -> None:
    marker = "import pytest\n@pytest.mark.fasttime(fail_above='50%')\n"
    project.test(marker + CHECK.format(limit=None) + OTHER)
    make_baseline(project)
    project.takes(1.2e-3)
    project.run().assert_outcomes(passed=2)


def test_an_unknown_option_of_the_marker(project: Project) -> None:
    project.test("import pytest\n@pytest.mark.fasttime(stric=True)\n" + CHECK.format(limit="5%"))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the marker fasttime has no option 'stric'*"])


@pytest.mark.parametrize("limit", [5, "5", "five", -0.1, "-5%"])
def test_a_limit_that_means_something_else(project: Project, limit: object) -> None:
    project.test(CHECK.format(limit=limit))
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ValueError: fail_above *"])


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("device", "*the baseline comes from another machine or another torch (device was*"),
        ("method", "*the old measurement has method='sync'*"),
    ],
)
def test_what_cannot_be_compared_skips(project: Project, field: str, reason: str) -> None:
    project.test(CHECK.format(limit="5%") + OTHER)
    make_baseline(project)
    path = baseline_of(project)
    content = json.loads(path.read_text())
    content[field] = "sync" if field == "method" else "cuda:0 Other"
    path.write_text(json.dumps(content))
    project.takes(2e-3)
    result = project.run()
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines([reason])


def test_each_check_has_its_own_baseline(project: Project) -> None:
    project.test(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_work(fasttime_check, n):\n"
        "    fasttime_check(work, fail_above='25%')\n"
        "    fasttime_check(work, fail_above='25%')\n"
        "    fasttime_check(work, fail_above='25%', name='a/b')\n"
    )
    times = [1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3]
    project.takes(*times)
    project.run("--fasttime-update").assert_outcomes(passed=2)
    assert len(list((project.path / ".fasttime").glob("*.json"))) == 6
    project.takes(*times)
    project.run().assert_outcomes(passed=2)
    project.takes(*times[:5], 9e-3)
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*test_work[[]2[]] (a/b) is slower*"])


def test_two_checks_with_one_name(project: Project) -> None:
    project.test(
        "def test_work(fasttime_check):\n"
        "    fasttime_check(work, name='a')\n"
        "    fasttime_check(work, name='a')\n"
    )
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*two measurements of this test have the name 'a'*"])


def test_a_damaged_baseline_is_an_error(project: Project) -> None:
    project.test(CHECK.format(limit="5%") + OTHER)
    make_baseline(project)
    baseline_of(project).write_text("{")
    project.takes(1e-3)
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ValueError: *.fasttime*"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fasttime-update", "--fasttime-against=main"), "*omit --fasttime-update*"),
        (("--fasttime-json=no/such/file.json",), "*there is no folder for no/such/file.json*"),
        (("--fasttime-processes=0",), "*--fasttime-processes*"),
    ],
)
def test_wrong_options(project: Project, arguments: tuple[str, ...], message: str) -> None:
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_checks_skip_under_xdist(project: Project) -> None:
    pytest.importorskip("xdist")
    project.test(CHECK.format(limit="5%") + OTHER)
    result = project.run(*XDIST, "-n1")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*xdist runs other tests at the same time*-n0*"])
