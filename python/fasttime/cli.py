# SPDX-License-Identifier: BSD-3-Clause
"""The command ``fasttime``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 for a failure, 2 for bad usage."""
    from . import __version__

    parser = argparse.ArgumentParser(prog="fasttime", description="Time GPU code in PyTorch.")
    parser.add_argument("--version", action="version", version=f"fasttime {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="show in about a minute how the ways to time a model differ",
        description="Time one model and a pipeline of two in several ways, on a GPU if there is "
        "one, and say what that shows. Takes about a minute. Needs torchvision: "
        "pip install 'fasttime[demo]'.",
    )
    demo.add_argument("--device", help="cpu, cuda or cuda:<index>; default: cuda if there is any")
    demo.add_argument("--quick", action="store_true", help="take some 15 seconds, less steady")
    options = parser.parse_args(arguments)
    try:
        return _demo(options.device, options.quick)
    except KeyboardInterrupt:
        return 130
    except (ImportError, ValueError, torch.OutOfMemoryError) as error:
        # What a user can mend is said in a line; anything else is a bug and keeps its traceback.
        print(f"fasttime: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1


def _demo(device: str | None, quick: bool) -> int:
    from rich.console import Console

    from .demo import demo

    demo(Console(), device, quick)
    return 0
