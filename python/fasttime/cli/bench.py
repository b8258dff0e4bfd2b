# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime bench``: time a callable or a model, compare several, or sweep over arguments."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..comparing.against import AgainstError, check_imports
from ..comparing.comparison import Comparison
from ..comparing.saved import SavedComparison
from ..comparing.saved_verdict import FEWEST_PAIRS
from ..environment.describe import describe
from ..measuring.interrupted import Interrupted
from ..measuring.measure import measure
from ..measuring.measurement import Measurement
from ..rates.rate import KINDS
from ..sweeping.result import Sweep
from . import target as targets
from .arguments import (
    add_command,
    amount,
    device,
    fraction,
    ignored_runs,
    named_values,
    new_csv,
    new_json,
    positive,
    runs,
    seconds,
)
from .bench_many import check_many, compare_targets, rates_asked, sweep_targets
from .measurements import as_json, measure_against, measure_in_processes, save
from .output import Failure, first_sentence, flush_if_possible, put, say_saved
from .user_code import INTERRUPTED, is_message, path_beginning_with, show_error, user_frames

if TYPE_CHECKING:
    from .arguments import Commands

_EXAMPLES = """examples:
  fasttime bench torchvision:mobilenet_v3_large --batch 32 --dtype float16
  fasttime bench my_model:forward --repeat 200
  fasttime bench my_model:forward --processes 5 -o before.json
  fasttime bench my_model:forward --processes 5 -o after.json
  fasttime compare before.json after.json --fail-above 5%
  fasttime bench my_model:forward --against main --processes 10
  fasttime bench my_model:forward --against HEAD --build "python setup.py build_ext -i"
  fasttime bench my_ops:fused my_ops:eager
  fasttime bench my_ops:fused --arg n=1024,4096 --arg dtype=float16,bfloat16 --csv fused.csv
  fasttime bench my_ops:add_in_place --setup my_ops:fresh_inputs --bytes 8e6

my_model:forward is the function `forward` of ./my_model.py or of an installed module.
It is called without arguments. The module creates models and inputs when it is imported.
With --arg, it is called with one value per name as keyword arguments. With --setup, it is called
with the tuple that the setup function returns, and the setup function gets the values of --arg.
Several targets are compared with the first.
--against measures a git revision and your working tree in turns, and says which is faster."""

# How many processes of each revision `--against` starts by default.
_PAIRS = 10

# Options that are passed on to `measure` if they are given.
_MEASURE_OPTIONS = ("method", "warmup", "repeat", "budget", "precision", "hold", "cache", "calls")


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "bench",
        "time a callable or a model of torchvision, or compare several",
        "Time a callable or a model and print the measurement.",
        _EXAMPLES,
    )
    parser.add_argument(
        "targets",
        nargs="+",
        metavar="TARGET",
        help="module:callable, or torchvision:<model>; several are compared",
    )
    parser.add_argument(
        "--arg",
        action="append",
        type=named_values,
        metavar="NAME=VALUE,...",
        help="an argument of the target, and the values over which to sweep; may be repeated",
    )
    parser.add_argument(
        "--setup",
        metavar="TARGET",
        help="module:callable that returns fresh arguments before each run; not timed",
    )
    parser.add_argument(
        "--device",
        type=device,
        help="cpu, cuda or cuda:<index>. Where a model runs (default: cuda if available), or which "
        "GPU is the current device for a callable",
    )
    parser.add_argument("--batch", type=positive, help="images per call (torchvision); default: 32")
    parser.add_argument(
        "--dtype", choices=targets.DTYPES, help="data type of model and images (torchvision)"
    )
    parser.add_argument(
        "--method",
        choices=("event", "sync", "naive", "graph"),
        help="event: time on the device (default); sync: the host waits; naive: the host's clock "
        "alone; graph: replays of a CUDA graph",
    )
    parser.add_argument(
        "--warmup", type=ignored_runs, metavar="N", help="runs to ignore, or auto (default)"
    )
    parser.add_argument(
        "--repeat",
        type=runs,
        metavar="N",
        help="how many runs, or auto (default); includes the ignored runs if --warmup is a number",
    )
    parser.add_argument(
        "--budget",
        type=seconds,
        metavar="SECONDS",
        help="how long an automatic measurement may take; default: 1",
    )
    parser.add_argument(
        "--precision",
        type=fraction,
        metavar="SHARE",
        help="end once the median is known to within this: 1%% or 0.01; default: 0.5%%",
    )
    parser.add_argument(
        "--calls", type=positive, metavar="N", help="calls per run; times are per call; default: 1"
    )
    for kind in KINDS:
        auto = ", auto (torch counts)" if kind == "flops" else ""
        parser.add_argument(
            f"--{kind}",
            type=amount,
            metavar="N",
            help=f"the {kind} of one call, for rates: a number{auto}, or module:callable, which "
            "gets the arguments of the target",
        )
    parser.add_argument(
        "--hold",
        action=argparse.BooleanOptionalAction,
        help="hold the stream while work is queued, so that times include no launch latency; "
        "default: if possible",
    )
    parser.add_argument(
        "--cache",
        choices=("warm", "cold"),
        help="warm: leave the device's L2 cache as it is (default); cold: clear it before each run",
    )
    parser.add_argument(
        "--processes",
        type=positive,
        metavar="N",
        help="measure in N fresh processes, one after another, and merge the measurements. With "
        "--against, N processes of each revision; default: 10",
    )
    parser.add_argument(
        "--against",
        metavar="REV",
        help="compare with a git revision: put it into a worktree, and measure both in turns",
    )
    parser.add_argument(
        "--build", metavar="CMD", help="a shell command that builds REV in its worktree"
    )
    # For the processes that --against starts: the folder that the target must come from.
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(
        "-o",
        "--output",
        type=new_json,
        metavar="FILE.json",
        help="save the result. A sweep saves each point, and continues from the points in the file",
    )
    parser.add_argument(
        "--csv", type=new_csv, metavar="FILE.csv", help="also save the rows of the result as CSV"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if len(options.targets) > 1 or options.arg:
        check_many(options)
    options.target = options.targets[0]
    parts = [targets.split(target) for target in options.targets]
    pairs = 0 if options.against is None else options.processes or _PAIRS
    for target, (module, _) in zip(options.targets, parts, strict=True):
        if module != targets.MODELS:
            _check_callable_options(target, options)
        elif options.arg or options.setup:
            raise Failure(f"{target} creates its own inputs; --arg and --setup are for callables")
    module = parts[0][0]
    _check_against(module, options)
    # Absolute, because the timed code may change the folder.
    files = [(path.absolute(), path) for path in (options.output, options.csv) if path]
    options.output = options.output and options.output.absolute()
    try:
        result: Measurement | SavedComparison | Comparison | Sweep
        code = 0
        processes = options.processes
        if pairs:
            given = _arguments(options), options.against, options.build
            result, code = measure_against(*given, pairs)
        elif processes is not None and processes > 1:
            result, code = measure_in_processes(_arguments(options), processes)
        else:
            # The target's own output must not mix with the data.
            chatter = contextlib.redirect_stdout(sys.stderr) if options.json else None
            with chatter or contextlib.nullcontext(), path_beginning_with(os.getcwd()):
                if len(parts) > 1 or options.arg:
                    result, code = _measure_many(parts, options)
                else:
                    result = _measure(*parts[0], options)
                if options.inside is not None:
                    modules = [module] if options.setup is None else [module, options.setup]
                    check_imports(options.inside, [name.partition(":")[0] for name in modules])
    except AgainstError as error:
        raise Failure(str(error)) from error
    except SystemExit as error:
        raise Failure(
            f"{options.target} called sys.exit({error.code!r}); time a callable that returns",
            code=1,
        ) from error
    except Exception as error:
        is_of_the_user = isinstance(error, SyntaxError) or user_frames(error) is not None
        if isinstance(error, Failure) or not is_of_the_user:
            raise  # a message, or a bug of fasttime
        show_error(error)
        return 1
    # The result is saved even if it cannot be printed.
    try:
        put(as_json(result) if options.json else str(result))
        flush_if_possible()
    finally:
        for path, name in files:
            save(result, path)
            say_saved(name)
    was_cut = isinstance(result, Measurement) and result.ended_by == "interrupt"
    return INTERRUPTED if was_cut else code


def _check_against(module: str, options: argparse.Namespace) -> None:
    if options.against is None:
        if options.build is not None:
            raise Failure("--build builds the revision of --against; add --against REV")
        return
    if module == targets.MODELS:
        raise Failure(
            f"{options.target} is not code of this repository, so --against would measure the same "
            "code twice; name a callable of the repository"
        )
    if options.processes is not None and options.processes < FEWEST_PAIRS:
        raise Failure(
            f"--against needs at least {FEWEST_PAIRS} processes of each revision to decide "
            f"anything, got --processes {options.processes}"
        )


def _check_callable_options(target: str, options: argparse.Namespace) -> None:
    for option in ("batch", "dtype"):
        if getattr(options, option) is not None:
            raise Failure(
                f"--{option} is for {targets.MODELS}:<model>; {target} is called without "
                "arguments and creates its own inputs"
            )
    if options.device == "cpu":
        raise Failure(
            f"--device cpu is for {targets.MODELS}:<model>; {target} chooses its own "
            "device, and --device cuda:<index> only selects the current GPU"
        )


def _measure(module: str, name: str, options: argparse.Namespace) -> Measurement:
    if module == targets.MODELS:
        return _measure_model(name, options)
    with _chosen_gpu(options):
        return _time(targets.find_callable(module, name, options.setup is not None), options)


@contextlib.contextmanager
def _chosen_gpu(options: argparse.Namespace) -> Iterator[None]:
    if options.device is None:
        yield
        return
    if not torch.cuda.is_available():
        raise Failure("torch finds no CUDA device; omit --device")
    chosen = targets.device_of(options.device)
    torch.cuda.init()  # type: ignore[no-untyped-call]
    with targets.current(chosen):
        yield


def _measure_many(
    parts: Sequence[tuple[str, str]], options: argparse.Namespace
) -> tuple[Comparison | Sweep, int]:
    """Compare the targets, or sweep over their arguments. Return the result and the exit code."""
    with contextlib.ExitStack() as stack:
        if any(module == targets.MODELS for module, _ in parts):
            chosen = targets.device_of(options.device)
            stack.enter_context(targets.current(chosen))
            stack.enter_context(torch.inference_mode())
        else:
            stack.enter_context(_chosen_gpu(options))
        takes = bool(options.arg or options.setup)
        found = [
            targets.build_model(name, chosen, options.batch, options.dtype)
            if module == targets.MODELS
            else targets.find_callable(module, name, takes)
            for module, name in parts
        ]
        if not options.arg:
            return compare_targets(found, options)
        values = dict(options.arg)
        if len(values) < len(options.arg):
            raise Failure("an --arg is given twice; list all of its values in one")
        return sweep_targets(found, values, options)


def _measure_model(name: str, options: argparse.Namespace) -> Measurement:
    chosen = targets.device_of(options.device)
    try:
        with targets.current(chosen), torch.inference_mode():
            return _time(targets.build_model(name, chosen, options.batch, options.dtype), options)
    except torch.OutOfMemoryError as error:
        raise Failure(f"{first_sentence(error)}; use a smaller --batch", code=1) from error
    except RuntimeError as error:
        raise Failure(
            f"{options.target} fails on {chosen}: {first_sentence(error)}", code=1
        ) from error


def _time(target: targets.Target, options: argparse.Namespace) -> Measurement:
    given: dict[str, Any] = {
        option: getattr(options, option)
        for option in _MEASURE_OPTIONS
        if getattr(options, option) is not None
    }
    try:
        if options.setup is not None:
            given["setup"] = targets.find_setup(options.setup)
        given |= rates_asked(options)
        measurement = measure(target.fn, *target.arguments, **given)
    except Interrupted as interrupted:  # the complete runs are printed and saved
        measurement = interrupted.result
    except Exception as error:
        if is_message(error):
            raise Failure(str(error), code=1 if isinstance(error, RuntimeError) else 2) from error
        raise
    return dataclasses.replace(
        measurement,
        label=target.label,
        environment=measurement.environment
        or describe("cpu" if measurement.device == "cpu" else "cuda"),
    )


def _arguments(options: argparse.Namespace) -> list[str]:
    """Return the arguments for a process that makes the same measurement once."""
    arguments = [options.target]
    for name in ("device", "batch", "dtype", "setup", *_MEASURE_OPTIONS, *KINDS):
        value = getattr(options, name)
        if isinstance(value, bool):
            arguments.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            arguments += [f"--{name}", str(value)]
    return arguments
