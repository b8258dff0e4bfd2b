# SPDX-License-Identifier: BSD-3-Clause
"""The command ``fasttime``, with one module per command."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence

from .._version import __version__
from . import bench, compare, demo, env, merge, peaks, run, show
from .output import NO_RESULT, Failure, did_you_mean, flush, say

# Each module has the name of its command.
_COMMANDS = (demo, env, run, bench, compare, show, merge, peaks)

_EXIT_CODES = """exit codes:
  0    done
  1    failed: your code failed, a package is missing, or `compare` found a slowdown
  2    bad usage: an unknown option, file or name
  3    the result could not be written, or `compare` itself failed
  4    not comparable: `compare` got files of two machines or two versions of torch
  130  interrupted by Ctrl-C
`fasttime run` returns the script's exit code, or 1 if that is 0 and a file could not be saved."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; ``fasttime --help`` lists the codes."""
    parser = _parser()
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        parser.print_help(sys.stderr)  # more helpful than an error
        return 2
    # The options before a command take no values.
    command_name = next((word for word in words if not word.startswith("-")), None)
    names = [module.__name__.rpartition(".")[2] for module in _COMMANDS]
    if command_name is not None and command_name not in names:
        close = did_you_mean(command_name, names) or f"; choose {', '.join(names)}"
        parser.error(f"there is no command {command_name!r}{close}")
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        options.refuse(unknown)  # shows the usage of the command, not of fasttime
    options.ends_process = arguments is None
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        flush()  # raises here, not at exit, if the reader has gone
    except Failure as failure:
        # Any other exception is a bug and keeps its traceback.
        say(f"error: {failure}")
        if failure.code == NO_RESULT:
            _forget_stdout()
        return failure.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 141  # like a program ended by SIGPIPE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fasttime",
        description="Time GPU code in PyTorch.",
        epilog=f"{_EXIT_CODES}\n\n`fasttime COMMAND --help` shows the options and examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fasttime {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_to(commands)
    return parser


def _forget_stdout() -> None:
    """Send the interpreter's flush at exit nowhere. Otherwise it would report the error again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
