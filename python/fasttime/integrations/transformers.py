# SPDX-License-Identifier: BSD-3-Clause
"""A callback for ``transformers.Trainer``: where each training step goes, and each module.

from fasttime.integrations.transformers import FasttimeCallback

trainer = Trainer(..., callbacks=[FasttimeCallback()])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..modules.instrument import instrument
from ..modules.step_report import StepReport
from ..modules.table import ModuleTable
from ..optional import require
from ..reports.durations import Durations, difference

if TYPE_CHECKING:
    from ..modules.handle import Handle

_TrainerCallback: Any = require("transformers", __name__, "transformers").TrainerCallback


class FasttimeCallback(_TrainerCallback):  # type: ignore[misc]
    """Times every training step and every module, and adds step times to the trainer's log.

        callback = FasttimeCallback()
        trainer = Trainer(..., callbacks=[callback])
        trainer.train()
        print(callback.steps())  # data, forward, loss, backward, optimizer
        print(callback.table())  # per module, forward and backward

    Args:
        prefix: the beginning of every logged key.
        **options: of `fasttime.instrument`, such as ``depth=2`` or ``overhead_budget=0.01``.

    Each log entry gets the mean times of the steps since the last one, in seconds, such as
    ``fasttime/backward_device``. The trainer calls your callbacks after TensorBoard, W&B and other
    trackers, so these trackers miss the times. Call `add_to` to run before them. Evaluation counts
    in `table` but not in `steps`.

    Only `table` and `steps` wait for the device.

    Attributes:
        handle: the handle of `fasttime.instrument`; None before the training.
    """

    def __init__(self, *, prefix: str = "fasttime/", **options: Any) -> None:
        self.handle: Handle | None = None
        self._prefix = prefix
        self._options = options
        self._logged: dict[str, Durations] = {}

    def add_to(self, trainer: Any) -> FasttimeCallback:
        """Add the callback before all callbacks of a trainer, and return it.

        callback = FasttimeCallback().add_to(trainer)

        The trackers of the trainer then receive fasttime's numbers.
        """
        trainer.callback_handler.callbacks.insert(0, self)
        return self

    def table(self) -> ModuleTable:
        """Return the times of each module. Raises RuntimeError before the training."""
        return ModuleTable(self._started().module_records(wait=True))

    def steps(self) -> StepReport:
        """Return where the steps went. Raises RuntimeError before the training."""
        return StepReport(self._started().step_records(wait=True))

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **others: Any
    ) -> None:
        """Begin to time."""
        self._remove()  # a training that raised ends without a call
        self._logged = {}
        optimizer = others.get("optimizer")
        # accelerate wraps the optimizer, and the wrapper calls no hooks.
        optimizer = getattr(optimizer, "optimizer", optimizer)
        self.handle = instrument(model, optimizer=optimizer, **self._options)
        self.handle.step()  # no step has begun; from now on, steps end in on_step_end alone

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """End a step: one per update of the weights, whatever the gradient accumulation."""
        if self.handle is not None:
            self.handle.step()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Add the times of the steps since the last log to a log of the training."""
        if self.handle is None or not logs or "loss" not in logs:
            return
        scalars = self._new_scalars()
        logs.update(scalars)
        if state.log_history:
            state.log_history[-1].update(scalars)

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Take the hooks off the model."""
        self._remove()

    def _remove(self) -> None:
        if self.handle is not None:
            self.handle.remove()

    def _started(self) -> Handle:
        if self.handle is None:
            raise RuntimeError("the training has not begun; call trainer.train() first")
        return self.handle

    def _new_scalars(self) -> dict[str, float]:
        """Return the mean times of the steps since the last call, in seconds."""
        assert self.handle is not None
        found = {}
        records = self.handle.step_records()
        parts = [("step", records.host, records.device)]
        parts += [(part.name, part.host, part.device) for part in records.parts]
        for name, host, device in parts:
            for kind, times in (("host", host), ("device", device)):
                if times is None or not times.count:
                    continue
                key = f"{self._prefix}{name.replace(' ', '_')}_{kind}"
                last = self._logged.get(key)
                is_later = last is not None and last.count <= times.count
                new = difference(times, last if is_later else None)
                self._logged[key] = times
                if new.count:
                    found[key] = new.mean
        return found
