# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime merge``: combine the files of several ranks or processes."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..measuring.measurement import Measurement
from ..modules.step_report import StepReport
from ..modules.table import ModuleTable
from ..ranks.build import build_table
from ..ranks.conclusion import ranks_text
from ..ranks.sources import Gatherable, summary_of
from ..reports.report import Report
from ..timelines.merged_trace import SUFFIXES, save_merged
from ..timelines.timeline import Timeline
from ..timing_warning import TimingWarning
from .arguments import add_command, new_file
from .output import Failure, say, say_saved, show
from .result_files import load_result

if TYPE_CHECKING:
    from ..loading import Loaded
    from ..ranks.rank_table import RankTable
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime merge report.rank*.json
  fasttime merge report.rank*.json -o ranks.html
  fasttime merge trace.rank*.json -o trace.json.gz
  fasttime merge monday.json tuesday.json -o both.json

All files must hold the same kind of result, which decides what you get:
  reports, module tables, step reports   a table that compares the ranks, site by site
  measurements                           one measurement of several processes
  timelines                              one trace with a process per rank; needs -o

A file's rank is the number after "rank" in its name. If a name has no such number, the files are
ranks 0, 1, 2 and so on, in the given order."""

_RANK = re.compile(r"rank[-_.=]?(\d+)", re.IGNORECASE)
_COMPARED = (Report, ModuleTable, StepReport)


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "merge",
        "compare the reports of ranks, or merge measurements or timelines",
        "Combine the saved results of several ranks or processes.",
        _EXAMPLES,
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="two files or more")
    parser.add_argument(
        "-o",
        "--output",
        type=new_file,
        metavar="FILE",
        help="save the result: .json, .html, .md, .csv or .txt; for timelines .json or .json.gz",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    files: list[Path] = options.files
    if len(files) < 2:
        raise Failure("merge takes two files or more, got one")
    _refuse_twice(files)
    results = [load_result(path) for path in files]
    if all(isinstance(result, Timeline) for result in results):
        _merge_timelines(_by_rank(files, results), options.output)
        return 0
    merged = _merged(files, results)
    show(merged, sys.stdout)
    if options.output is not None:
        try:
            merged.save(options.output)
        except ValueError as error:
            raise Failure(str(error)) from error
        except OSError as error:
            raise Failure(f"could not save {options.output}: {error.strerror}", code=1) from error
        say_saved(options.output)
    return 0


def _merged(files: Sequence[Path], results: Sequence[Loaded]) -> RankTable | Measurement:
    if all(isinstance(result, Measurement) for result in results):
        try:
            return Measurement.merge(*results)  # type: ignore[arg-type]
        except ValueError as error:
            raise Failure(str(error)) from error
    kinds = {type(result): path for path, result in zip(files, results, strict=True)}
    if len(kinds) > 1:
        found = ", ".join(f"{path} holds a {kind.__name__}" for kind, path in kinds.items())
        raise Failure(f"the files hold different kinds of results ({found}); merge each kind alone")
    if not isinstance(results[0], _COMPARED):
        raise Failure(
            f"{files[0]} holds a {type(results[0]).__name__}, which cannot be merged; merge takes "
            "reports, module tables, step reports, measurements or timelines"
        )
    return _rank_table(_by_rank(files, results))  # type: ignore[arg-type]


def _rank_table(results: Mapping[int, Gatherable]) -> RankTable:
    """Return the table of these ranks. Ranks below the highest that have no file are missing."""
    missing = [rank for rank in range(max(results) + 1) if rank not in results]
    warnings = []
    if missing:
        warnings.append(
            TimingWarning(
                "missing_ranks",
                f"The table lacks {ranks_text(missing)}, because no file is from these ranks. Add "
                "their files, or look for ranks that died before they could save.",
            )
        )
    return build_table(
        [
            summary_of(result, rank, _host_name(result), caller="merge")
            for rank, result in results.items()
        ],
        world_size=len(results) + len(missing),
        missing=missing,
        warnings=warnings,
    )


def _host_name(result: Gatherable) -> str:
    """Return the machine that a result comes from; only reports know it."""
    return (result.environment.host_name or "") if isinstance(result, Report) else ""


def _merge_timelines(timelines: Mapping[int, Loaded], output: Path | None) -> None:
    if output is None:
        raise Failure("timelines are merged into a trace; name its file: -o trace.json")
    if not str(output).lower().endswith(SUFFIXES):
        raise Failure(f"a trace ends in {' or '.join(SUFFIXES)}, got {output}")
    try:
        on_one_clock = save_merged(timelines, output)  # type: ignore[arg-type]
    except OSError as error:
        raise Failure(f"could not save {output}: {error.strerror}", code=1) from error
    say_saved(output)
    if not on_one_clock:
        say(
            "the timelines do not overlap in time, so each begins at 0; moments of different ranks "
            "cannot be compared"
        )


def _by_rank(files: Sequence[Path], results: Sequence[Loaded]) -> dict[int, Loaded]:
    """Return the results by rank. Raises Failure if two names have the same rank."""
    found = [_RANK.findall(path.name) for path in files]
    ranks = [int(numbers[-1]) for numbers in found if numbers]
    if len(ranks) < len(files):
        ranks = list(range(len(files)))
    first: dict[int, Path] = {}
    for rank, path in zip(ranks, files, strict=True):
        if first.setdefault(rank, path) != path:
            raise Failure(f"{first[rank]} and {path} are both of rank {rank}; name one of them")
    return dict(zip(ranks, results, strict=True))


def _refuse_twice(files: Sequence[Path]) -> None:
    places: dict[Path, Path] = {}
    for path in files:
        if (other := places.setdefault(path.resolve(), path)) is not path:
            raise Failure(f"{other} and {path} are the same file; name each file once")
