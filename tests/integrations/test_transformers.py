# SPDX-License-Identifier: BSD-3-Clause
"""`FasttimeCallback` in real trainings of a tiny model on the CPU."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.heavy

STEPS = 4


@pytest.fixture(scope="module")
def transformers() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that transformers imports
        pytest.importorskip("accelerate")  # the Trainer needs it
        return pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and accelerate's, in trainings
        yield


def make_callback(**options: Any) -> Any:
    return importlib.import_module("fasttime.integrations.transformers").FasttimeCallback(**options)


class Net(torch.nn.Module):
    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
        self.fails = fails

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.fails:
            raise RuntimeError("wrong in here")
        return {"loss": self.layer(x).square().mean()}


def make_trainer(
    transformers: Any, folder: Path, model: torch.nn.Module, *callbacks: Any, **options: Any
) -> Any:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=2,
        logging_steps=2,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        **options,
    )
    data = [{"x": torch.randn(4)} for _ in range(64)]
    return transformers.Trainer(
        model=model, args=arguments, train_dataset=data, callbacks=list(callbacks)
    )


def test_a_training_is_timed(transformers: Any, tmp_path: Path) -> None:
    callback = make_callback()
    make_trainer(transformers, tmp_path, Net(), callback).train()
    table, steps = callback.table(), callback.steps()
    assert table["layer"].calls == STEPS
    assert table["layer"].forward.count == STEPS
    assert table["layer"].backward.count == STEPS
    assert steps.count == STEPS
    assert steps.records.ended_by == "step()"
    assert steps["optimizer"].host.count == STEPS
    assert steps["optimizer"].host.total > 0  # of the optimizer inside accelerate's


def test_accumulation_is_one_step(transformers: Any, tmp_path: Path) -> None:
    callback = make_callback()
    make_trainer(transformers, tmp_path, Net(), callback, gradient_accumulation_steps=2).train()
    assert callback.steps().count == STEPS
    assert callback.table()["layer"].forward.count == 2 * STEPS


def test_the_log_has_the_times_of_new_steps(transformers: Any, tmp_path: Path) -> None:
    callback = make_callback()
    trainer = make_trainer(transformers, tmp_path, Net(), callback)
    trainer.train()
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(entries) == 2
    for part in ("step", "forward", "backward", "optimizer", "data_wait"):
        values = [entry[f"fasttime/{part}_host"] for entry in entries]
        steps = callback.steps()
        times = steps.host if part == "step" else steps[part.replace("_", " ")].host
        # Each entry is a mean of two steps, so their mean is the mean of all.
        assert sum(values) / 2 == pytest.approx(times.mean)
    assert not [key for entry in entries for key in entry if key.endswith("_device")]


@pytest.mark.parametrize("is_first", [True, False])
def test_trackers_get_the_numbers(transformers: Any, tmp_path: Path, is_first: bool) -> None:
    seen: list[dict[str, float]] = []

    class Tracker(transformers.TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:
            seen.append(dict(logs))

    callback = make_callback(prefix="mine/")
    trainer = make_trainer(transformers, tmp_path, Net(), Tracker())
    if is_first:
        assert callback.add_to(trainer) is callback
    else:
        trainer.add_callback(callback)
    trainer.train()
    assert ("mine/step_host" in seen[0]) == is_first


def test_the_hooks_are_taken_off(transformers: Any, tmp_path: Path) -> None:
    callback = make_callback()
    model = Net()
    make_trainer(transformers, tmp_path, model, callback).train()
    calls = callback.table()["layer"].calls
    model(torch.randn(1, 4))
    assert callback.table()["layer"].calls == calls
    assert "removed" in repr(callback.handle)


def test_a_training_after_one_that_raised(transformers: Any, tmp_path: Path) -> None:
    callback = make_callback()
    model = Net(fails=True)
    trainer = make_trainer(transformers, tmp_path, model, callback)
    with pytest.raises(RuntimeError, match="wrong in here"):
        trainer.train()
    first = callback.handle
    model.fails = False
    trainer.train()
    assert "removed" in repr(first)
    assert callback.steps().count == STEPS


def test_options_reach_instrument(transformers: Any, tmp_path: Path) -> None:
    callback = make_callback(depth=0)
    make_trainer(transformers, tmp_path, Net(), callback).train()
    assert [row.path for row in callback.table()] == [""]


def test_before_the_training_it_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"call trainer.train\(\) first"):
        make_callback().steps()
