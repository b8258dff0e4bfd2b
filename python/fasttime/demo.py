# SPDX-License-Identifier: BSD-3-Clause
"""``fasttime demo``: two of the experiments in about a minute, and what to take home from them."""

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
    rounds = 2 if quick else 3
    say = functools.partial(console.print, markup=False, highlight=False)
    here = environment.describe(device)
    say(f"fasttime {here.fasttime}, torch {here.torch}, {here.device}")
    if not on_gpu:
        say("Without a GPU all methods agree; this shows the way, not the effect.")

    batch = (single_model.GPU_BATCHES if on_gpu else CPU_BATCHES)[0]
    single = single_model.run(Settings.with_defaults(device, batch, rounds=rounds), output.track)
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
    """Return settings with which the pipeline takes about so many seconds, and 50 runs at most."""
    first = Settings.with_defaults(device, batch, rounds=rounds)
    # Those that wait for the device take longer, hence the quarter more.
    once = 1.25 * pipeline.estimate(first) * rounds * len(ways(first.on_gpu))
    repeat = max(_FEWEST_RUNS, min(50, int(seconds / once)))
    return Settings(device, batch, repeat, max(1, repeat // 10), rounds)


def lesson(pipelines: Sequence[Pipeline]) -> list[str]:
    """Return what the pipeline teaches, in plain lines, each with the figures that were seen.

    The last of `pipelines` is the one with the largest batch, the first with the smallest.
    """
    largest = pipelines[-1]
    if not largest.settings.on_gpu:
        return [pipeline.sentence(pipelines)]
    untimed, _, sync, awaited, scopes = (largest.row(way) for way in WAYS)
    return [
        f"What this shows (batch {largest.settings.batch}, {largest.bound}):",
        f" 1. A call returns when its work is queued, not when it is done: {_naive(largest)}.",
        " 2. Synchronising around each model reads the right time, but the host stands still "
        f"meanwhile: the pipeline took {format_seconds(sync.whole)} instead of "
        f"{format_seconds(untimed.whole)} ({format_change(sync.change)}).",
        " 3. CUDA events read the right time too, but are no better if each is waited for on the "
        f"spot ({format_change(awaited.change)}).",
        " 4. Events that are read later make nobody wait: with fasttime's scopes the pipeline's "
        f"time changed by {format_change(scopes.change)}.",
        *(
            f" At batch {other.settings.batch} ({other.bound}) {_naive(other)}; synchronising "
            f"cost {format_change(other.row('sync').change)}, fasttime's scopes "
            f"{format_change(other.row('fasttime scopes').change)}."
            for other in pipelines[:-1]
        ),
        *(f" But note: {warning}." for warning in _warnings(largest)),
    ]


def _naive(result: Pipeline) -> str:
    naive, sync = result.row("naive").small, result.row("sync").small
    assert naive is not None
    assert sync is not None
    right = ", so was right, as it happens" if abs(naive / sync - 1) < 0.1 else ""
    return (
        f"a clock around the small model read {format_seconds(naive)}, where it took "
        f"{format_seconds(sync)}{right}"
    )


def _warnings(result: Pipeline) -> list[str]:
    """Return in what the figures do not bear out the lesson."""
    warnings = []
    if not result.waiting_costs:
        warnings.append("on this machine waiting did not clearly slow the pipeline down")
    if not result.scopes_are_free:
        warnings.append("scopes changed the pipeline more than they should, as on a busy machine")
    return warnings
