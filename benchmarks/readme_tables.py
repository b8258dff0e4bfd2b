# SPDX-License-Identifier: BSD-3-Clause
"""Update the figures in the README and the docs from the files in `results/`.

Run this script after a new run.

python benchmarks/readme_tables.py            # updates README.md and docs/*.md
python benchmarks/readme_tables.py --check    # changes nothing, exits with 1 if a page is outdated
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
DOCS = ROOT / "docs"

# By the name in the result file: the name in the table.
PIPELINE_WAYS = {
    "not timed": "not timed",
    "naive": "naive clock",
    "sync": "synchronise, clock",
    "awaited events": "events, waited for on the spot",
    "fasttime scopes": "**fasttime scopes**",
}
RAW, RAW_DRIVER = "raw pair in C", "raw pair in C, driver API"
SCOPE, SHARED_SCOPE = "fasttime scope, two records", "fasttime scope"
DISABLED, NULLCONTEXT = "fasttime scope, disabled", "contextlib.nullcontext"
EVENTS_IN_PYTHON = {
    "2 torch events, record()": "two reused `torch.cuda.Event`, `record()`",
    "2 new torch events, record()": "two new `torch.cuda.Event`, `record()`",
    "synchronize, perf_counter, x 2": "`synchronize()` and `perf_counter()`, twice",
}
TOOLS = {
    "fasttime, default arguments": "**`fasttime.measure(fn)`**",
    "fasttime": "**`fasttime.measure(fn, budget=…)`**",
    "fasttime, graph": '**`fasttime.measure(fn, budget=…, method="graph")`**',
    "triton do_bench": "triton `do_bench`",
    "triton do_bench_cudagraph": "triton `do_bench_cudagraph`",
    "torch Timer": "`torch.utils.benchmark.Timer`",
    "cupyx benchmark": "`cupyx.profiler.benchmark`",
}
MATRIX_PRODUCTS = ("matmul 4096", "matmul 8192")
MODEL = "MobileNetV3-Small, batch 1"


def load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table. All columns except the first are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report() -> str:
    """Return the output of the README's first example."""
    return f"```text\n{(RESULTS / 'report.txt').read_text(encoding='utf-8').rstrip()}\n```"


def machine() -> str:
    """Return the machines that the figures come from, with the versions of torch and Python."""
    names = ["pipeline", "scope_overhead", "leaf_layers"]
    names += ["accuracy"] if (RESULTS / "accuracy.json").exists() else []
    uuids: dict[str, set[str]] = defaultdict(set)
    results: dict[str, list[str]] = defaultdict(list)
    for name in names:
        here = load(name)["environment"]
        torch, python = (".".join(here[key].split(".")[:2]) for key in ("torch", "python"))
        key = f"{here['gpu']} with torch {torch} and Python {python}"
        uuids[key].add(here.get("gpu_uuid", ""))
        results[key].append(name)
    found = {key: f"{'one' if len(ids) == 1 else len(ids)} {key}" for key, ids in uuids.items()}
    if len(found) == 1:
        return "".join(found.values())
    return " and ".join(f"{text} ({', '.join(results[key])})" for key, text in found.items())


def pipeline() -> str:
    """Return what each way of timing reads when the device is the bottleneck."""
    result = max(load("pipeline")["results"], key=lambda one: one["settings"]["batch"])
    rows = []
    for way, label in PIPELINE_WAYS.items():
        row = result["summary"]["ways"][way]
        readings = ["" if row[m] is None else f"{row[m] * 1e3:.1f} ms" for m in ("large", "small")]
        change = "" if way == "not timed" else f"{round(row['change'], 3) + 0.0:+.1%}"
        rows.append([label, *readings, f"{row['whole'] * 1e3:.1f} ms", change])
    caption = (
        "MobileNetV3-Large, a CPU task and MobileNetV3-Small, one after the other. "
        f"Batch {result['settings']['batch']}, medians over interleaved rounds:"
    )
    header = ["timed by", "large", "small", "whole pipeline", "change"]
    return f"{caption}\n\n{table(header, rows)}"


def overhead() -> str:
    """Return the host's cost of an empty scope, and of scopes and phases around each layer."""
    summary = load("scope_overhead")["results"][0]["summary"]
    ns = {way: row["median_ns"] for way, row in summary.items() if way != "paired"}
    cheapest = min(RAW, RAW_DRIVER, key=lambda way: ns[way])
    names = {
        RAW_DRIVER: "two `cuEventRecord` of the driver in a C loop",
        RAW: "two `cudaEventRecord` in a C loop",
        SCOPE: "**`with fasttime.scope(...)`**, including reading earlier scopes",
        DISABLED: "the same, disabled "
        f"(`with contextlib.nullcontext()`: {ns[NULLCONTEXT]:,.0f} ns)",
        **EVENTS_IN_PYTHON,
    }
    names[cheapest] += " (the minimum)"
    rows = [
        [label, f"{ns[way]:,.0f} ns", f"{ns[way] / ns[RAW]:.2f}"] for way, label in names.items()
    ]
    header = ["empty block timed by", "host time", "ratio"]
    return f"{table(header, rows)}\n\n{_layers(ns[SHARED_SCOPE])}"


def _layers(shared_ns: float) -> str:
    results = load("leaf_layers")["results"]
    longer = {
        (change["name"], change["condition"]): f"{change['ratio'] - 1:.1%}"
        for result in results
        for change in result["summary"]["changes"]
    }
    small, large = "batch 32", "batch 256"
    return (
        "When a scope begins right after another ends, they share one event: such scopes take "
        f"{shared_ns:,.0f} ns each. With a scope around each of the {results[0]['layers']} leaf "
        f"layers of MobileNetV3-Large, an iteration takes {longer['scopes', small]} longer at "
        f"{small}, where the host is the bottleneck. At {large}, where the device is the "
        f"bottleneck, it takes {longer['scopes', large]} longer. With phases, it takes "
        f"{longer['phases', small]} and {longer['phases', large]} longer."
    )


def accuracy() -> str:
    """Return what tools read for the same callables, or nothing without such results."""
    if not (RESULTS / "accuracy.json").exists():
        return ""
    (result,) = load("accuracy")["results"]
    rows = {(row["case"], row["tool"]): row for row in result["summary"]}
    kernels = [case["name"] for case in result["cases"] if case["truth"] is not None]
    names = {case["name"] for case in result["cases"]}
    others = [name for name in (*MATRIX_PRODUCTS, MODEL) if name in names]
    lines = []
    for tool, label in TOOLS.items():
        of_kernels = [rows.get((case, tool)) for case in kernels]
        of_others = [rows.get((case, tool)) for case in others]
        found = [row for row in of_kernels + of_others if row is not None]
        if not found:
            continue
        spreads = [row["spread"] for row in of_kernels if row is not None]
        line = [label, *("" if row is None else f"{row['error'] * 1e6:+.2f}" for row in of_kernels)]
        line.append(f"{statistics.median(spreads):.1%}" if spreads else "")
        for case, row in zip(others, of_others, strict=True):
            line += ["", ""] if row is None else [_reading(case, row), f"{row['spread']:.1%}"]
        seconds = statistics.median(row["answer_time"] for row in found)
        lines.append([*line, f"{seconds:.2f} s"])
    lengths = [_without_zeros(case.removeprefix("kernel of ")) for case in kernels]
    header = ["error, µs", *lengths, "spread"]
    for case in others:
        header += [case, "spread"]
    return f"{_accuracy_caption(result)}\n\n{table([*header, 'time per answer'], lines)}"


def _accuracy_caption(result: dict[str, Any]) -> str:
    return (
        "The first columns show the error for kernels of known length. Next come two large matrix "
        "products, whose true time is unknown, and a model. Each figure is the "
        f"median of {result['repetitions']} answers of {result['budget']:g} s. With default "
        "arguments, `fasttime.measure` chooses its own time. Longer answers read large matrix "
        "products longer, because the GPU reaches its power limit and lowers its clock: `measure` "
        "warns. Spread is the interquartile range of the answers. Launched kernel by kernel, the "
        "model is host-bound, so most tools read the host's speed. Replayed as a CUDA graph, the "
        "model is not host-bound."
    )


def _reading(case: str, row: dict[str, float]) -> str:
    if case == MODEL:
        return f"{row['median'] * 1e3:.2f} ms"
    return f"{row['median'] * 1e6:,.0f} µs"


def _without_zeros(length: str) -> str:
    number, unit = length.split()
    return f"{float(number):g} {unit}"


BLOCKS = {
    "report": report,
    "pipeline": pipeline,
    "accuracy": accuracy,
    "overhead": overhead,
    "machine": machine,
}


def updated(path: Path) -> str:
    """Return a page with all generated blocks updated. The README must have each block once."""
    text = path.read_text(encoding="utf-8")
    for name, make in BLOCKS.items():
        if path != README and f"<!-- {name} -->" not in text:
            continue
        # The markers stand on lines of their own, or around a part of a line.
        pattern = rf"(<!-- {name} -->\n?).*?(\n?<!-- /{name} -->)"
        text, count = re.subn(
            pattern, lambda found, make=make: found[1] + make() + found[2], text, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"{path.name} must have one block <!-- {name} -->, found {count}")
    return text


def main() -> int:
    """Update the pages, or check them."""
    pages = [README, *sorted(DOCS.glob("*.md"))]
    changed = {page: new for page in pages if (new := updated(page)) != page.read_text("utf-8")}
    if sys.argv[1:] == ["--check"]:
        print(*(f"{page.name} is out of date" for page in changed), sep="\n", end="")
        return int(bool(changed))
    for page, new in changed.items():
        page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
