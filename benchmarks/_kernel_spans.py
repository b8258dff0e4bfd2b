# SPDX-License-Identifier: BSD-3-Clause
"""The device time of modules as torch.profiler sees it."""

from __future__ import annotations

import bisect
import json
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from _training_steps import Training

_MARK = "module: "
_KERNELS = ("kernel", "gpu_memcpy", "gpu_memset")
_NODE = "autograd::engine::evaluate_function: "


class Kernels(NamedTuple):
    """The kernels of a module in seconds: first begin to last end, and the sum of their times."""

    span: float
    busy: float


def kernels_of_leaves(training: Training, steps: int = 7) -> dict[str, dict[str, Kernels]]:
    """Run steps, and return the medians of each leaf: path -> forward, backward.

    Backward kernels belong to the leaf in whose forward call their node was made. No step waits for
    the device, so that a device that is slower than the host has no gaps.
    """
    open_ranges: list[Any] = []

    def before(path: str) -> Any:
        def hook(*_: Any) -> None:
            range_ = torch.profiler.record_function(_MARK + path)
            range_.__enter__()
            open_ranges.append(range_)

        return hook

    def after(*_: Any) -> None:
        open_ranges.pop().__exit__(None, None, None)

    hooks = []
    for path, module in training.model.named_modules():
        if not any(module.children()):
            hooks.append(module.register_forward_pre_hook(before(path)))
            hooks.append(module.register_forward_hook(after))
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(steps):
            training.step()
        training.wait()
    for hook in hooks:
        hook.remove()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        return kernels_in(json.loads(path.read_text())["traceEvents"])


def kernels_in(events: list[dict[str, Any]]) -> dict[str, dict[str, Kernels]]:
    """Return the medians over the events of a Chrome trace."""
    events = [event for event in events if event.get("ph") == "X" and "ts" in event]
    kernels = {}  # by correlation
    for event in events:
        if event.get("cat") in _KERNELS:
            kernels[event["args"].get("correlation")] = (
                event["ts"],
                event["ts"] + event["dur"],
            )
    launches: dict[Any, list[tuple[float, Any]]] = defaultdict(list)  # by thread
    for event in events:
        if event.get("cat") in ("cuda_runtime", "cuda_driver"):
            correlation = event["args"].get("correlation")
            if correlation in kernels:
                launches[event["tid"]].append((event["ts"], correlation))
    for found in launches.values():
        found.sort(key=lambda launch: launch[0])

    def launched_in(event: dict[str, Any]) -> list[tuple[float, float]]:
        found = launches.get(event["tid"], [])
        first = bisect.bisect_left(found, event["ts"], key=lambda launch: launch[0])
        last = bisect.bisect_right(found, event["ts"] + event["dur"], key=lambda launch: launch[0])
        return [kernels[correlation] for _, correlation in found[first:last]]

    marks = [event for event in events if event["name"].startswith(_MARK)]
    marks = [event for event in marks if event.get("cat") == "user_annotation"]
    nodes: dict[int, list[dict[str, Any]]] = defaultdict(list)
    made: dict[Any, list[tuple[float, int]]] = defaultdict(list)
    for event in events:
        number = event.get("args", {}).get("Sequence number")
        if number is None or number < 0:
            continue
        if event["name"].startswith(_NODE):
            nodes[number].append(event)
        elif event.get("cat") == "cpu_op" and "Backward" not in event["name"]:
            made[event["tid"]].append((event["ts"], number))
    calls: dict[str, dict[str, list[Kernels]]] = defaultdict(lambda: defaultdict(list))
    for mark in marks:
        path = mark["name"][len(_MARK) :]
        own = launched_in(mark)
        if own:
            calls[path]["forward"].append(_kernels(own))
        end = mark["ts"] + mark["dur"]
        numbers = {n for ts, n in made[mark["tid"]] if mark["ts"] <= ts <= end}
        own = [
            kernel
            for number in numbers
            for node in nodes.get(number, [])
            for kernel in launched_in(node)
        ]
        if own:
            calls[path]["backward"].append(_kernels(own))
    return {
        path: {
            kind: Kernels(*(statistics.median(column) for column in zip(*found, strict=True)))
            for kind, found in kinds.items()
        }
        for path, kinds in calls.items()
    }


def _kernels(intervals: list[tuple[float, float]]) -> Kernels:
    """Return what the kernels of one call took. Intervals are in microseconds."""
    first, last = min(begin for begin, _ in intervals), max(end for _, end in intervals)
    return Kernels((last - first) * 1e-6, sum(end - begin for begin, end in intervals) * 1e-6)
