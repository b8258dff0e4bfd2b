# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime demo``: two of the experiments in about a minute, and what to take home from them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from .experiments import environment, output, pipeline, single_model
from .experiments.pipeline_result import Pipeline
from .experiments.settings import CPU_BATCHES, DEFAULT_ROUNDS, Settings, resolve_device
from .experiments.ways_to_time import WAYS, ways
from .units import format_change, format_seconds

# Seconds to spend on each batch of the pipeline, which takes most of the time; --quick takes less.
_PIPELINE_SECONDS = 18.0
_QUICK_PIPELINE_SECONDS = 4.0
_FEWEST_RUNS = 6
_ADVICE = """In your own code:

    with fasttime.scope("model_large"):
        y = model(x)
    print(fasttime.report())"""


def demo(console: Console, device: str | None = None, quick: bool = False) -> None:
    """Time one model and a pipeline in several ways and print what that shows.

    Args:
        console: where to print.
        device: ``cpu``, ``cuda`` or ``cuda:<index>``; by default CUDA if there is any.
        quick: take some 15 seconds instead of a minute; the figures are less steady.

    Waits for the device. Raises ValueError for a device that is not there and ImportError where
    torchvision is missing.
    """
    device = resolve_device(device)
    on_gpu = device != "cpu"
    here = environment.describe(device)
    console.print(
        f"fasttime {here.fasttime}, torch {here.torch}, {here.device}",
        markup=False,
        highlight=False,
    )
    if not on_gpu:
        console.print("Without a GPU all methods agree; this shows the way, not the effect.")
    rounds = 2 if quick else DEFAULT_ROUNDS["cuda" if on_gpu else "cpu"]

    for batch in single_model.GPU_BATCHES[:1] if on_gpu else CPU_BATCHES:
        single = single_model.run(
            Settings.with_defaults(device, batch, rounds=rounds), output.track
        )
        console.print(single_model.table(single))
        console.print(f"{single_model.sentence([single])}\n", markup=False, highlight=False)

    pipelines = []
    for batch in pipeline.GPU_BATCHES if on_gpu else CPU_BATCHES:
        seconds = _QUICK_PIPELINE_SECONDS if quick else _PIPELINE_SECONDS
        result = pipeline.run(fit(device, batch, rounds, seconds), output.track)
        console.print(pipeline.table(result))
        pipelines.append(result)

    console.print("\n".join(lesson(pipelines)), markup=False, highlight=False)
    console.print(f"\n{_ADVICE}", markup=False, highlight=False)


def fit(device: str, batch: int, rounds: int, seconds: float) -> Settings:
    """Return settings with which the pipeline takes about so many seconds, and 50 runs at most."""
    first = Settings.with_defaults(device, batch, rounds=rounds)
    # Those that wait for the device take longer, hence the half more.
    once = 1.5 * pipeline.estimate(first) * rounds * len(ways(first.on_gpu))
    repeat = max(_FEWEST_RUNS, min(50, int(seconds / once)))
    return Settings(device, batch, repeat, max(1, repeat // 10), rounds)


def lesson(pipelines: Sequence[Pipeline]) -> list[str]:
    """Return what the pipeline teaches, in plain lines, each with the figures that were seen.

    The last of `pipelines` is the one with the largest batch.
    """
    largest = pipelines[-1]
    if not largest.settings.on_gpu:
        return [pipeline.sentence(pipelines)]
    rows = largest.rows()
    untimed, naive, sync, awaited, scopes = (rows[way] for way in WAYS)
    assert naive.small is not None
    assert sync.small is not None
    right = abs(naive.small / sync.small - 1) < 0.1
    return [
        f"What this shows (batch {largest.settings.batch}, {largest.bound}):",
        " 1. A call returns when its work is queued, not when it is done. A clock around it read "
        f"{format_seconds(naive.small)} for the small model, which took "
        f"{format_seconds(sync.small)}"
        + (": here it was right, but nothing in it says so." if right else "."),
        " 2. To synchronise around each model reads the right time, but the host stands still "
        f"meanwhile: the pipeline took {format_seconds(sync.whole)} instead of "
        f"{format_seconds(untimed.whole)} ({format_change(sync.change)}).",
        " 3. CUDA events do no better if each is waited for on the spot: "
        f"{format_change(awaited.change)}"
        + (
            "."
            if largest.waiting_costs
            else "; here waiting cost little, which means that the device was not the bottleneck."
        ),
        " 4. Events that are read later read the same time: fasttime's scopes changed the pipeline "
        f"by {format_change(scopes.change)}"
        + (
            "."
            if largest.scopes_are_free
            else ", more than they should; the machine may be busy with other work."
        ),
    ]
