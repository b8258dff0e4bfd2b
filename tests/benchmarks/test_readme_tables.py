# SPDX-License-Identifier: BSD-3-Clause
"""The script that updates the figures of README and docs, on small made-up results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fasttime.experiments.ways_to_time import WAYS

HERE = {"gpu": "NVIDIA H200", "gpu_uuid": "a", "torch": "2.11.0+cu130", "python": "3.12.3"}
MATMUL, MODEL = "matmul 4096", "MobileNetV3-Small, batch 1"
KERNEL = "kernel of 2.000 µs"


@pytest.fixture
def tables(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ModuleType:
    """The script, with its own folder for results."""
    module = load("readme_tables")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


def write(tables: ModuleType, name: str, *results: dict[str, Any], **here: str) -> None:
    document = {"environment": {**HERE, **here}, "results": results}
    path: Path = tables.RESULTS / f"{name}.json"
    path.write_text(json.dumps(document), encoding="utf-8")


def write_pipeline(tables: ModuleType) -> None:
    for_batch = [
        {
            "settings": {"batch": batch},
            "summary": {
                "ways": {
                    way: {"large": None, "small": None, "whole": 0.04, "change": 0.0}
                    if way == "not timed"
                    else {"large": 0.03, "small": 0.011, "whole": 0.06, "change": 0.5}
                    for way in WAYS
                }
            },
        }
        for batch in (32, 512)
    ]
    write(tables, "pipeline", *for_batch)


def write_overhead(tables: ModuleType) -> None:
    ns = {
        tables.RAW: 2000,
        tables.RAW_DRIVER: 1900,
        tables.SCOPE: 2300,
        tables.SHARED_SCOPE: 1400,
        tables.DISABLED: 80,
        tables.NULLCONTEXT: 150,
        **dict.fromkeys(tables.EVENTS_IN_PYTHON, 10_000),
    }
    summary: dict[str, Any] = {way: {"median_ns": median} for way, median in ns.items()}
    write(tables, "scope_overhead", {"summary": {**summary, "paired": []}})


def write_layers(tables: ModuleType) -> None:
    def result(batch: int, scopes: float, phases: float) -> dict[str, Any]:
        condition = f"batch {batch}"
        changes = [
            {"name": "scopes", "condition": condition, "ratio": scopes},
            {"name": "phases", "condition": condition, "ratio": phases},
        ]
        return {"layers": 168, "summary": {"changes": changes}}

    write(tables, "leaf_layers", result(32, 1.186, 1.116), result(256, 1.034, 1.018))


def answer(case: str, tool: str, median: float, error: float | None = None) -> dict[str, Any]:
    figures = {"median": median, "error": error, "spread": 0.015, "answer_time": 0.05}
    return {"case": case, "tool": tool, **figures}


def write_accuracy(tables: ModuleType, *answers: dict[str, Any], **here: str) -> None:
    truths = {KERNEL: 3.8e-6, MATMUL: None, MODEL: None}
    result = {
        "budget": 0.15,
        "repetitions": 10,
        "cases": [{"name": name, "truth": truth} for name, truth in truths.items()],
        "summary": answers,
    }
    write(tables, "accuracy", result, **here)


def test_the_pipeline_shows_the_largest_batch(tables: ModuleType) -> None:
    write_pipeline(tables)
    caption, _, *lines = tables.pipeline().splitlines()
    assert caption == (
        "MobileNetV3-Large, a CPU task and MobileNetV3-Small, one after the other. "
        "Batch 512, medians over interleaved rounds:"
    )
    assert lines[2] == "| not timed |  |  | 40.0 ms |  |"
    assert lines[-1] == "| **fasttime scopes** | 30.0 ms | 11.0 ms | 60.0 ms | +50.0% |"


def test_the_pipeline_shows_every_way(tables: ModuleType) -> None:
    assert list(tables.PIPELINE_WAYS) == list(WAYS)


def test_the_cheapest_loop_is_the_minimum(tables: ModuleType) -> None:
    write_overhead(tables)
    write_layers(tables)
    lines = tables.overhead().splitlines()
    assert lines[:6] == [
        "| empty block timed by | host time | ratio |",
        "| --- | ---: | ---: |",
        "| two `cuEventRecord` of the driver in a C loop (the minimum) | 1,900 ns | 0.95 |",
        "| two `cudaEventRecord` in a C loop | 2,000 ns | 1.00 |",
        "| **`with fasttime.scope(...)`**, including reading earlier scopes | 2,300 ns | 1.15 |",
        "| the same, disabled (`with contextlib.nullcontext()`: 150 ns) | 80 ns | 0.04 |",
    ]


def test_scopes_and_phases_around_layers_are_shown(tables: ModuleType) -> None:
    write_overhead(tables)
    write_layers(tables)
    assert tables.overhead().splitlines()[-1] == (
        "When a scope begins right after another ends, they share one event: such scopes take "
        "1,400 ns each. With a scope around each of the 168 leaf layers of MobileNetV3-Large, an "
        "iteration takes 18.6% longer at batch 32, where the host is the bottleneck. At batch 256, "
        "where the device is the bottleneck, it takes 3.4% longer. With phases, it takes 11.6% and "
        "1.8% longer."
    )


def test_accuracy_is_empty_without_results(tables: ModuleType) -> None:
    assert tables.accuracy() == ""


def test_accuracy_has_one_row_per_tool(tables: ModuleType) -> None:
    write_accuracy(
        tables,
        answer(KERNEL, "torch Timer", 4.7e-6, 0.9e-6),
        answer(KERNEL, "fasttime, default arguments", 3.9e-6, 0.1e-6),
        answer(MATMUL, "fasttime, default arguments", 198e-6),
        answer(MODEL, "fasttime, default arguments", 0.6e-3),
    )
    lines = tables.accuracy().splitlines()
    assert "the median of 10 answers of 0.15 s." in lines[0]
    assert lines[2] == (
        f"| error, µs | 2 µs | spread | {MATMUL} | spread | {MODEL} | spread | time per answer |"
    )
    assert lines[4:] == [
        "| **`fasttime.measure(fn)`** | +0.10 | 1.5% | 198 µs | 1.5% | 0.60 ms | 1.5% | 0.05 s |",
        "| `torch.utils.benchmark.Timer` | +0.90 | 1.5% |  |  |  |  | 0.05 s |",
    ]


def test_the_machine_is_named(tables: ModuleType) -> None:
    write_pipeline(tables)
    write_overhead(tables)
    write_layers(tables)
    assert tables.machine() == "one NVIDIA H200 with torch 2.11 and Python 3.12"


def test_every_machine_is_named(tables: ModuleType) -> None:
    write_pipeline(tables)
    write_overhead(tables)
    write_layers(tables)
    write_accuracy(tables, gpu="NVIDIA H100", gpu_uuid="b")
    assert tables.machine() == (
        "one NVIDIA H200 with torch 2.11 and Python 3.12 (pipeline, scope_overhead, leaf_layers) "
        "and one NVIDIA H100 with torch 2.11 and Python 3.12 (accuracy)"
    )


def test_blocks_are_updated_in_place(tables: ModuleType, tmp_path: Path) -> None:
    write_pipeline(tables)
    write_overhead(tables)
    write_layers(tables)
    page = tmp_path / "page.md"
    page.write_text(
        "From <!-- machine -->old<!-- /machine -->.\n\n<!-- pipeline -->\nold\n<!-- /pipeline -->\n"
    )
    text = tables.updated(page)
    assert "From <!-- machine -->one NVIDIA H200 with" in text
    assert f"<!-- pipeline -->\n{tables.pipeline()}\n<!-- /pipeline -->\n" in text
    assert "old" not in text


def test_a_block_that_is_twice_on_a_page_is_refused(tables: ModuleType, tmp_path: Path) -> None:
    write_pipeline(tables)
    page = tmp_path / "page.md"
    page.write_text("<!-- pipeline -->\nold\n<!-- /pipeline -->\n" * 2)
    with pytest.raises(SystemExit, match="must have one block <!-- pipeline -->, found 2"):
        tables.updated(page)
