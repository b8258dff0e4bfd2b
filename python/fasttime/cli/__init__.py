# SPDX-License-Identifier: BSD-3-Clause
"""The command ``fasttime``, one module for each of its commands."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence

from . import (
    bench,
    compare,
    demo,
    env,
    run,
)
from .failure import NO_RESULT, Failure
from .output import flush, say

_EXIT_CODES = """exit codes:
  0    done
  1    failed: what was run failed, something is not installed, or `compare` found a regression
  2    bad usage: an option, a file or a name that is not there
  3    the result could not be written; or `compare` itself failed
  130  interrupted by Ctrl-C
`fasttime run` returns its script's, or 1 where that is 0 and a file could not be saved."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 for a failure, 2 for bad usage, and so on."""
    parser = _parser()
    if not (sys.argv[1:] if arguments is None else arguments):
        parser.print_help(sys.stderr)  # what there is, rather than that something is missing
        return 2
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        options.refuse(unknown)  # by the command, whose usage says what it takes
    options.ends_process = arguments is None
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        flush()  # a reader that has gone is to be met here, not at exit
    except Failure as failure:
        # What a user can mend is said in a line; anything else is a bug and keeps its traceback.
        say(f"error: {failure}")
        if failure.code == NO_RESULT:
            _forget_stdout()
        return failure.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 141  # as of a program that SIGPIPE ends
    return code


def _parser() -> argparse.ArgumentParser:
    from .. import __version__

    parser = argparse.ArgumentParser(
        prog="fasttime",
        description="Time GPU code in PyTorch.",
        epilog=f"{_EXIT_CODES}\n\n`fasttime COMMAND --help` says more and has examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fasttime {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (demo, env, run, bench, compare):
        module.add_to(commands)
    return parser


def _forget_stdout() -> None:
    """Let the interpreter's own flush at exit go nowhere, as it would complain once more."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
