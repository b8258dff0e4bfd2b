# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime compare``: compare two saved measurements."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from ..comparing.saved import NOT_COMPARABLE, compare_saved
from ..comparing.verdict import MARGIN
from .arguments import add_command, fraction
from .measurements import as_json, load
from .output import NO_RESULT, Failure, put, say, show

if TYPE_CHECKING:
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime compare before.json after.json
  fasttime compare before.json after.json --fail-above 5%

`fasttime bench -o` and `Measurement.save` write such files.

exit codes:
  0  no proven regression, or no --fail-above
  1  the new measurement is proven to be slower by more than --fail-above
  2  a file is missing, holds no measurement, or is given twice
  3  the comparison failed or could not be written
  4  not comparable: another machine or another torch, without --allow-other-machine"""


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "compare",
        "compare two saved measurements",
        "Compare two saved measurements and say how certain the difference is.",
        _EXAMPLES,
    )
    parser.add_argument("old", type=Path, metavar="OLD.json", help="the baseline")
    parser.add_argument("new", type=Path, metavar="NEW.json", help="the new measurement")
    parser.add_argument(
        "--fail-above",
        type=fraction,
        metavar="CHANGE",
        help="exit with 1 if NEW.json is proven to be slower by more than this: 5%% or 0.05",
    )
    parser.add_argument(
        "--margin",
        type=fraction,
        metavar="SHARE",
        help="differences up to this count as the same: 2%% or 0.02; default: 1%%",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.add_argument(
        "--allow-other-machine",
        action="store_true",
        help="compare measurements from two machines or two versions of torch, too",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    try:
        return _run(options)
    except (Failure, BrokenPipeError):
        raise
    except Exception:
        # A bug. Python would exit with 1 after the traceback, but 1 means a regression.
        traceback.print_exc()
        return NO_RESULT


def _run(options: argparse.Namespace) -> int:
    old, new = load(options.old), load(options.new)
    if options.old.samefile(options.new):
        raise Failure(f"{options.old} and {options.new} are the same file; name two files")
    try:
        margin = MARGIN if options.margin is None else options.margin
        comparison = compare_saved(old, new, margin=margin)
    except ValueError as error:
        raise Failure(str(error)) from error
    if options.json:
        put(as_json(comparison))
    else:
        show(comparison, sys.stdout)
    if comparison.other_machine and not options.allow_other_machine:
        differences = "; ".join(map(str, comparison.other_machine))
        say(
            f"not comparable: {differences}. Measure both on one machine, or add "
            f"--allow-other-machine: exit code {NOT_COMPARABLE}"
        )
        return NOT_COMPARABLE
    if options.fail_above is None:
        return 0
    code = comparison.exit_code(options.fail_above, allow_other_machine=True)
    proven = "is proven" if code else "is not proven"
    say(f"a slowdown of more than {100 * options.fail_above:g} % {proven}: exit code {code}")
    return code
