# SPDX-License-Identifier: BSD-3-Clause
"""What does it cost to time every module, forward and backward, and are the times right?

For each model this runs training steps, untouched and with each way to time its modules, in
shuffled rounds. Each way has a model of its own with the same weights. The cost of a way is the
median over rounds of its step time divided by the untouched step time of the same round.

Then it compares the device time of each leaf above 200 us with its kernels in torch.profiler, in
the same executions: with their span, and with the sum of their times. Last, it compares the sum of
the backward times of all modules with the time of the whole backward pass between two CUDA events.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from typing import Any

import torch
from _common import make_parser
from _kernel_spans import kernels_of_leaves
from _training_steps import CASES, TINY, Case, Training, Variant, variants

import fasttime

LONG = 200e-6  # seconds; shorter modules are not compared with the profiler
AGREEMENT = 0.05
SLOW_ROUNDS = 12


def costs(case: Case, ways: list[Variant], seconds: float, seed: int) -> dict[str, Any]:
    """Run rounds for about `seconds`, and return the cost of each way."""
    shuffle = random.Random(seed).shuffle
    untouched = ways[0]
    step = untouched.training.seconds(3)
    # Many short rounds: the host of a shared machine is faster and slower for seconds at a time,
    # and the ways of one round must meet the same host. Each way adds two steps that do not count.
    steps = max(3, min(40, round(0.08 / step)))
    for way in ways:
        way.run(2)
        way.seconds.clear()
    settle(ways, step, seconds * 0.15)
    for way in ways:
        if way.handle is not None:
            way.handle.reset()
    until = time.perf_counter() + seconds * 0.85
    rounds = 0
    while rounds < 5 or (time.perf_counter() < until and rounds < 100):
        order = list(ways)
        shuffle(order)
        for way in order:
            if rounds < SLOW_ROUNDS or not way.is_slow:
                way.run(steps)
        rounds += 1
    found = {}
    for way in ways:
        if way.error:
            found[way.name] = {"error": way.error}
            continue
        # A slow way took part in the first rounds only.
        ratios = [a / b - 1 for a, b in zip(way.seconds, untouched.seconds, strict=False)]
        found[way.name] = {
            "median_step": statistics.median(way.seconds),
            "cost": statistics.median(ratios),
            "quartiles": statistics.quantiles(ratios, n=4),
            "seconds": way.seconds,
        }
    return {"rounds": rounds, "steps_per_round": steps, "limit": case.limit, "ways": found}


def settle(ways: list[Variant], step: float, seconds: float) -> None:
    """Let the sampled way find out what timing costs and choose its part of the steps."""
    for way in ways:
        if way.handle is not None and way.handle.table().records.overhead_budget is not None:
            way.run(max(10, min(150, round(seconds / step))))
            way.seconds.clear()


def device_times(handle: fasttime.Handle) -> dict[str, dict[str, float]]:
    """Return the median time of each leaf in seconds: path -> forward, backward."""
    found: dict[str, dict[str, float]] = {}
    for record in handle.table(wait=True).records.modules:
        found[record.path] = {
            kind: times.time.median
            for kind, times in (("forward", record.forward), ("backward", record.backward))
            if times is not None
        }
    return found


def agreement(training: Training) -> dict[str, Any]:
    """Compare the times of all long modules with their kernels, in the same steps."""
    with fasttime.instrument(
        training.model, optimizer=training.optimizer, match=training.leaves()
    ) as handle:
        training.step()
        training.wait()
        handle.reset()
        kernels = kernels_of_leaves(training)
    own = device_times(handle)
    rows = [
        {"path": path, "kind": kind, "fasttime": own[path][kind], **found._asdict()}
        for path, kinds in kernels.items()
        for kind, found in kinds.items()
        if found.span > LONG and kind in own.get(path, {})
    ]
    return {
        "compared": len(rows),
        **{name: deviations(rows, name) for name in ("span", "busy")},
        "rows": rows,
    }


def deviations(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return how far fasttime lies from one kind of the profiler's times, relative to them."""
    ratios = [row["fasttime"] / row[name] - 1 for row in rows]
    return {
        "within": sum(abs(ratio) <= AGREEMENT for ratio in ratios),
        "median": statistics.median(ratios) if ratios else None,
        "worst": max(ratios, key=abs) if ratios else None,
    }


def sums(training: Training, steps: int = 10) -> dict[str, float]:
    """Compare the backward times of all modules with the whole backward pass."""
    training.step()
    whole = []
    with fasttime.instrument(training.model, optimizer=training.optimizer) as handle:
        training.step()
        handle.table(wait=True)
        handle.reset()
        for _ in range(steps):
            training.optimizer.zero_grad()
            loss = training.loss()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            loss.backward()
            end.record()
            training.optimizer.step()
            whole.append((begin, end))
        training.wait()
    modules = handle.table(wait=True).records.modules
    stretches = sum(m.backward_self.total for m in modules if m.backward_self is not None)
    return {
        "stretches": stretches / steps,
        "whole": sum(a.elapsed_time(b) for a, b in whole) * 1e-3 / steps,
    }


def run(case: Case, device: torch.device, seconds: float, seed: int) -> dict[str, Any]:
    """Return all figures of one case, and print them."""
    ways = variants(case, device)
    result = costs(case, ways, seconds, seed)
    print(f"\n{case.name}: {result['rounds']} rounds of {result['steps_per_round']} steps")
    for name, found in result["ways"].items():
        if "error" in found:
            print(f"  {name:36} {found['error'][:60]}")
            continue
        low, _, high = (100 * value for value in found["quartiles"])
        print(
            f"  {name:36} {found['median_step'] * 1e3:8.3f} ms  {100 * found['cost']:+7.2f} %"
            f"  (quartiles {low:+.2f} to {high:+.2f})"
        )
    print(f"  limit for every leaf: {100 * case.limit:+.1f} %")
    sampled = next(w.handle for w in ways if w.name.startswith("fasttime, overhead") and w.handle)
    records = sampled.table(wait=True).records
    result["sampling"] = {
        "steps": records.steps,
        "timed_steps": records.timed_steps,
        "estimated_overhead": records.overhead,
    }
    print(f"  sampled: {result['sampling']}")
    if device.type == "cuda":
        compared = result["agreement"] = agreement(Training(case, device))
        for name in ("span", "busy"):
            print(
                f"  kernels above 200 us, {name}: {compared[name]['within']} of "
                f"{compared['compared']} agree within {AGREEMENT:.0%}; {compared[name]}"
            )
        result["sums"] = sums(Training(case, device))
        print(f"  backward: {result['sums']}")
    for way in ways:
        if way.handle is not None:
            way.handle.remove()
    return result


def main() -> int:
    """Run the cases that the options name."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=55, help="per case; default: 55")
    parser.add_argument("--case", type=int, nargs="+", help="numbers from 0; default: all")
    parser.add_argument("--tiny", action="store_true", help="one small model, to try the script")
    options = parser.parse_args()
    torch.set_num_threads(1)  # idle CPU workers would disturb the threads that launch kernels
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.zeros(1, device=device)
    cases = TINY if options.tiny else CASES
    chosen = [case for i, case in enumerate(cases) if not options.case or i in options.case]
    found: dict[str, Any] = {"device": str(device), "torch": torch.__version__, "cases": {}}
    for case in chosen:
        found["cases"][case.name] = run(case, device, options.seconds, options.seed)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        if options.json is not None:  # after each case, in case the next does not fit in time
            save(found, options.json)
    return 0


def save(found: dict[str, Any], path: Any) -> None:
    """Write the figures as JSON."""
    path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    sys.exit(main())
