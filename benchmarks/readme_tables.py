# SPDX-License-Identifier: BSD-3-Clause
"""Writes the figures of README and docs from what lies in `results/`: run it after a new run.

python benchmarks/readme_tables.py            # rewrites README.md and docs/*.md
python benchmarks/readme_tables.py --check    # exits with 1 if that would change it
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
DOCS = ROOT / "docs"


def load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report() -> str:
    """What the first example prints."""
    return f"```text\n{(RESULTS / 'report.txt').read_text(encoding='utf-8').rstrip()}\n```"


def pipeline() -> str:
    """What each way of timing reads in the pipeline where the device is the bottleneck."""
    result = max(load("pipeline")["results"], key=lambda one: one["settings"]["batch"])
    names = {
        "not timed": "not timed",
        "naive": "naive clock",
        "sync": "synchronise, clock",
        "awaited events": "events, waited for on the spot",
        "fasttime scopes": "**fasttime scopes**",
    }
    rows = []
    for way, label in names.items():
        row = result["summary"]["ways"][way]
        readings = ["" if row[m] is None else f"{row[m] * 1e3:.1f} ms" for m in ("large", "small")]
        change = "" if way == "not timed" else f"{round(row['change'], 3) + 0.0:+.1%}"
        rows.append([label, *readings, f"{row['whole'] * 1e3:.1f} ms", change])
    batch = result["settings"]["batch"]
    caption = (
        f"MobileNetV3-Large, a CPU task and MobileNetV3-Small in a row, batch {batch}, "
        "medians over interleaved rounds:"
    )
    header = ["timed by", "large", "small", "whole pipeline", "change"]
    return f"{caption}\n\n{table(header, rows)}"


def overhead() -> str:
    """What an empty section costs the host, and what a scope around every layer costs a model."""
    summary = load("scope_overhead")["results"][0]["summary"]
    names = {
        "raw pair in C": "two `cudaEventRecord` in a C loop: the least there is",
        "fasttime scope, two records": "**`with fasttime.scope(...)`**, earlier ones read as well",
        "fasttime scope, disabled": "the same, switched off",
        "contextlib.nullcontext": "`with contextlib.nullcontext()`",
        "torch.profiler.record_function": "`torch.profiler.record_function`, no profiler running",
        "2 torch events, record()": "two reused `torch.cuda.Event`, `record()`",
        "2 new torch events, record()": "two new `torch.cuda.Event`, `record()`",
        "synchronize, perf_counter, x 2": "`synchronize()` and `perf_counter()`, twice",
    }
    raw = summary["raw pair in C"]["median_ns"]
    rows = [
        [label, f"{summary[way]['median_ns']:,.0f} ns", f"{summary[way]['median_ns'] / raw:.2f}"]
        for way, label in names.items()
    ]
    layers = {
        (change["name"], change["condition"]): f"{change['ratio'] - 1:.1%}"
        for result in load("leaf_layers")["results"]
        for change in result["summary"]["changes"]
    }
    small, large = "batch 32", "batch 256"
    return (
        f"{table(['empty section timed by', 'host time', 'ratio'], rows)}\n\n"
        "A scope that begins right where another ended shares its event: such scopes take "
        f"{summary['fasttime scope']['median_ns']:,.0f} ns each. "
        "A scope around each of the 168 leaf layers of MobileNetV3-Large makes an iteration "
        f"{layers['scopes', small]} longer at {small}, where the host is the bottleneck, and "
        f"{layers['scopes', large]} at {large}, where the device is; laps make it "
        f"{layers['laps', small]} and {layers['laps', large]} longer."
    )


def accuracy() -> str:
    """What tools read for the same callables; nothing where that was not measured."""
    if not (RESULTS / "accuracy.json").exists():
        return ""
    (result,) = load("accuracy")["results"]
    rows = {(row["case"], row["tool"]): row for row in result["summary"]}
    kernels = [case["name"] for case in result["cases"] if case["truth"] is not None]
    model = "MobileNetV3-Small, batch 1"
    names = {
        "fasttime": "**`fasttime.measure`**",
        "fasttime, graph": '**`fasttime.measure(…, method="graph")`**',
        "triton do_bench": "triton `do_bench`",
        "triton do_bench_cudagraph": "triton `do_bench_cudagraph`",
        "torch Timer": "`torch.utils.benchmark.Timer`",
        "cupyx benchmark": "`cupyx.profiler.benchmark`",
    }
    lines = []
    for tool, label in names.items():
        found = [rows.get((case, tool)) for case in [*kernels, model]]
        if not any(found):
            continue
        errors = ["" if row is None else f"{row['error'] * 1e6:+.2f}" for row in found[:-1]]
        spreads = [row["spread"] for row in found[:-1] if row is not None]
        of_model = found[-1]
        lines.append(
            [
                label,
                *errors,
                f"{statistics.median(spreads):.1%}" if spreads else "",
                *(
                    ["", ""]
                    if of_model is None
                    else [f"{of_model['median'] * 1e3:.2f} ms", f"{of_model['spread']:.1%}"]
                ),
            ]
        )
    lengths = [_without_zeros(case.removeprefix("kernel of ")) for case in kernels]
    header = ["error, µs", *lengths, "spread", model, "spread"]
    return (
        f"Kernels of known length, and a model; medians of {result['repetitions']} answers, "
        f"{result['budget']:g} s each. Spread: the interquartile range of the answers. Launch "
        "by launch the model is host-bound, so most tools read the host's speed; as a CUDA graph "
        "it is not.\n\n"
        f"{table(header, lines)}"
    )


def _without_zeros(length: str) -> str:
    number, unit = length.split()
    return f"{float(number):g} {unit}"


SECTIONS = {"report": report, "pipeline": pipeline, "accuracy": accuracy, "overhead": overhead}


def rewritten(path: Path) -> str:
    """Return a page with each section between its markers made anew; the README has them all."""
    text = path.read_text(encoding="utf-8")
    for name, make in SECTIONS.items():
        if path != README and f"<!-- {name} -->" not in text:
            continue
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        text, count = re.subn(
            pattern, lambda found, make=make: found[1] + make() + found[2], text, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"{path.name} has {count} sections <!-- {name} -->, there must be one")
    return text


def main() -> int:
    """Rewrite the pages, or check them."""
    pages = [README, *sorted(DOCS.glob("*.md"))]
    changed = {page: new for page in pages if (new := rewritten(page)) != page.read_text("utf-8")}
    if sys.argv[1:] == ["--check"]:
        print(*(f"{page.name} is out of date" for page in changed), sep="\n", end="")
        return int(bool(changed))
    for page, new in changed.items():
        page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
