# SPDX-License-Identifier: BSD-3-Clause
"""The handle that `instrument` returns."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Final

import torch

from .. import _native
from ..timing_warning import TimingWarning
from ..torch_compile import support as compile_support
from .active import activate, deactivate
from .budget import Budget
from .collect import Sites, module_records, step_parts
from .module_hooks import ModuleHook, meet_copy, prepare_autograd
from .records import PARTS, ModuleRecord, ModuleRecords, StepRecords
from .sampling import Periods
from .selection import Selected, Selection
from .step_report import StepReport
from .table import ModuleTable
from .warnings import module_warnings, step_warnings

_NO_PARENT: Final = -1


class Handle:
    """Times the modules of a model and the steps that train it, until you remove it.

        with fasttime.instrument(model, optimizer=optimizer) as handle:
            train()
        print(handle.table(wait=True))
        print(handle.steps(wait=True))

    `fasttime.instrument` makes handles, and its documentation describes what they time. The results
    stay available after `remove`.
    """

    def __init__(
        self,
        selection: Selection,
        optimizers: Sequence[torch.optim.Optimizer],
        *,
        backward: bool,
        overhead_budget: float | None,
    ) -> None:
        prepare_autograd()
        self._modules = [selected._replace(module=None) for selected in selection.modules]  # type: ignore[arg-type]
        self._left_out = selection.left_out
        self._has_backward = backward
        self._has_parameters = any(
            parameter.requires_grad for parameter in selection.modules[0].module.parameters()
        )
        self._ended_by = "optimizer" if optimizers else ""
        self._core = _native.Core()
        self._begin_ns = _native.host_now_ns()
        self._steps_before = 0  # steps that ended before the last reset
        self._hooks = _native.module_hooks(self._core)
        self._periods = Periods()
        self._budget = Budget(overhead_budget) if overhead_budget is not None else None
        # Kept, because each look-up makes a new object, and hooks are found by identity.
        self._functions = (self._hooks.before_forward, self._hooks.after_forward)
        compile_support.adopt(self, self._functions)
        self._compiled_before = compile_support.modules_met()
        self._finalizers: list[Any] = []
        self._sites = [self._add(selected) for selected in selection.modules]
        self._hooks.set_steps(PARTS, not optimizers)
        self._hooks.set_timing(True, backward)
        self._on_modules = [
            ModuleHook(selected, *self._functions) for selected in selection.modules
        ]
        reference = weakref.ref(self)
        self._hooks.set_callbacks(
            functools.partial(meet_copy, self._on_modules, self._functions),
            functools.partial(_step_ended, reference) if self._budget is not None else None,
        )
        self._removables: list[Any] = []
        for optimizer in optimizers:
            is_last = optimizer is optimizers[-1]
            after = self._hooks.finish_optimizer if is_last else self._hooks.after_optimizer
            self._removables += [
                optimizer.register_step_pre_hook(self._hooks.before_optimizer),
                optimizer.register_step_post_hook(after),
            ]
        if self._budget is not None:
            self._periods.begin()
            self._hooks.begin_period()
        self._is_timing = True
        self._is_removed = False
        self._when_gone(selection.modules[0].module, _model_is_gone, reference)
        activate(self)

    def _add(self, selected: Selected) -> tuple[int, int]:
        around = None if selected.parent is None else self._modules[selected.parent].path
        name = selected.path[len(around) + 1 if around else 0 :]
        parent = _NO_PARENT if selected.parent is None else selected.parent
        sites = self._hooks.add_module(
            selected.module, name or selected.type, parent, selected.is_compiled
        )
        self._when_gone(selected.module, self._hooks.forget_module, id(selected.module))
        return sites

    def _when_gone(self, module: torch.nn.Module, call: Callable[..., Any], about: Any) -> None:
        finalizer = weakref.finalize(module, call, about)
        finalizer.atexit = False
        self._finalizers.append(finalizer)

    def table(self, wait: bool = False, timeout: float | None = None) -> ModuleTable:
        """Return the times of all modules so far.

            print(handle.table().top(10))

        Args:
            wait: first wait until the device has finished every call that had ended when you
                asked. Other Python threads keep running, and Ctrl-C interrupts the wait.
            timeout: seconds to wait at most; only with `wait`.

        Waits only if you pass `wait`. Calls that the device has not finished are missing. Raises
        ValueError if `timeout` is negative or comes without `wait`.
        """
        return ModuleTable(self.module_records(wait, timeout))

    def steps(self, wait: bool = False, timeout: float | None = None) -> StepReport:
        """Return where the time of the steps went, and what limits a step.

            print(handle.steps(wait=True))

        The arguments are the same as for `table`. The report leaves out a step if the device has
        not finished every part of the step. The part ``loss`` lasts from the end of the model's
        forward call until the backward pass reaches the model. The part ``gradient wait`` is the
        end of a backward pass, in which DDP waits for the gradients of other ranks.

        Waits only if you pass `wait`. Raises ValueError as `table` does.
        """
        return StepReport(self.step_records(wait, timeout))

    def step(self) -> None:
        """End a step here. From then on, steps end only where you call this.

            for batch in batches:
                loss(model(batch)).backward()
                optimizer.step()
                handle.step()

        Call this if a step does not end with the last optimizer: with an optimizer that skips
        steps, with optimizers that step in turns, or to count each batch of gradient accumulation.
        Never waits.
        """
        if self._ended_by != "step()":
            self._ended_by = "step()"
            if self._hooks.end_steps_by_hand():
                return  # the step that the caller means has just ended
        self._hooks.end_step()

    def remove(self) -> None:
        """Remove all hooks. The results stay. Repeated calls do nothing.

        Calls of modules that are open at this moment are not counted. Never waits.
        """
        if self._is_removed:
            return
        self._is_removed = True
        deactivate(self)
        for removable in self._removables:
            removable.remove()
        for hook in self._on_modules:
            hook.off()
        for finalizer in self._finalizers:
            finalizer.detach()  # finalizers would keep the hooks and the recorder
        self._hooks.close()

    def reset(self) -> None:
        """Forget all times so far, for example the warm-up. Never waits.

        Calls that are open now never count. The next step begins with its next part.
        """
        self._hooks.drop_step()
        self._core.reset()
        self._periods.clear()
        self._steps_before, _, _ = self._hooks.counts()
        self._begin_ns = _native.host_now_ns()

    def module_records(self, wait: bool = False, timeout: float | None = None) -> ModuleRecords:
        """Return what `table` shows as plain data; the arguments are the same."""
        self._read(wait, timeout)
        recompute = self._hooks.recompute_sites()
        sites = [
            Sites(forward, backward, repeated or None)
            for (forward, backward), repeated in zip(self._sites, recompute, strict=True)
        ]
        ended, refused, _ = self._hooks.counts()
        steps = ended - self._steps_before
        modules = module_records(self._core, self._modules, sites, self._periods)
        return ModuleRecords(
            modules=modules,
            has_backward=self._has_backward,
            steps=steps,
            timed_steps=steps if self._budget is None else self._periods.timed,
            overhead_budget=None if self._budget is None else self._budget.budget,
            overhead=None if self._budget is None else self._budget.estimated_overhead,
            pending=self._core.counts().pending,
            backend="cuda" if _native.backend()["has_cuda"] else "host",
            duration=self._duration(),
            date=_now(),
            warnings=module_warnings(
                modules,
                refused=refused,
                left_out=self._left_out,
                has_parameters=self._has_parameters,
                was_compiled=self._was_compiled(modules),
            ),
        )

    def step_records(self, wait: bool = False, timeout: float | None = None) -> StepRecords:
        """Return what `steps` shows as plain data; the arguments are the same."""
        self._read(wait, timeout)
        steps = step_parts(self._core, self._hooks.step_sites())
        warnings: tuple[TimingWarning, ...] = step_warnings(steps.complete, steps.lost)
        _, _, had_backward = self._hooks.counts()
        return StepRecords(
            count=steps.complete,
            host=steps.host,
            device=steps.device,
            parts=steps.parts,
            ended_by=self._ended_by or ("backward" if had_backward else "forward"),
            pending=self._core.counts().pending,
            backend="cuda" if _native.backend()["has_cuda"] else "host",
            duration=self._duration(),
            date=_now(),
            warnings=warnings,
        )

    def _read(self, wait: bool, timeout: float | None) -> None:
        if timeout is not None and not (wait and timeout >= 0):
            raise ValueError(
                f"timeout must be a number of seconds >= 0 and needs wait=True, got {timeout!r}"
            )
        _native.bind_if_cuda_is_up()
        if wait:
            self._core.drain(-1.0 if timeout is None else timeout)
        else:
            self._core.poll()

    def _was_compiled(self, modules: Sequence[ModuleRecord]) -> bool:
        """Return whether torch.compile met hooks of this handle, as far as can be seen.

        A region that was compiled with the hooks of an earlier handle is not compiled again.
        """
        met = compile_support.modules_met()
        return met > self._compiled_before or (met > 0 and not any(each.calls for each in modules))

    def _duration(self) -> float:
        return (_native.host_now_ns() - self._begin_ns) * 1e-9

    def _choose_step(self, ended: int) -> None:
        """Decide whether the step that begins now is timed. `ended` is the number of the last."""
        assert self._budget is not None
        self._periods.count_step(self._is_timing)
        is_over = self._budget.end_step(ended, _native.host_now_ns(), self._is_timing)
        if is_over:
            self._core.poll()
        self._budget.add_device_times(_native.take_step_times(self._core))
        if is_over:
            self._budget.begin_period()
            self._periods.begin()
            self._hooks.begin_period()
        is_timing = self._budget.choose()
        if is_timing != self._is_timing and not self._is_removed:
            self._is_timing = is_timing
            self._hooks.set_timing(is_timing, self._has_backward)
            for hook in self._on_modules[1:]:
                hook.on() if is_timing else hook.off()

    def __enter__(self) -> Handle:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the hooks."""
        self.remove()

    def __deepcopy__(self, _: dict[int, object]) -> Handle:
        return self  # the copy of a model is not timed; its program may still ask for results

    def __repr__(self) -> str:
        state = "removed" if self._is_removed else "on"
        return f"<fasttime handle: {len(self._modules)} modules, {state}>"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


# Weak references, because torch keeps callbacks alive and a handle should go when it is removed.
def _step_ended(reference: weakref.ref[Handle], ended: int) -> None:
    handle = reference()
    if handle is not None:
        handle._choose_step(ended)


def _model_is_gone(reference: weakref.ref[Handle]) -> None:
    handle = reference()
    if handle is not None:
        handle.remove()
