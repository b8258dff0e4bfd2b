# SPDX-License-Identifier: BSD-3-Clause
"""The parts of steps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from timed_modules import host_ns
from torch import nn

import fasttime
from fasttime.modules.records import PARTS, StepRecords


class Training:
    def __init__(self) -> None:
        self.model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def instrument(self, **options: Any) -> fasttime.Handle:
        return fasttime.instrument(self.model, optimizer=self.optimizer, **options)

    def backward(self) -> None:
        self.model(torch.randn(2, 4)).sum().backward()

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.backward()
        self.optimizer.step()


def used_parts(records: StepRecords) -> set[str]:
    return {part.name for part in records.parts if part.host.total > 0}


def total_ns(durations: fasttime.Durations) -> int:
    return durations._series.moments()[1]


def test_a_step_ends_with_the_optimizer() -> None:
    training = Training()
    with training.instrument() as handle:
        for _ in range(3):
            training.step()
    records = handle.step_records()
    assert (records.count, records.ended_by) == (3, "optimizer")
    assert used_parts(records) >= {"forward", "loss", "backward", "optimizer"}
    assert [part.name for part in records.parts] == list(PARTS)


def test_the_parts_add_up_to_the_step() -> None:
    training = Training()
    with training.instrument() as handle:
        for _ in fasttime.iterate(range(5)):
            training.step()
    records = handle.step_records()
    assert sum(total_ns(part.host) for part in records.parts) == total_ns(records.host) > 0
    assert {part.host.count for part in records.parts} == {5}


def test_without_an_optimizer_backward_ends_a_step() -> None:
    training = Training()
    with fasttime.instrument(training.model) as handle:
        training.backward()
        training.backward()
    records = handle.step_records()
    assert (records.count, records.ended_by) == (2, "backward")


def test_inference_ends_a_step_with_its_forward() -> None:
    training = Training()
    with fasttime.instrument(training.model) as handle, torch.inference_mode():
        for _ in range(4):
            training.model(torch.randn(2, 4))
    records = handle.step_records()
    assert (records.count, records.ended_by) == (4, "forward")
    assert used_parts(records) <= {"forward", "other"}


def test_steps_can_be_marked_by_hand() -> None:
    training = Training()
    with training.instrument() as handle:
        training.step()
        handle.step()
        handle.reset()
        for _ in range(3):
            for _ in range(2):  # accumulates, and steps once
                training.backward()
            training.optimizer.step()
            handle.step()
    records = handle.step_records()
    assert (records.count, records.ended_by) == (3, "step()")


def test_the_last_of_several_optimizers_ends_a_step() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    optimizers = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in model]
    with fasttime.instrument(model, optimizer=optimizers) as handle:
        for _ in range(2):
            model(torch.randn(2, 4)).sum().backward()
            for optimizer in optimizers:
                optimizer.step()
    assert handle.step_records().count == 2


def test_a_skipped_optimizer_step_loses_nothing() -> None:
    training = Training()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    with training.instrument() as handle:
        for factor in (1.0, float("inf"), 1.0):
            training.optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = training.model(torch.randn(2, 4)).sum() * factor
            scaler.scale(loss).backward()
            scaler.step(training.optimizer)
            scaler.update()
            handle.step()
    records = handle.step_records()
    assert records.count == 3
    assert handle.module_records().modules[0].calls == 3


def test_a_closure_that_trains_stays_in_the_step() -> None:
    model = nn.Linear(4, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    x = torch.randn(8, 4)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(x).square().sum()
        loss.backward()
        return loss

    with fasttime.instrument(model, optimizer=optimizer) as handle:
        optimizer.step(closure)
        optimizer.step(closure)
    records = handle.step_records()
    assert records.count == 2
    assert used_parts(records) >= {"forward", "backward", "optimizer"}


def test_data_wait_is_a_part() -> None:
    training = Training()
    with training.instrument() as handle:
        for _ in fasttime.iterate([1, 2, 3]):
            training.step()
    parts = {part.name: part for part in handle.step_records().parts}
    assert parts["data wait"].host.count == 3
    assert parts["data wait"].host.min > 0


def test_a_reset_forgets_all_steps() -> None:
    training = Training()
    with training.instrument() as handle:
        training.step()
        handle.reset()
        assert handle.step_records().count == 0
        assert handle.module_records().steps == 0
        assert host_ns(handle.module_records().modules[0].forward) == 0
        training.step()
    assert handle.module_records().steps == 1
    assert handle.module_records().modules[0].calls == 1


def test_backward_is_a_part_also_when_modules_are_not_timed() -> None:
    training = Training()
    with training.instrument(backward=False) as handle:
        training.step()
    parts = {part.name: part for part in handle.step_records().parts}
    assert parts["backward"].host.total > 0


def test_a_model_without_steps_says_so() -> None:
    training = Training()
    with training.instrument() as handle:
        pass
    assert [warning.kind for warning in handle.steps().warnings] == ["no_steps"]


def _raising(handle: fasttime.Handle, error: type[BaseException]) -> None:
    """Let the handle raise when it chooses whether to time the next step."""

    def choose() -> bool:
        raise error

    assert handle._budget is not None
    handle._budget.choose = choose  # type: ignore[method-assign]


def end_forward(training: Training) -> None:
    with torch.no_grad():
        training.model(torch.randn(2, 4))


ENDS: dict[str, tuple[bool, Callable[[Training], None]]] = {
    "optimizer": (True, Training.step),
    "backward": (False, Training.backward),
    "forward": (False, end_forward),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_interrupt_at_the_end_of_a_step_passes(end: str) -> None:
    training = Training()
    has_optimizer, run = ENDS[end]
    optimizer = training.optimizer if has_optimizer else None
    with fasttime.instrument(training.model, optimizer=optimizer, overhead_budget=0.5) as handle:
        _raising(handle, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run(training)
    assert handle.step_records().count == 1


@pytest.mark.parametrize("end", ENDS)
def test_an_error_at_the_end_of_a_step_is_reported(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda error: reported.append(error.exc_type))
    training = Training()
    has_optimizer, run = ENDS[end]
    optimizer = training.optimizer if has_optimizer else None
    with fasttime.instrument(training.model, optimizer=optimizer, overhead_budget=0.5) as handle:
        _raising(handle, ValueError)
        run(training)
    assert reported == [ValueError]


def test_step_raises_what_its_callback_raises() -> None:
    training = Training()
    with training.instrument(overhead_budget=0.5) as handle:
        _raising(handle, ArithmeticError)
        training.backward()
        with pytest.raises(ArithmeticError):
            handle.step()


def test_the_child_of_a_fork_ends_its_own_steps() -> None:
    training = Training()
    with fasttime.instrument(training.model) as handle, torch.no_grad():
        training.model(torch.ones(2, 4))
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, on forking with threads
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(3):
                    training.model(torch.ones(2, 4))
                code = 0 if handle.step_records().count == 3 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert handle.step_records().count == 1
