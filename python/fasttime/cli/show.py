# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime show``: print a saved result, or write it in another format."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import add_command, new_html
from .output import Failure, put, say_saved, show
from .result_files import load_result

if TYPE_CHECKING:
    from ..loading import Loaded
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime show report.json
  fasttime show report.json --html report.html
  fasttime show measurement.json --markdown >> "$GITHUB_STEP_SUMMARY"

FILE is any result that fasttime saved as JSON, such as a report, a measurement or a timeline."""


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "show",
        "print a saved result, or write it as HTML, Markdown or CSV",
        "Print a saved result, or write it as HTML, Markdown or CSV.",
        _EXAMPLES,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a JSON file that fasttime saved")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--html", type=new_html, metavar="FILE", help="write an HTML page")
    form.add_argument("--markdown", action="store_true", help="print Markdown")
    form.add_argument("--csv", action="store_true", help="print one line per row as CSV")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    result = load_result(options.file)
    if options.html is not None:
        try:
            result.save(options.html)
        except OSError as error:
            raise Failure(f"could not save {options.html}: {error.strerror}", code=1) from error
        say_saved(options.html)
    elif options.markdown:
        put(_as_text(result, ".md"))
    elif options.csv:
        put(_as_text(result, ".csv"))
    else:
        show(result, sys.stdout)
    return 0


def _as_text(result: Loaded, suffix: str) -> str:
    """Return what `save` writes to a file with this suffix."""
    with tempfile.TemporaryDirectory(prefix="fasttime-") as folder:
        path = Path(folder, f"result{suffix}")
        try:
            result.save(path)
        except ValueError as error:
            raise Failure(str(error).replace(f"{folder}/", "")) from error
        return path.read_text(encoding="utf-8").rstrip("\n")
