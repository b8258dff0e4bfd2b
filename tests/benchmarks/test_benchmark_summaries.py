# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks' summaries, on small made-up figures."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from fasttime.experiments.settings import Settings

Load = Callable[[str], ModuleType]


def paired(module: ModuleType, target: float | None = 1.15) -> Any:
    made = module.Paired("scope", "recording alone", "raw pair in C", "ns", target)
    made.values = [[2200.0, 2400.0, 2300.0], [2000.0, 2500.0, 2600.0]]
    made.yardsticks = [[2000.0, 2000.0, 2000.0], [2000.0, 2000.0, 2000.0]]
    return made


def test_a_ratio_is_the_median_of_neighbours(load: Load) -> None:
    summary = paired(load("_paired")).summary()
    assert summary["ratio"] == pytest.approx(1.175)
    assert (summary["ratio_min"], summary["ratio_max"]) == (1.15, 1.25)
    assert (summary["median"], summary["yardstick"]) == (2350, 2000)


@pytest.mark.parametrize(
    ("target", "outcome", "sentence"),
    [
        (1.2, "met", "1 of 1 targets met."),
        (1.1, "missed", "0 of 1 targets met; missed: scope, recording alone (1.175)."),
        (None, "reported", "there are no targets here."),
    ],
)
def test_a_target_is_met_or_missed(
    load: Load, target: float | None, outcome: str, sentence: str
) -> None:
    module = load("_paired")
    made = paired(module, target)
    assert made.outcome() == outcome
    assert module.targets_sentence([made]) == sentence
    assert len(module.table_row(made)) == len(module.COLUMNS)


def test_each_way_around_layers_has_its_yardstick(load: Load) -> None:
    layers = load("leaf_layers")
    seconds = {name: [0.010, 0.020] for name in (layers.SCOPES_OFF, layers.PHASES_OFF)}
    seconds |= {layers.SCOPES: [0.011, 0.022], layers.PHASES: [0.012, 0.024]}
    settings = Settings("cuda", batch=32, repeat=4, warmup=1, rounds=2)
    pairs = {made.name: made for made in layers.pairs_of(seconds, settings)}
    assert list(pairs) == ["scopes", "phases"]
    assert pairs["scopes"].ratio() == pytest.approx(1.1)
    assert pairs["phases"].ratio() == pytest.approx(1.2)
    assert (pairs["phases"].beside, pairs["phases"].target) == ("phases, disabled", 1.12)


def test_overhead_has_the_median_of_the_rounds(load: Load) -> None:
    overhead = load("scope_overhead")
    rounds = [[100.0, 120.0, 110.0], [200.0, 220.0, 210.0], [150.0, 160.0, 170.0]]
    names = (overhead.SCOPE, overhead.TWO_RECORDS, overhead.DISABLED, overhead.NULLCONTEXT)
    ns = dict.fromkeys([*names, overhead.TORCH_EVENTS], rounds)
    ns |= {overhead.RAW: [[80.0]], overhead.RAW_DRIVER: [[40.0]]}
    result = overhead.Result(190, 2, 3, 0, ns)
    assert result.costs()[overhead.SCOPE] == {"median_ns": 160, "min_ns": 110, "max_ns": 210}
    said = overhead.sentence(result, True)
    assert "takes 160 ns, 2.00 times the raw pair, 4.00 times the driver's raw pair" in said
    assert [column.header for column in overhead.table(result).columns][-2:] == [
        "ratio to raw pair",
        "to driver's",
    ]


def test_accuracy_has_the_error_of_each_tool(load: Load) -> None:
    accuracy = load("accuracy")
    kernel = accuracy.Case("kernel", 5e-6)
    kernel.readings = {"fasttime": [5.1e-6, 5.0e-6, 5.2e-6], "other": [7e-6, 7e-6, 7e-6]}
    kernel.answer_times = {tool: [0.05, 0.05, 0.05] for tool in kernel.readings}
    result = accuracy.Result(0.05, 3, 0, [kernel])
    errors = {row["tool"]: row["error"] for row in result.summary()}
    assert errors == pytest.approx({"fasttime": 0.1e-6, "other": 2e-6})
    assert "fasttime 100.0 ns and 3.92 %; other 2.000 µs and 0.00 %" in accuracy.sentence(result)
