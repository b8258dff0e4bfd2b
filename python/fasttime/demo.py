# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime demo``: two experiments in about a minute, and what to learn from them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from rich.console import Console

from .environment import describe as environment
from .experiments import output, pipeline, single_model
from .experiments.pipeline_result import Pipeline
from .experiments.settings import CPU_BATCHES, Settings, resolve_device
from .experiments.ways_to_time import WAYS, ways
from .text import format_change, format_seconds

# Seconds per batch of the pipeline, which takes most of the time.
_PIPELINE_SECONDS = 18.0
_QUICK_PIPELINE_SECONDS = 4.0
_FEWEST_RUNS = 6
_ADVICE = """In your own code:

    with fasttime.scope("model_large"):
        y = model(x)
    print(fasttime.report())"""


def demo(console: Console, device: str | None = None, quick: bool = False) -> None:
    """Time one model and a pipeline in several ways, and print what each way gets wrong.

    Args:
        console: where to print.
        device: ``cpu``, ``cuda`` or ``cuda:<index>``; by default CUDA if available.
        quick: take about 15 seconds on an idle machine instead of a minute. The times are then less
            steady.

    Waits for the device. Raises ValueError if there is no such device, and ImportError without
    torchvision.
    """
    device = resolve_device(device)
    on_gpu = device != "cpu"
    # On a busy CPU, a run of the pipeline takes about a second.
    short = quick and not on_gpu
    rounds = 1 if short else 2 if quick else 3
    say = functools.partial(console.print, markup=False, highlight=False)
    here = environment.describe(device)
    say(f"fasttime {here.fasttime}, torch {here.torch}, {here.device}")
    if not on_gpu:
        say(
            "There is no GPU in use. On the CPU all methods agree, so you see the steps of the "
            "demo, but not the effect."
        )

    batch = (single_model.GPU_BATCHES if on_gpu else CPU_BATCHES)[0]
    repeat = _FEWEST_RUNS if short else None
    settings = Settings.with_defaults(device, batch, repeat=repeat, rounds=rounds)
    single = single_model.run(settings, output.track)
    say(single_model.table(single))
    say(f"{single_model.sentence([single])}\n")

    pipelines = []
    for batch in pipeline.GPU_BATCHES if on_gpu else CPU_BATCHES:
        seconds = _QUICK_PIPELINE_SECONDS if quick else _PIPELINE_SECONDS
        pipelines.append(pipeline.run(fit(device, batch, rounds, seconds), output.track))
        say(pipeline.table(pipelines[-1]))

    say("\n".join(lesson(pipelines)))
    say(f"\n{_ADVICE}")


def fit(device: str, batch: int, rounds: int, seconds: float) -> Settings:
    """Return settings for a pipeline that takes about `seconds`, with at most 50 runs."""
    first = Settings.with_defaults(device, batch, rounds=rounds)
    # A quarter more, because the ways that wait for the device take longer.
    once = 1.25 * pipeline.estimate(first) * rounds * len(ways(first.on_gpu))
    repeat = max(_FEWEST_RUNS, min(50, int(seconds / once)))
    return Settings(device, batch, repeat, max(1, repeat // 10), rounds)


def lesson(pipelines: Sequence[Pipeline]) -> list[str]:
    """Return the lesson of the pipeline in plain lines, with the measured figures.

    Args:
        pipelines: the smallest batch first, the largest last.
    """
    largest = pipelines[-1]
    if not largest.settings.on_gpu:
        return [pipeline.sentence(pipelines)]
    untimed, _, sync, awaited, scopes = (largest.row(way) for way in WAYS)
    return [
        f"What this shows (batch {largest.settings.batch}, {largest.bound}):",
        " 1. A clock around the call: a call returns when its work is queued, not when it is done. "
        f"{_naive(largest)}",
        " 2. synchronize() around the call: the time is right, but the host waits. The pipeline "
        f"took {format_seconds(sync.whole)} instead of {format_seconds(untimed.whole)} "
        f"({format_change(sync.change)}).",
        " 3. CUDA events with a wait after each model: the time is right, but the host waits again "
        f"({format_change(awaited.change)}).",
        " 4. fasttime scopes: the time is right, and the host never waits. The pipeline's time "
        f"changed by {format_change(scopes.change)}.",
        *(
            f" At batch {other.settings.batch} ({other.bound}): {_naive(other)} synchronize() "
            f"changed the pipeline by {format_change(other.row('sync').change)}, fasttime scopes "
            f"by {format_change(other.row('fasttime scopes').change)}."
            for other in pipelines[:-1]
        ),
        *(f" Warning: {warning}" for warning in _warnings(largest)),
    ]


def _naive(result: Pipeline) -> str:
    naive, sync = result.row("naive").small, result.row("sync").small
    assert naive is not None
    assert sync is not None
    accident = " That is right, but by accident." if abs(naive / sync - 1) < 0.1 else ""
    return (
        f"The clock read {format_seconds(naive)} for the small model, which took "
        f"{format_seconds(sync)}.{accident}"
    )


def _warnings(result: Pipeline) -> list[str]:
    """Return how the figures differ from the lesson."""
    warnings = []
    if not result.waiting_costs:
        warnings.append("On this machine, waiting did not clearly slow the pipeline down.")
    if not result.scopes_are_free:
        warnings.append("Scopes changed the pipeline more than they should. Is the machine busy?")
    return warnings
