# SPDX-License-Identifier: BSD-3-Clause
"""One made-up instance of every kind of result, large enough to look at."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from made_up import environment, measurement
from made_up_modules import record, records, training_steps
from made_up_ranks import summary
from made_up_report import ENVIRONMENT, report, site, training
from made_up_timeline import steps

from fasttime import (
    Comparison,
    Measurement,
    MethodComparison,
    ModuleTable,
    RankTable,
    Report,
    ReportComparison,
    TimingWarning,
    compare_reports,
    compare_saved,
)
from fasttime.measuring.options import Method
from fasttime.ranks.build import build_table
from fasttime.rates.peaks import Peaks
from fasttime.result import Result
from fasttime.sweeping.point import SweepPoint, Timed
from fasttime.sweeping.result import Sweep

STAGES = ("tokenise", "prefill", "decode", "sample", "detokenise", "copy_to_host")
_WARNING = TimingWarning(
    "noisy", "The times vary by 12 %, so small differences are not real. Use an idle machine."
)


def noisy(middle: float, seed: int = 0, count: int = 300) -> np.ndarray:
    """Return times around a middle, with a few outliers."""
    rng = np.random.default_rng(seed)
    times = middle * np.exp(rng.normal(0, 0.02, count))
    times[:: count // 3] *= 1.5
    return times


def measured(middle: float = 2e-3, seed: int = 0, **changes: object) -> Measurement:
    changes = {"label": "my_model:forward", "warnings": (_WARNING,), **changes}
    return measurement(noisy(middle, seed), **changes)


def comparison() -> Comparison:
    sides = {"torch.nn.functional.softmax": 2e-3, "fused_softmax": 1.8e-3, "triton": 2.01e-3}
    return Comparison(
        {name: measured(t, n, label=name) for n, (name, t) in enumerate(sides.items())},
        *(10, 0.01, 0.95, 1.0),
    )


def method_comparison() -> MethodComparison:
    times: dict[Method, float] = {"naive": 0.7e-3, "sync": 2.4e-3, "event": 2.2e-3}
    loops = {"untimed": (2.0, 2.1), "naive": (2.0, 2.1), "sync": (3.0, 3.1), "event": (2.0, 2.1)}
    return MethodComparison(
        {name: measured(t, n, method=name) for n, (name, t) in enumerate(times.items())}, loops
    )


def served(slowdown: float, number: int) -> Report:
    """Return a report of a service with many stages."""
    noise = 1e-3 * (1 + number / 500)
    requests = [
        site(
            f"model_{model}",
            *(
                site(stage, device=(n + 1) * noise * (slowdown if stage == "decode" else 1))
                for n, stage in enumerate(STAGES)
            ),
            device=25e-3,
        )
        for model in range(3)
    ]
    known = replace(ENVIRONMENT, process_id=number, host_name="host")
    return report(site("request", *requests, device=80e-3), known_environment=known)


def report_comparison() -> ReportComparison:
    return compare_reports(
        [served(1.0, number) for number in range(4)], [served(1.2, number) for number in range(4)]
    )


def modules() -> ModuleTable:
    """Return a table of many modules, four levels deep."""
    made = [record("", "VisionTransformer", None, forward=(24, 1), backward=(48, 2))]
    for layer in range(4):
        path, parent = f"encoder.layers.encoder_layer_{layer}", len(made)
        made.append(record(path, "EncoderBlock", 0, forward=(6, 0.1), backward=(12, 0.2)))
        for n, (name, kind) in enumerate(
            (("self_attention", "MultiheadAttention"), ("ln_1", "LayerNorm"), ("mlp", "MLPBlock"))
        ):
            part = (n + 1.0, n + 1.0)
            made.append(
                record(
                    f"{path}.{name}",
                    kind,
                    parent,
                    forward=part,
                    backward=(2 * part[0],) * 2,
                    recompute=part,
                )
            )
    return ModuleTable(records(*made, overhead=0.003, overhead_budget=0.01))


def ranks() -> RankTable:
    sites = {"step": 60.0, "step/forward": 20.0}
    sites |= {f"step/forward/layer_{n}": 2.0 + n for n in range(6)}
    sites |= {"step/backward": 30.0, "step/backward/all_reduce": 5.0}
    return build_table(
        [
            summary(rank, {path: ms * (1.3 if rank == 2 else 1) for path, ms in sites.items()})
            for rank in range(4)
        ]
    )


def sweep() -> Sweep:
    names = ("linear", "constant", "logarithmic")
    points = []
    for n in (128, 1024, 8192):
        for dtype in ("float16", "float32"):
            times = (n * 1e-6, 1e-3, 3e-4)
            timed = tuple(
                Timed(name, t, (0.98 * t, 1.02 * t), t / 5, 100, t / times[0], "slower")
                for name, t in zip(names, times, strict=True)
            )
            fastest = names[times.index(min(times))]
            points.append(SweepPoint({"n": n, "dtype": dtype}, timed, fastest))
    axes = {"n": (128, 1024, 8192), "dtype": ("float16", "float32")}
    return Sweep(axes, names, tuple(points), 0.01, environment())


def peaks() -> Peaks:
    rates = {"copy": 4.2e12, "float32": 5.1e13, "tf32": 4.0e14, "bfloat16": 7.9e14}
    return Peaks("Made-up GPU", "GPU-1", "580.1", "2.14.1", rates, "2026-01-02T03:04:05+00:00")


RESULTS: dict[str, Callable[[], Result]] = {
    "Report": training,
    "Measurement": measured,
    "Comparison": comparison,
    "MethodComparison": method_comparison,
    "SavedComparison": lambda: compare_saved(measured(2e-3, 1), measured(2.6e-3, 2)),
    "ReportComparison": report_comparison,
    "Timeline": lambda: steps(100),
    "ModuleTable": modules,
    "StepReport": training_steps,
    "RankTable": ranks,
    "Sweep": sweep,
    "Peaks": peaks,
}


def page_of(result: Result) -> str:
    """Return the page that `save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.html")
        result.save(path)
        return path.read_text(encoding="utf-8")
