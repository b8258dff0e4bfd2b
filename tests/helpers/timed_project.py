# SPDX-License-Identifier: BSD-3-Clause
"""A project with timing checks, whose times are scripted."""

from __future__ import annotations

from pathlib import Path

import pytest

HELPERS = Path(__file__).parent

# Loading plugins by their entry points would read the metadata of every installed package, in each
# session and each of its processes. It would also depend on whether fasttime is installed.
WITHOUT_ENTRY_POINTS = ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
PLUGIN = ("-p", "fasttime_pytest")
XDIST = ("-p", "xdist")

# Without this, pytest collects garbage five times at the end, which takes seconds beside torch.
QUICK = ("-p", "no:unraisableexception")

# A callable returns the seconds that it pretends to take, so checks need no clock.
CONFTEST = f"""
import secrets, sys
sys.path.insert(0, {str(HELPERS)!r})
import numpy as np
import pytest
from made_up import measurement
from fasttime.pytest_checks import fixtures

def scripted(fn, *args, **options):
    times = fn(*args) * np.linspace(0.9999, 1.0001, 41)
    return measurement(times, loop_time=float(secrets.randbits(40)), **options)

@pytest.fixture(autouse=True)
def _scripted(monkeypatch):
    monkeypatch.setattr(fixtures, "measure", scripted)
"""

# Takes the next time from a file, also in other processes.
WORK = """
import pathlib
FILE = pathlib.Path(__file__).parent / "times.txt"

def work():
    first, _, rest = FILE.read_text().partition(" ")
    FILE.write_text(rest)
    return float(first)
"""


class Project:
    """A folder with a test file `test_it.py`, and pytest sessions in it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        pytester.makeconftest(CONFTEST)
        pytester.makepyfile(work=WORK)

    def takes(self, *seconds: float) -> None:
        """Set the times of the next calls of `work`."""
        (self.path / "times.txt").write_text(" ".join(map(str, seconds)) + " ")

    def test(self, code: str) -> None:
        """Write the test file."""
        self.pytester.makepyfile(test_it=f"from work import work\n{code}")

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run a session in this process."""
        return self.pytester.runpytest_inprocess(*PLUGIN, *QUICK, "-rs", *arguments)
