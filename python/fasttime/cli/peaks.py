# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime peaks``: measure what this GPU can reach."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import torch

from ..rates.measured_peaks import measure_peaks
from ..rates.peaks import known_peaks
from .arguments import add_command
from .output import Failure, first_sentence, show

if TYPE_CHECKING:
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime peaks
  fasttime peaks --again

The peaks are kept per GPU, driver and torch, in ~/.cache/fasttime/peaks.json. Sweeps on this GPU
then also show their rates as a share of the peaks."""


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "peaks",
        "measure the copy bandwidth and matrix product rates of this GPU",
        "Measure the highest rates of this GPU, print them, and keep them. Takes ten seconds.",
        _EXAMPLES,
    )
    parser.add_argument("--again", action="store_true", help="measure again even if they are known")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if not torch.cuda.is_available():
        raise Failure("peaks are measured on a GPU, and torch finds none", code=1)
    torch.cuda.init()  # type: ignore[no-untyped-call]
    try:
        show((None if options.again else known_peaks()) or measure_peaks(), sys.stdout)
    except torch.OutOfMemoryError as error:
        raise Failure(f"{first_sentence(error)}; free 2 GiB of GPU memory", code=1) from error
    return 0
