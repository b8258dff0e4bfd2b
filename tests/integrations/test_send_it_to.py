# SPDX-License-Identifier: BSD-3-Clause
"""The page "Send it to ...": every library is there, and the pytest example works."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from timed_project import PLUGIN, QUICK, WITHOUT_ENTRY_POINTS

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "send-it-to.md").read_text(encoding="utf-8")


@pytest.mark.heavy
def test_the_page_runs_with_every_library() -> None:
    """test_docs leaves out the blocks whose library is missing. Here, none may be missing."""
    needed = re.findall(r"<!-- needs (\w+) -->", PAGE)
    assert len(needed) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in needed:
            importlib.import_module(name)
    node = "tests/test_docs.py::test_the_code_of_a_page_runs[send-it-to.md]"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", node, "-W", "default"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_the_pytest_example_works(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*WITHOUT_ENTRY_POINTS)
    (code,) = re.findall(r"```python\n((?:(?!```).)*fasttime_check.*?)```", PAGE, re.DOTALL)
    options = [*PLUGIN, *QUICK]
    pytester.makepyfile(test_page=code)
    pytester.runpytest_inprocess(*options, "--fasttime-update").assert_outcomes(passed=2)
    assert len(list((pytester.path / ".fasttime").glob("*.json"))) == 1
    # How long the example takes does not matter here: the second session compares.
    result = pytester.runpytest_inprocess(*options)
    result.stdout.fnmatch_lines(["test_page.py::test_decode: *limit +20 %"])
