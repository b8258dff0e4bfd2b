# SPDX-License-Identifier: BSD-3-Clause
"""Options, printing and JSON files of the benchmark scripts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from rich.console import Console

from fasttime.environment import describe as environment
from fasttime.experiments import output
from fasttime.experiments.settings import (
    CPU_BATCHES,
    DEFAULT_REPEAT,
    DEFAULT_ROUNDS,
    DEFAULT_WARMUP,
    Settings,
    resolve_device,
)


def json_path(text: str) -> Path:
    """Return the path of a file to write. Refuse a path that cannot be written before the run."""
    path = Path(text)
    if path.is_dir() or not path.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"cannot write a file at {text!r}")
    return path


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every script."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--device", help="cpu, cuda or cuda:<index>; default: cuda, or cpu without a GPU"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed; default: 0")
    parser.add_argument("--json", type=json_path, metavar="PATH", help="save the raw data here")
    return parser


def run_experiment(
    experiment: ModuleType, draw: Callable[[Settings, Path], list[Path]] | None = None
) -> int:
    """Read the options, run the experiment at each batch, print and save the results.

    With `draw`, the option --figure draws pictures at the last batch instead.
    """
    parser = make_parser(experiment.__doc__ or "")
    batches = experiment.GPU_BATCHES

    def add(
        name: str, what: str, on_gpu: object, on_cpu: object, nargs: int | str | None = None
    ) -> None:
        defaults = f"{on_gpu} on a GPU, {on_cpu} on the CPU"
        parser.add_argument(name, type=int, nargs=nargs, help=f"{what}; default: {defaults}")

    shown = " ".join(map(str, batches))
    add("--batch", "images per call", shown, *CPU_BATCHES, nargs="+" if len(batches) > 1 else 1)
    for name, what, defaults in (
        ("--repeat", "runs in a row, including the ignored runs", DEFAULT_REPEAT),
        ("--warmup", "runs to ignore at the beginning", DEFAULT_WARMUP),
        ("--rounds", "repetitions of everything, each in a new order", DEFAULT_ROUNDS),
    ):
        add(name, what, defaults["cuda"], defaults["cpu"])
    if draw is not None:
        parser.add_argument(
            "--figure",
            type=Path,
            metavar="FOLDER",
            help="instead, draw one SVG per way of timing at the last batch; needs a GPU and "
            "matplotlib",
        )
    options = parser.parse_args()
    console = Console()
    try:
        device = resolve_device(options.device)
        plan = [
            Settings.with_defaults(
                device,
                batch,
                repeat=options.repeat,
                warmup=options.warmup,
                rounds=options.rounds,
                seed=options.seed,
            )
            for batch in options.batch or (batches if device != "cpu" else CPU_BATCHES)
        ]
        if draw is not None and options.figure is not None:
            for path in draw(plan[-1], options.figure):
                console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
            return 0
        results = []
        for settings in plan:
            results.append(experiment.run(settings, output.track))
            console.print(experiment.table(results[-1]))
    except (ImportError, ValueError, torch.OutOfMemoryError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    sentence = experiment.sentence(results)
    if options.json:
        here = environment.describe(device)
        output.save(output.document(experiment.NAME, here, results, sentence), options.json)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0
