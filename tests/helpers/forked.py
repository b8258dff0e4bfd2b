# SPDX-License-Identifier: BSD-3-Clause
"""Processes forked from one that has imported fasttime and torch.

The import takes two seconds, which is longer than most tests need for the rest of their process.
CUDA is not started before the fork. Each process ends like every Python process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fasttime

# Absolute, because tests change the folder.
PACKAGE = str(Path(fasttime.__file__).resolve().parents[1])

Done = subprocess.CompletedProcess[str]

# Forks one process per line of stdin, waits for it and prints its exit code.
_FORKING = """
import json
import os
import signal
import sys

import fasttime
import torch

for request in sys.stdin:
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()

signal.alarm(120)
code, folder, output, errors, arguments = json.loads(request)
os.chdir(folder)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(os.open(output, os.O_WRONLY), 1)
os.dup2(os.open(errors, os.O_WRONLY), 2)
sys.argv = ["-c", *arguments]
exec(code, {"__name__": "__main__"})
"""


class Forking:
    """Runs Python code in forked processes, one after another."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def run(self, code: str, *arguments: str) -> Done:
        """Run code in the current folder, with the arguments in ``sys.argv[1:]``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        files = [self._folder / "stdout", self._folder / "stderr"]
        for file in files:
            file.write_text("")
        request = [code, os.getcwd(), *map(str, files), arguments]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the forking process has ended"
        return Done(arguments, int(answer), *(file.read_text() for file in files))


@contextmanager
def forking_process(environment: Mapping[str, str], folder: Path) -> Iterator[Forking]:
    """Yield a process that forks others. `folder` holds their output."""
    with subprocess.Popen(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", _FORKING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield Forking(process, folder)
