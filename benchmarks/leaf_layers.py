# SPDX-License-Identifier: BSD-3-Clause
"""What a scope around each leaf layer of MobileNetV3-Large adds to an iteration, and what laps add.

Each layer's forward is wrapped. Compared is the time of an iteration with the same wrappers
switched off, in the same round; the ways take turns, in a new order each round. The device is
synchronised before the first iteration of a turn and after the last. Beside them stand the records
alone, made in C and read by nobody: a pair around each layer, and one after each.
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
from _paired import COLUMNS, Paired, said, table_row
from _raw_pair import compile_raw_pair
from rich.console import Console

import fasttime
from fasttime.environment import describe as environment
from fasttime.experiments import models, output
from fasttime.experiments.settings import Settings, resolve_device

RAW_PAIRS, RAW_RECORDS = "raw pairs", "raw records, one a layer"
# So many that none is recorded anew while the device has still to reach it.
EVENTS = 16_384
# Beside what each is set: the wrapper that is most like its own, with nothing done in it.
SWITCHED_OFF = {
    "scopes": "scopes off",
    RAW_PAIRS: "scopes off",
    "laps": "laps off",
    RAW_RECORDS: "laps off",
}
# By way and batch: how much longer an iteration may take.
TARGETS = {("scopes", 32): 0.20, ("scopes", 256): 0.037, ("laps", 32): 0.12, ("laps", 256): 0.021}


@dataclass(frozen=True)
class Result:
    """Seconds an iteration, by way and round, at one batch."""

    settings: Settings
    layers: int
    seconds: dict[str, list[float]]
    unshared: float
    paired: list[Paired]

    def summary(self) -> dict[str, Any]:
        """Return the change that each way makes."""
        return {
            "layers": self.layers,
            "unshared_scopes": self.unshared,
            "changes": [paired.summary() for paired in self.paired],
        }


def leaves_of(model: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Return the layers without layers below them, by name, in the order of the model."""
    return [(name, module) for name, module in model.named_modules() if not list(module.children())]


@contextlib.contextmanager
def wrapped(model: torch.nn.Module, wrap: Callable[[str, Any], Any]) -> Iterator[None]:
    """Replace each leaf's forward by what `wrap` makes of its name and its forward."""
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


class Laps:
    """An iteration in laps: each layer names the section that ends with it."""

    def __init__(self) -> None:
        self.lap: Any = None

    def wrap(self, name: str, forward: Any) -> Any:
        def timed(x: torch.Tensor) -> torch.Tensor:
            y = forward(x)
            self.lap(name)
            return y

        return timed

    def iteration(self, model: torch.nn.Module, x: torch.Tensor) -> None:
        with fasttime.laps("step") as self.lap:
            model(x)


def in_raw_pair(raw: Any) -> Callable[[str, Any], Any]:
    """Return what makes of a forward one between two records in C that nobody reads."""
    pair = raw.pair

    def wrap(name: str, forward: Any) -> Any:
        def timed(x: torch.Tensor) -> torch.Tensor:
            with pair:
                return forward(x)

        return timed

    return wrap


def with_raw_record(raw: Any) -> Callable[[str, Any], Any]:
    """Return what makes of a forward one with such a record after it."""
    record = raw.record

    def wrap(name: str, forward: Any) -> Any:
        def timed(x: torch.Tensor) -> torch.Tensor:
            y = forward(x)
            record()
            return y

        return timed

    return wrap


def measure(settings: Settings, raw: Any | None) -> Result:
    """Let the ways take turns at one batch."""
    model = models.mobilenet_v3("large", settings)
    x = models.random_images(settings)
    laps = Laps()
    ways: dict[str, tuple[Callable[[str, Any], Any] | None, Callable[..., object], bool]] = {
        "untouched": (None, model.__class__.__call__, True),
        "scopes off": (in_scope, model.__class__.__call__, False),
        "scopes": (in_scope, model.__class__.__call__, True),
    }
    ways["laps off"] = (laps.wrap, laps.iteration, False)
    ways["laps"] = (laps.wrap, laps.iteration, True)
    if raw is not None:
        ways[RAW_PAIRS] = (in_raw_pair(raw), model.__class__.__call__, False)
        ways[RAW_RECORDS] = (with_raw_record(raw), model.__class__.__call__, False)

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
            turn(name, settings.kept)  # everything once, not counted
        fasttime.report(wait=True, reset=True)
        plan = [n for _ in range(settings.rounds) for n in order.sample(list(ways), len(ways))]
        for name in output.track(plan, f"batch {settings.batch}"):
            seconds[name].append(turn(name, settings.kept))
    sites = list(fasttime.report(wait=True, reset=True).walk())
    ok = sum(site.counts["ok"] for site in sites)
    shared = sum(site.shared_boundaries for site in sites)
    paired = []
    for name, off in SWITCHED_OFF.items():
        if name in seconds:
            target = TARGETS.get((name, settings.batch)) if settings.on_gpu else None
            made = Paired(
                name,
                f"batch {settings.batch}",
                off,
                "us",
                None if target is None else 1 + target,
            )
            made.values = [[1e6 * value] for value in seconds[name]]
            made.yardsticks = [[1e6 * value] for value in seconds[off]]
            paired.append(made)
    return Result(settings, len(leaves_of(model)), seconds, 1 - shared / max(ok, 1), paired)


def raw_pair_or_none(console: Console) -> Any | None:
    """Return the raw pair, or say why there is none."""
    torch.cuda.synchronize()  # starts CUDA
    try:
        return compile_raw_pair(EVENTS)
    except (ImportError, OSError, RuntimeError) as error:
        console.print(f"No raw pair (is ninja installed, a C++ compiler?): {error}")
        return None


def main() -> int:
    parser = make_parser(__doc__ or "")
    parser.add_argument("--batch", type=int, nargs="+", help="default: 32 256 on a GPU, 1 without")
    parser.add_argument("--repeat", type=int, help="iterations a turn, warm-up included")
    parser.add_argument("--warmup", type=int, help="iterations of a turn not counted")
    parser.add_argument("--rounds", type=int, help="default: 25 on a GPU, 3 without")
    options = parser.parse_args()
    console = Console(width=120)
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
    title = f"An iteration with each of {layers} leaf layers timed, to the same switched off"
    console.print(output.table(title, COLUMNS, [table_row(paired) for paired in everything]))
    told = []
    for result in results:
        batch, us = result.settings.batch, 1e6 * statistics.median(result.seconds["untouched"])
        told.append(f"batch {batch}: {us:,.0f} us untouched, {result.unshared:.0%} share no event")
    sentence = f"{'; '.join(told)}; {said(everything)}"
    if options.json:
        here = environment.describe(device)
        output.save(output.document("leaf_layers", here, results, sentence), options.json)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
