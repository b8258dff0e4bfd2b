# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime compare``: two saved measurements."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import saved
from .arguments import add_command, fraction
from .failure import NO_RESULT, Failure
from .output import say, show

if TYPE_CHECKING:
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime compare before.json after.json
  fasttime compare before.json after.json --fail-above 5%

The files are what `fasttime bench -o` and `Measurement.save` write.

exit codes:
  0  no regression, or none that is proven, or --fail-above was not given
  1  the new one is slower by more than --fail-above, beyond doubt
  2  a file is not there, holds no measurement, or is given twice
  3  the comparison could not be written, or could not be made for another reason"""


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "compare",
        "say whether a saved measurement is slower than another",
        "Compare two saved measurements and say how sure the difference is.",
        _EXAMPLES,
    )
    parser.add_argument("old", type=Path, metavar="OLD.json")
    parser.add_argument("new", type=Path, metavar="NEW.json")
    parser.add_argument(
        "--fail-above",
        type=fraction,
        metavar="CHANGE",
        help="exit with 1 if the new one is proven to be slower by more, such as 5%% or 0.05",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    try:
        return _run(options)
    except (Failure, BrokenPipeError):
        raise
    except Exception:
        # A bug. Python would end with 1 after the traceback, which says that there is a regression.
        traceback.print_exc()
        return NO_RESULT


def _run(options: argparse.Namespace) -> int:
    import fasttime

    old, new = saved.load(options.old), saved.load(options.new)
    if options.old.samefile(options.new):
        raise Failure(f"{options.old} and {options.new} are one file; compare two measurements")
    package: Any = fasttime
    try:
        comparison = package.compare_saved(old, new)
    except ValueError as error:
        raise Failure(str(error)) from error
    show(comparison, sys.stdout)
    if options.fail_above is None:
        return 0
    code: int = comparison.exit_code(options.fail_above)
    proven = "is proven" if code else "is not proven"
    say(f"a change of more than {100 * options.fail_above:+g} % {proven}: exit code {code}")
    return code
