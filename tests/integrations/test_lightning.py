# SPDX-License-Identifier: BSD-3-Clause
"""`FasttimeProfiler` in real trainings on the CPU."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from simulated_cuda import Simulated

import fasttime
from fasttime import Recorder

pytestmark = pytest.mark.heavy

BATCHES = 3


@pytest.fixture(scope="module", params=["lightning.pytorch", "pytorch_lightning"])
def lightning(request: pytest.FixtureRequest) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that Lightning imports
        return pytest.importorskip(request.param)


def profiler_class() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("fasttime.integrations.lightning").FasttimeProfiler


def make_module(lightning: ModuleType, **methods: Any) -> Any:
    class Net(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            with fasttime.scope("mine"):
                return self.layer(batch[0]).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    for name, method in methods.items():
        setattr(Net, name, method)
    return Net()


def fit(lightning: ModuleType, module: Any, profiler: Any, folder: Path) -> None:
    data = torch.utils.data.TensorDataset(torch.randn(4 * BATCHES, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on data loaders
        trainer = lightning.Trainer(  # type: ignore[attr-defined]
            profiler=profiler,
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=4))


def sites_by_name(report: fasttime.Report) -> dict[str, fasttime.SiteReport]:
    return {site.name: site for site in report.walk()}


def test_a_training_is_timed(lightning: ModuleType, tmp_path: Path) -> None:
    fasttime.reset()
    profiler = profiler_class()()
    fit(lightning, make_module(lightning), profiler, tmp_path)
    sites = sites_by_name(fasttime.report())
    assert sites["run_training_batch"].count == BATCHES
    optimizer_step = sites["[LightningModule]Net.optimizer_step"]
    inside = {site.name for site in optimizer_step.walk()}
    forward = "[Strategy]SingleDeviceStrategy.training_step"
    backward = "[Strategy]SingleDeviceStrategy.backward"
    assert {forward, backward, "mine"} <= inside
    assert sites["mine"].path.endswith(f"{forward}/mine")
    assert fasttime.report().open == 0
    # The summary has an action's self time, without the actions inside.
    assert optimizer_step.self_time is not None
    assert optimizer_step.self_time < optimizer_step.host.total
    lines = profiler.summary().splitlines()
    assert lines[0] == "fasttime fit profile"
    assert lines[1].split() == [
        "action",
        "(host",
        "times)",
        "calls",
        "self",
        "share",
        "total",
        "mean",
    ]
    row = next(text for text in lines if text.startswith("[LightningModule]Net.optimizer_step "))
    assert fasttime.text.format_seconds(optimizer_step.self_time) in row
    assert fasttime.text.format_seconds(optimizer_step.host.total) in row
    assert not any(text.startswith("mine") for text in lines)
    assert "warning (host_backend)" in lines[-1]
    fasttime.reset()


def test_the_summary_is_written(lightning: ModuleType, tmp_path: Path) -> None:
    profiler = profiler_class()(Recorder(), dirpath=tmp_path, filename="profile")
    fit(lightning, make_module(lightning), profiler, tmp_path)
    (path,) = tmp_path.glob("*profile*.txt")
    assert "run_training_batch" in path.read_text()


def test_an_exception_leaves_nothing_open(lightning: ModuleType, tmp_path: Path) -> None:
    def training_step(self: Any, batch: Any, batch_idx: int) -> Any:
        raise RuntimeError("wrong in here")

    recorder = Recorder()
    module = make_module(lightning, training_step=training_step)
    with pytest.raises(RuntimeError, match="wrong in here"):
        fit(lightning, module, profiler_class()(recorder), tmp_path)
    assert recorder.report().open == 0


def test_self_times_sort_the_summary(cuda: Simulated, recorder: Recorder) -> None:
    profiler = profiler_class()(recorder)
    for _ in range(2):
        profiler.start("outer")
        profiler.start("inner")
        cuda.enqueue(0, 3_000_000)
        cuda.advance(3_000_000)
        profiler.stop("inner")
        cuda.enqueue(0, 1_000_000)
        cuda.advance(1_000_000)
        profiler.stop("outer")
    rows = [text.split() for text in profiler.summary().splitlines()[2:4]]
    assert rows == [
        ["inner", "2", "6.000", "ms", "75.0%", "6.000", "ms", "3.000", "ms"],
        ["outer", "2", "2.000", "ms", "25.0%", "8.000", "ms", "4.000", "ms"],
    ]
    assert "action (device times)" in profiler.summary()


def test_an_action_may_contain_itself(recorder: Recorder) -> None:
    profiler = profiler_class()(recorder)
    profiler.start("a")
    profiler.start("a")
    profiler.stop("a")
    profiler.stop("a")
    assert [site.path for site in recorder.report().walk()] == ["a", "a/a"]


def test_an_end_without_a_beginning_is_refused(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="'a' has not been started"):
        profiler_class()(recorder).stop("a")
