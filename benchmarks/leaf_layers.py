# SPDX-License-Identifier: BSD-3-Clause
"""Measure what a scope or a phase for each leaf layer of MobileNetV3-Large adds to an iteration.

The script wraps the forward method of each leaf layer. Each way is compared with an iteration of
the same round in which the same wrappers are disabled. The ways take turns, in a new order each
round. The device is synchronised before the first iteration of a turn and after the last.

For comparison there are raw event records in C, which are never read: two around each layer, and
one at the beginning of each layer.
"""

from __future__ import annotations

import contextlib
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from _common import make_parser
from _paired import COLUMNS, Paired, table_row, targets_sentence
from _raw_pair import compile_raw_pair
from rich.console import Console

import fasttime
from fasttime.environment import describe as environment
from fasttime.experiments import models, output
from fasttime.experiments.settings import Settings, resolve_device

STEP = "step"
UNTOUCHED = "untouched"
SCOPES, SCOPES_OFF = "scopes", "scopes, disabled"
PHASES, PHASES_OFF = "phases", "phases, disabled"
RAW_PAIRS, RAW_RECORDS = "raw pairs", "raw records, one per layer"
# Enough events that the device has reached each before it is recorded again.
EVENTS = 16_384
# Each way, and the same wrapper with nothing done in it.
YARDSTICKS = {
    SCOPES: SCOPES_OFF,
    RAW_PAIRS: SCOPES_OFF,
    PHASES: PHASES_OFF,
    RAW_RECORDS: PHASES_OFF,
}
# By way and batch: how much longer an iteration may take, relative to the yardstick.
TARGETS = {
    (SCOPES, 32): 0.20,
    (SCOPES, 256): 0.037,
    (PHASES, 32): 0.12,
    (PHASES, 256): 0.021,
}


@dataclass(frozen=True)
class Result:
    """The times at one batch.

    Attributes:
        layers: the number of leaf layers.
        seconds: per iteration, by way and round.
        unshared: the share of scopes that share no event with a neighbour.
        paired: each way beside its yardstick, in microseconds per iteration.
    """

    settings: Settings
    layers: int
    seconds: dict[str, list[float]]
    unshared: float
    paired: list[Paired]

    def summary(self) -> dict[str, Any]:
        """Return the change that each way makes to an iteration."""
        return {
            "layers": self.layers,
            "unshared_scopes": self.unshared,
            "changes": [paired.summary() for paired in self.paired],
        }


def leaves_of(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Return the name and module of each leaf layer, in the order of the model."""
    return [(name, module) for name, module in model.named_modules() if not list(module.children())]


@contextlib.contextmanager
def wrapped(model: torch.nn.Module, wrap: Callable[[str, Any], Any]) -> Iterator[None]:
    """Replace each leaf layer's forward with `wrap(name, forward)`."""
    leaves = leaves_of(model)
    for name, module in leaves:
        module.forward = wrap(name, module.forward)
    try:
        yield
    finally:
        for _, module in leaves:
            del module.forward


def in_scope(name: str, forward: Any) -> Any:
    scope = fasttime.scope

    def timed(x: torch.Tensor) -> torch.Tensor:
        with scope(name):
            return forward(x)

    return timed


class Phases:
    """An iteration in phases: each layer begins its own phase."""

    def __init__(self) -> None:
        self.phase: Any = None

    def wrap(self, name: str, forward: Any) -> Any:
        def timed(x: torch.Tensor) -> torch.Tensor:
            self.phase(name)
            return forward(x)

        return timed

    def iteration(self, model: torch.nn.Module, x: torch.Tensor) -> None:
        with fasttime.phases(STEP) as self.phase:
            model(x)


def in_raw_pair(raw: Any) -> Callable[[str, Any], Any]:
    """Return a wrapper that records one event before the layer and one after it, in C."""
    pair = raw.pair

    def wrap(name: str, forward: Any) -> Any:
        def timed(x: torch.Tensor) -> torch.Tensor:
            with pair:
                return forward(x)

        return timed

    return wrap


def with_raw_record(raw: Any) -> Callable[[str, Any], Any]:
    """Return a wrapper that records one event before the layer, in C."""
    record = raw.record

    def wrap(name: str, forward: Any) -> Any:
        def timed(x: torch.Tensor) -> torch.Tensor:
            record()
            return forward(x)

        return timed

    return wrap


def measure(settings: Settings, raw: Any | None) -> Result:
    """Let the ways take turns at one batch."""
    model = models.mobilenet_v3("large", settings)
    x = models.random_images(settings)
    phases = Phases()
    call = model.__class__.__call__
    # By name: the wrapper of a layer, what runs one iteration, and whether fasttime is enabled.
    ways: dict[str, tuple[Callable[[str, Any], Any] | None, Callable[..., object], bool]] = {
        UNTOUCHED: (None, call, True),
        SCOPES_OFF: (in_scope, call, False),
        SCOPES: (in_scope, call, True),
        PHASES_OFF: (phases.wrap, phases.iteration, False),
        PHASES: (phases.wrap, phases.iteration, True),
    }
    if raw is not None:
        ways[RAW_PAIRS] = (in_raw_pair(raw), call, False)
        ways[RAW_RECORDS] = (with_raw_record(raw), call, False)

    def turn(name: str, repeat: int) -> float:
        wrap, iteration, on = ways[name]
        (fasttime.enable if on else fasttime.disable)()
        with wrapped(model, wrap) if wrap else contextlib.nullcontext():
            for _ in range(settings.warmup):
                iteration(model, x)
            settings.synchronize()
            begin = perf_counter()
            for _ in range(repeat):
                iteration(model, x)
            settings.synchronize()
            seconds = (perf_counter() - begin) / repeat
        fasttime.enable()
        return seconds

    order = random.Random(settings.seed)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        for name in ways:
            turn(name, settings.kept)  # warms up, not counted
        fasttime.report(wait=True, reset=True)
        plan = [n for _ in range(settings.rounds) for n in order.sample(list(ways), len(ways))]
        for name in output.track(plan, f"batch {settings.batch}"):
            seconds[name].append(turn(name, settings.kept))
    scopes = [site for site in fasttime.report(wait=True, reset=True).sites if site.name != STEP]
    ok = sum(site.counts["ok"] for site in scopes)
    shared = sum(site.shared_boundaries for site in scopes)
    unshared = 1 - shared / max(ok, 1)
    return Result(settings, len(leaves_of(model)), seconds, unshared, pairs_of(seconds, settings))


def pairs_of(seconds: dict[str, list[float]], settings: Settings) -> list[Paired]:
    """Return each way beside its yardstick, round by round."""
    pairs = []
    for name, off in YARDSTICKS.items():
        if name in seconds:
            target = TARGETS.get((name, settings.batch)) if settings.on_gpu else None
            limit = None if target is None else 1 + target
            made = Paired(name, f"batch {settings.batch}", off, "us", limit)
            made.values = [[1e6 * value] for value in seconds[name]]
            made.yardsticks = [[1e6 * value] for value in seconds[off]]
            pairs.append(made)
    return pairs


def raw_pair_or_none(console: Console) -> Any | None:
    """Return the raw pair. Without one, print the reason and return None."""
    torch.cuda.synchronize()  # starts CUDA
    try:
        return compile_raw_pair(EVENTS)
    except (ImportError, OSError, RuntimeError) as error:
        console.print(f"No raw pair. Install ninja and a C++ compiler: {error}")
        return None


def main() -> int:
    parser = make_parser(__doc__ or "")
    parser.add_argument("--batch", type=int, nargs="+", help="default: 32 256 on a GPU, 1 without")
    parser.add_argument("--repeat", type=int, help="iterations per turn, warm-up included")
    parser.add_argument("--warmup", type=int, help="iterations per turn that are not counted")
    parser.add_argument("--rounds", type=int, help="default: 25 on a GPU, 3 without")
    options = parser.parse_args()
    console = Console(width=130)
    try:
        device = resolve_device(options.device)
        on_gpu = device != "cpu"
        plan = [
            Settings.with_defaults(
                device,
                batch,
                repeat=options.repeat or (23 if on_gpu else 3),
                warmup=3 if options.warmup is None and on_gpu else options.warmup or 0,
                rounds=options.rounds or (25 if on_gpu else 3),
                seed=options.seed,
            )
            for batch in options.batch or ([32, 256] if on_gpu else [1])
        ]
        with plan[0].current():
            raw = raw_pair_or_none(console) if on_gpu else None
            results = [measure(settings, raw) for settings in plan]
    except (ImportError, ValueError, torch.OutOfMemoryError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    everything = [paired for result in results for paired in result.paired]
    layers = results[0].layers
    title = f"One iteration with each of {layers} leaf layers timed, and the same disabled"
    console.print(output.table(title, COLUMNS, [table_row(paired) for paired in everything]))
    parts = []
    for result in results:
        batch, us = result.settings.batch, 1e6 * statistics.median(result.seconds[UNTOUCHED])
        parts.append(
            f"batch {batch}: {us:,.0f} us untouched, "
            f"{result.unshared:.0%} of the scopes share no event"
        )
    sentence = f"{'; '.join(parts)}; {targets_sentence(everything)}"
    if options.json:
        here = environment.describe(device)
        output.save(output.document("leaf_layers", here, results, sentence), options.json)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
