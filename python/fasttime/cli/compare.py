# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime compare``: compare two saved measurements, or the reports of two sides."""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from ..comparing.saved import SavedComparison, compare_saved
from ..comparing.site_by_site import MARGIN, compare_reports
from ..comparing.site_changes import ReportComparison
from ..comparing.verdict import MARGIN as MEASUREMENT_MARGIN
from ..comparing.verdict import NOT_COMPARABLE
from ..measuring.measurement import Measurement
from .arguments import add_command, fraction
from .measurements import as_json
from .output import NO_RESULT, Failure, put, say, show
from .result_files import Side, load_side

if TYPE_CHECKING:
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime compare before.json after.json
  fasttime compare before.json after.json --fail-above 5%
  fasttime compare monday/ tuesday/ --fail-above 5%

`fasttime bench -o` and `Measurement.save` write measurements. `fasttime run --json` and
`Report.save` write reports. Reports are compared site by site. In a folder, each .json file is the
report of one interval or one process. Three reports or more per side can prove a change.

exit codes:
  0  no proven slowdown, or no --fail-above
  1  the new measurement, or a site of the new reports, is proven to be slower by more than
     --fail-above
  2  a file is missing, holds something else, or is given twice
  3  the comparison failed or could not be written
  4  not comparable: another machine or another torch, without --allow-other-machine"""


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "compare",
        "compare two saved measurements, or reports site by site",
        "Compare two saved measurements, or reports site by site, and say what is certain.",
        _EXAMPLES,
    )
    what = "a measurement, a report, or a folder of reports"
    parser.add_argument("old", type=Path, metavar="OLD", help=f"the baseline: {what}")
    parser.add_argument("new", type=Path, metavar="NEW", help=f"the new side: {what}")
    parser.add_argument(
        "--fail-above",
        type=fraction,
        metavar="CHANGE",
        help="exit with 1 if NEW is proven to be slower by more than this: 5%% or 0.05",
    )
    parser.add_argument(
        "--margin",
        type=fraction,
        metavar="SHARE",
        help="differences up to this count as the same: 2%% or 0.02; default: 1%%, for reports 5%%",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.add_argument(
        "--allow-other-machine",
        action="store_true",
        help="compare results from two machines or two versions of torch, too",
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
    old, new = load_side(options.old), load_side(options.new)
    _refuse_twice(old, new)
    comparison = _compared(old, new, options.fail_above, options.margin)
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
    proven = f"is proven{_where(comparison, options.fail_above)}" if code else "is not proven"
    say(f"a slowdown of more than {100 * options.fail_above:g} % {proven}: exit code {code}")
    return code


def _refuse_twice(old: Side, new: Side) -> None:
    for one in old.files:
        for other in new.files:
            if one.samefile(other):
                raise Failure(f"{one} and {other} are the same file; name two files")


def _compared(
    old: Side, new: Side, fail_above: float | None, margin: float | None
) -> SavedComparison | ReportComparison:
    try:
        if isinstance(old.content, Measurement) and isinstance(new.content, Measurement):
            margin = MEASUREMENT_MARGIN if margin is None else margin
            return compare_saved(old.content, new.content, margin=margin)
        if isinstance(old.content, list) and isinstance(new.content, list):
            if margin is None:
                # A slowdown within the margin would not fail, so the limit lowers the margin.
                margin = min(MARGIN, fail_above or MARGIN)
            return compare_reports(old.content, new.content, margin=margin)
    except ValueError as error:
        raise Failure(str(error)) from error
    raise Failure(
        f"{old.name} holds {_kind(old)} and {new.name} holds {_kind(new)}; compare measurements "
        "with measurements, and reports with reports"
    )


def _kind(side: Side) -> str:
    if isinstance(side.content, Measurement):
        return "a measurement"
    return "a report" if len(side.content) == 1 else "reports"


def _where(comparison: SavedComparison | ReportComparison, fail_above: float) -> str:
    """Return where a slowdown is proven, to continue a sentence."""
    if isinstance(comparison, ReportComparison):
        return f" at {', '.join(one.path for one in comparison.slower(fail_above))}"
    return ""
