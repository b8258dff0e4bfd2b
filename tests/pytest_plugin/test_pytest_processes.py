# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime_check` in fresh processes, and against another revision."""

from __future__ import annotations

import json
import subprocess

import pytest
from timed_project import XDIST, Project

from fasttime import load

pytest_plugins = ["pytester"]

CHECK = "def test_work(fasttime_check):\n    fasttime_check(work, fail_above={limit!r})\n"
STEADY = (1.000e-3, 1.001e-3, 0.999e-3)


def around(seconds: float) -> list[float]:
    """Return the times of this process, which counts for nothing, and of three others."""
    return [seconds / 1e-3 * one for one in STEADY]


def test_a_baseline_of_several_processes(project: Project, forked: list[list[str]]) -> None:
    project.test(CHECK.format(limit="5%"))
    project.takes(*around(1e-3))
    project.run("--fasttime-update", "--fasttime-processes", "3").assert_outcomes(passed=1)
    (path,) = (project.path / ".fasttime").glob("*.json")
    found = load(path)
    assert found.process_medians == pytest.approx(STEADY)  # type: ignore[union-attr]
    assert len(forked) == 3


@pytest.mark.parametrize(
    ("times", "word", "line"),
    [
        (around(1e-3), "passed", "test_it.py::test_work: passed, +0.0 %*"),
        (around(1.08e-3), "failed", "*test_it.py::test_work is slower: +8.0 %*limit +5 %"),
        (
            [1.02e-3, 1.04e-3, 1.05e-3],
            "skipped",
            "    too noisy to rule out a slowdown of 5 %* decide: pytest --fasttime-processes *",
        ),
    ],
)
def test_the_processes_decide(
    project: Project, forked: list[list[str]], times: list[float], word: str, line: str
) -> None:
    project.test(CHECK.format(limit="5%"))
    project.takes(*around(1e-3), *times)
    project.run("--fasttime-update", "--fasttime-processes", "3")
    result = project.run("--fasttime-processes", "3")
    result.assert_outcomes(**{word: 1})
    result.stdout.fnmatch_lines([line])
    assert "from one process" not in result.stdout.str()


def test_the_marker_says_how_many_processes(project: Project, forked: list[list[str]]) -> None:
    project.test("import pytest\n@pytest.mark.fasttime(processes=3)\n" + CHECK.format(limit="5%"))
    project.takes(*around(1e-3))
    project.run("--fasttime-update").assert_outcomes(passed=1)
    assert len(forked) == 3


def test_all_checks_of_a_test_share_the_processes(
    project: Project, forked: list[list[str]]
) -> None:
    project.test(
        "def test_work(fasttime_check):\n"
        "    fasttime_check(work)\n"
        "    fasttime_check(work, name='other')\n"
    )
    project.takes(1e-3, 5e-3, 1e-3, 5e-3, 1e-3, 5e-3)
    project.run("--fasttime-update", "--fasttime-processes", "3").assert_outcomes(passed=1)
    medians = sorted(
        load(path).median  # type: ignore[union-attr]
        for path in (project.path / ".fasttime").glob("*.json")
    )
    assert medians == pytest.approx([1e-3, 5e-3])
    assert len(forked) == 3


def test_a_process_runs_one_test(project: Project, forked: list[list[str]]) -> None:
    project.test(
        "import pytest\n"
        "class TestA:\n"
        "    @pytest.mark.parametrize('n', ['a::b', 'c d'])\n"
        "    def test_work(self, fasttime_check, n):\n"
        "        fasttime_check(work)\n"
        "def test_other():\n"
        "    with open('ran', 'a') as file:\n"
        "        file.write('x')\n"
    )
    project.takes(*[1e-3] * 4)
    result = project.run("--fasttime-update", "--fasttime-processes", "2")
    result.assert_outcomes(passed=3)
    assert len(forked) == 4
    assert (project.path / "ran").read_text() == "x"  # by this process alone


def test_processes_get_your_options(project: Project, forked: list[list[str]]) -> None:
    project.pytester.makeconftest(
        (project.path / "conftest.py").read_text()
        + "\ndef pytest_addoption(parser):\n    parser.addoption('--size', type=float)\n"
    )
    project.test(
        "def test_work(fasttime_check, request, tmp_path):\n"
        "    (tmp_path / 'mine').write_text('')\n"
        "    fasttime_check(lambda: request.config.getoption('--size'))\n"
        "    assert (tmp_path / 'mine').exists()\n"
    )
    result = project.run(
        "--fasttime-update", "--fasttime-processes", "2", "--size", "0.25", "--basetemp=temporary"
    )
    result.assert_outcomes(passed=1)
    (path,) = (project.path / ".fasttime").glob("*.json")
    assert load(path).median == pytest.approx(0.25)  # type: ignore[union-attr]


def test_a_process_that_fails_skips(project: Project, forked: list[list[str]]) -> None:
    project.test(
        "def test_work(fasttime_check, pytestconfig):\n"
        "    import warnings; warnings.warn('a\\nlong\\nwarning\\nabove')\n"
        "    assert not hasattr(pytestconfig, '_fasttime_record'), 'wrong in here'\n"
        "    fasttime_check(work)\n"
    )
    result = project.run("--fasttime-update", "--fasttime-processes", "3", "-Wdefault")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*process 1 of 3 ended with exit code 1: *wrong in here*"])


def test_a_real_process(project: Project) -> None:
    """The other tests fork. This one starts Python, under xdist's options and without a cwd."""
    project.test(CHECK.format(limit="5%"))
    project.takes(2e-3, 2e-3)
    result = project.run("--fasttime-update", "--fasttime-processes", "2", *XDIST, "-n0")
    result.assert_outcomes(passed=1)
    (path,) = (project.path / ".fasttime").glob("*.json")
    assert load(path).processes == (41, 41)  # type: ignore[union-attr]


# --- --fasttime-against ---


def git(project: Project, *arguments: str) -> None:
    names = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *names, *arguments], cwd=project.path, check=True, capture_output=True)


@pytest.fixture
def repository(project: Project) -> Project:
    """A repository. Its code takes 1 ms in the last commit, and 1.2 ms in the working tree."""
    project.pytester.makepyfile(decode="def run(): return 1e-3")
    git(project, "init", "-q")
    git(project, "add", "decode.py", "conftest.py")
    git(project, "commit", "-qm", "first")
    project.pytester.makepyfile(decode="def run(): return 1.2e-3")
    # The commit does not have the test.
    project.pytester.makepyfile(
        test_it="import decode\ndef test_run(fasttime_check): fasttime_check(decode.run)"
    )
    return project


def test_a_revision_is_measured_in_turns(
    repository: Project, forked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = repository.run("--fasttime-against", "HEAD", "--fasttime-processes", "6")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_it.py::test_run is slower: +20.0 %*limit +5 %"])
    tops = [json.loads(command[-1])["top"] for command in forked]
    assert len(tops) == 12
    assert all(len(set(tops[pair : pair + 2])) == 2 for pair in range(0, 12, 2))
    listed = subprocess.run(
        ["git", "worktree", "list"], cwd=repository.path, capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 1  # it was removed


def test_equal_revisions_pass(repository: Project, forked: list[list[str]]) -> None:
    git(repository, "add", "decode.py")
    git(repository, "commit", "-qm", "second")
    result = repository.run("--fasttime-against", "HEAD", "--fasttime-processes", "6")
    result.assert_outcomes(passed=1)


def test_an_unknown_revision_skips(repository: Project) -> None:
    result = repository.run("--fasttime-against", "no-such-thing")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*git finds no revision 'no-such-thing'*"])


def test_an_old_side_that_fails_skips(repository: Project, forked: list[list[str]]) -> None:
    repository.pytester.makepyfile(
        decode="def run_new(): return 1e-3",
        test_it="import decode\ndef test_run(fasttime_check): fasttime_check(decode.run_new)",
    )
    result = repository.run("--fasttime-against", "HEAD", "--fasttime-processes", "6")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*old side*exit code 1*run_new*"])


def test_too_few_pairs_are_refused(repository: Project) -> None:
    result = repository.run("--fasttime-against", "HEAD", "--fasttime-processes", "3")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*needs at least 6 processes per side, got 3*"])


def test_code_from_elsewhere_is_noticed(
    repository: Project, forked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test always imports the working tree's code, so both sides would run the same."""
    (repository.path / "elsewhere.py").write_text("def run(): return 1e-3")
    repository.pytester.makepyfile(
        test_it="import sys\n"
        f"sys.path.insert(0, {str(repository.path)!r})\n"
        "import elsewhere\n"
        "def test_run(fasttime_check): fasttime_check(elsewhere.run)"
    )
    result = repository.run("--fasttime-against", "HEAD", "--fasttime-processes", "6")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*'elsewhere' is imported from*outside the worktree*"])
