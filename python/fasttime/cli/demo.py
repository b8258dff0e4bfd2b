# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime demo``: show how ways to time a model differ."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import torch

from .. import demo
from ..experiments.settings import resolve_device
from .arguments import add_command
from .output import Failure, console

if TYPE_CHECKING:
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime demo
  fasttime demo --quick --device cuda:1"""


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "demo",
        "show how ways to time a model differ, in about a minute",
        "Time one model, and a pipeline of two models, in several ways. Say what each way gets\n"
        "wrong. Uses a GPU if available, and takes about a minute. Needs torchvision:\n"
        "pip install 'fasttime[demo]'.",
        _EXAMPLES,
    )
    parser.add_argument("--device", help="cpu, cuda or cuda:<index>; default: cuda if available")
    parser.add_argument(
        "--quick", action="store_true", help="take about 15 seconds on an idle machine; less steady"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    try:
        device = resolve_device(options.device)
    except ValueError as error:
        raise Failure(str(error)) from error
    try:
        demo.demo(console(), device, options.quick)
    except (ImportError, torch.OutOfMemoryError) as error:
        raise Failure(str(error), code=1) from error
    return 0
