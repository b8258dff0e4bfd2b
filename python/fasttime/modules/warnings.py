# SPDX-License-Identifier: BSD-3-Clause
"""Reasons to distrust the times of modules and steps."""

from __future__ import annotations

from collections.abc import Sequence

from ..text import format_count
from ..timing_warning import TimingWarning
from .records import ModuleRecord


def module_warnings(
    modules: Sequence[ModuleRecord],
    *,
    refused: int,
    left_out: int,
    has_parameters: bool,
    was_compiled: bool,
) -> tuple[TimingWarning, ...]:
    """Return the warnings of a table.

    Args:
        refused: calls that were too deeply nested, or came from too many threads.
        left_out: modules beyond the limit.
        has_parameters: whether any parameter of the model needs a gradient.
        was_compiled: whether torch.compile met a hook of the handle.
    """
    found = []
    if left_out:
        found.append(
            TimingWarning(
                "modules_left_out",
                f"The limit leaves out {format_count(left_out, 'module')}, so their time counts "
                "for the modules around them. Choose modules with depth=, types= or match=.",
            )
        )
    if refused:
        found.append(
            TimingWarning(
                "calls_left_out",
                f"fasttime could not time {format_count(refused, 'call')}, because calls were "
                "nested more than 90 deep or came from more than 256 threads. Times of the modules "
                "around them are right; choose fewer modules with depth=.",
            )
        )
    captured = sum(module.captured for module in modules)
    if captured:
        found.append(
            TimingWarning(
                "captured",
                f"The device times lack {format_count(captured, 'call')} that ran while a CUDA "
                "graph was captured, and all calls in its replays. Put a scope around the replay, "
                "or time the stages inside with fasttime.graph_timing().",
            )
        )
    lost = sum(module.lost for module in modules)
    if lost:
        found.append(
            TimingWarning(
                "calls_lost",
                f"The device times lack {format_count(lost, 'call')}, because an exception ended "
                "the call, or a CUDA call failed. fasttime.report().warnings names a failure.",
            )
        )
    if not has_parameters:
        found.append(
            TimingWarning(
                "no_parameters",
                "No parameter of the model needs a gradient, so the model has no backward pass. "
                "To train the model, set requires_grad before you call instrument().",
            )
        )
    if was_compiled:
        found.append(
            TimingWarning(
                "compiled_later",
                "torch.compile compiled a model after it was instrumented, so calls in the "
                "compiled region are not timed. Compile first, then call fasttime.instrument.",
            )
        )
    return tuple(found)


def step_warnings(count: int, lost: int) -> tuple[TimingWarning, ...]:
    """Return the warnings of steps: `count` were complete, `lost` were given up."""
    found = []
    if not count:
        found.append(
            TimingWarning(
                "no_steps",
                "No step has ended, or the device has not finished a step, so there are no times. "
                "Train with the optimizer that you gave to instrument(), or call handle.step() at "
                "the end of each step.",
            )
        )
    if lost:
        found.append(
            TimingWarning(
                "steps_lost",
                f"fasttime left out {format_count(lost, 'step')} that never became complete, so "
                "the means cover the other steps only. Call handle.step() in the thread that "
                "trains.",
            )
        )
    return tuple(found)
