# SPDX-License-Identifier: BSD-3-Clause
"""Time every module of a model, forward and backward."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from .handle import Handle
from .selection import select


def instrument(
    model: torch.nn.Module,
    *,
    optimizer: torch.optim.Optimizer | Iterable[torch.optim.Optimizer] | None = None,
    depth: int | None = None,
    types: type | tuple[type, ...] | None = None,
    match: str | Iterable[str] | None = None,
    backward: bool = True,
    overhead_budget: float | None = None,
) -> Handle:
    """Time each module of a model on host and device, forward and backward, while it runs.

        with fasttime.instrument(model, optimizer=optimizer) as handle:
            train()
        print(handle.table(wait=True))  # per module
        print(handle.steps(wait=True))  # per step

    Args:
        model: any module. It runs as before; its outputs and gradients do not change.
        optimizer: the optimizer, or several. A step then ends when the last of them has stepped.
            Without an optimizer a step ends with the backward pass of the model, or with its
            forward call if there is no backward pass. `Handle.step` ends steps by hand.
        depth: how many levels of modules to time below the model; None times all.
        types: time only modules of these classes.
        match: time only modules whose path fits this glob, such as ``"layers.*.attn"``, or one of
            several.
        backward: also time the backward pass.
        overhead_budget: time only a random part of the steps, so that timing costs about this
            fraction of the time; 0.01 means 1 %. None times every step.

    The model itself is always timed. Consecutive modules share a CUDA event, so a chain of n
    modules takes n + 1 events. If one module's output goes straight into the next module, the time
    in between counts for the second module.

    In the backward pass, a module's time runs from its first node to the first node of the next
    module. Nodes run in the opposite order of the forward calls, so a module has one visit per
    call. With torch 2.14 and newer, operators that a module calls between its children count for
    the module itself. With older versions, this is so only for operators whose result a child takes
    as a positional argument. Other operators count for a neighbour.

    Under FSDP2, modules begin after their parameters have been gathered. The wait for the
    all-gather counts for the module around them. A module that was compiled before is timed as one
    region. Compile before you call this: modules in a region that was compiled later are not timed.

    Never waits. Raises TypeError if `model` is no module or `optimizer` no optimizer, and
    ValueError if no module fits or an argument is out of range.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(
            f"instrument() takes a torch.nn.Module, got {type(model).__name__}; time other "
            "callables with fasttime.scope"
        )
    optimizers = _optimizers(optimizer)
    if depth is not None and depth < 0:
        raise ValueError(f"depth must be 0 or more, got {depth}; 0 times the model alone")
    if overhead_budget is not None and not 0 < overhead_budget < 1:
        raise ValueError(
            f"overhead_budget must lie between 0 and 1, got {overhead_budget!r}; 0.01 means 1 %"
        )
    selection = select(model, depth=depth, types=types, match=match)
    return Handle(selection, optimizers, backward=backward, overhead_budget=overhead_budget)


def _optimizers(
    optimizer: torch.optim.Optimizer | Iterable[torch.optim.Optimizer] | None,
) -> list[torch.optim.Optimizer]:
    if optimizer is None:
        return []
    given = optimizer if isinstance(optimizer, Iterable) else [optimizer]
    optimizers = list(given)
    for one in optimizers:
        if not hasattr(one, "register_step_post_hook"):
            raise TypeError(
                f"optimizer must be a torch.optim.Optimizer or a list of them, got {one!r}"
            )
    return optimizers
