# SPDX-License-Identifier: BSD-3-Clause
"""The same measurement in several fresh processes, one after another.

What differs from process to process, such as where memory lies and which algorithms cuDNN settles
on, is the same for all runs in one of them, so that no number of runs there averages it out.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import saved
from .failure import Failure
from .output import say

if TYPE_CHECKING:
    from ..measuring.measurement import Measurement


def measure(arguments: Sequence[str], count: int) -> Measurement:
    """Run ``fasttime bench`` with `arguments` so many times and return the results as one.

    Raises Failure, after passing on the process's own words, where one of them fails.
    """
    measurements = []
    with tempfile.TemporaryDirectory(prefix="fasttime-") as folder:
        for number in range(1, count + 1):
            if sys.stderr.isatty():
                say(f"process {number} of {count}")
            path = Path(folder, f"{number}.json")
            _run([*arguments, "--output", str(path)], f"process {number} of {count}")
            measurements.append(saved.load(path))
    return saved.merge(measurements)


def _run(arguments: Sequence[str], name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fasttime", "bench", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",  # libraries write what they like
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        how = (
            f"was ended by signal {-done.returncode}"
            if done.returncode < 0
            else f"ended with exit code {done.returncode}"
        )
        raise Failure(f"{name} {how}; what it said is above", code=1)
