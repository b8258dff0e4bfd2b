# SPDX-License-Identifier: BSD-3-Clause
"""The experiments and the demo: on the CPU, with tiny models."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
import simulated_cuda
import torch
from forked import Forking
from rich.console import Console
from tiny_models import use_tiny_models

import fasttime
from fasttime import cli
from fasttime import demo as demo_module
from fasttime.environment import describe as environment
from fasttime.experiments import (
    models,
    output,
    pipeline,
    single_model,
)
from fasttime.experiments.pipeline_result import Pipeline, Trial
from fasttime.experiments.settings import Settings, Track, resolve_device
from fasttime.experiments.ways_to_time import WAYS

TINY = Settings("cpu", batch=1, repeat=4, warmup=1, rounds=2)
ON_GPU = Settings("cuda", batch=512, repeat=4, warmup=1, rounds=2)


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "real_models" in request.fixturenames:
        return
    use_tiny_models(monkeypatch)


@pytest.fixture
def real_models() -> None:
    pytest.importorskip("torchvision")


def seen_pipeline(
    whole: dict[str, float],
    small: dict[str, float],
    bottlenecks: tuple[str, ...] = ("device-bound",),
) -> Pipeline:
    """Return two equal rounds on a GPU. The large model takes twice as long as the small one."""
    trials = [
        Trial(
            round_,
            way,
            whole[way],
            (2 * small[way],) * 3 if way in small else (),
            (small[way],) * 3 if way in small else (),
            bottlenecks if way == "fasttime scopes" else (),
        )
        for round_ in range(2)
        for way in WAYS
    ]
    return Pipeline(ON_GPU, tuple(trials))


WHOLE = dict(zip(WAYS, (0.0656, 0.0656, 0.0928, 0.0929, 0.0656), strict=True))
SMALL = dict(zip(list(WAYS)[1:], (0.0071, 0.0181, 0.0181, 0.0178), strict=True))


def test_each_method_takes_one_turn_per_round() -> None:
    result = single_model.run(TINY)
    turns = Counter((reading.round, reading.method) for reading in result.readings)
    assert turns == {(r, method): 1 for r in range(2) for method in single_model.METHODS}
    assert all(len(reading.times) == TINY.kept for reading in result.readings)
    assert "they are within" in single_model.sentence([result])


def test_each_way_takes_one_turn_per_round() -> None:
    result = pipeline.run(TINY)
    on_cpu = [way for way in WAYS if way != "awaited events"]
    turns = Counter((trial.round, trial.way) for trial in result.trials)
    assert turns == {(round_, way): 1 for round_ in range(2) for way in on_cpu}
    for trial in result.trials:
        readings = 0 if trial.way == "not timed" else TINY.kept
        assert (len(trial.large), len(trial.small)) == (readings, readings)
    assert pipeline.sentence([result]).startswith("On the CPU")


def test_times_that_disagree_bring_a_warning() -> None:
    assert output.within([1.0, 1.02]) == "within 2.0 % of each other"
    assert output.within([1.0, 1.5]).endswith("of each other (too much for an idle machine)")


def test_the_seed_decides_the_order() -> None:
    def order(seed: int) -> list[tuple[int, str]]:
        settings = Settings("cpu", batch=1, repeat=1, warmup=0, rounds=4, seed=seed)
        planned: list[tuple[int, str]] = []

        def refuse(plan: list[tuple[int, str]], /, description: str) -> list[tuple[int, str]]:
            planned.extend(plan)
            return []

        pipeline.run(settings, refuse)  # type: ignore[arg-type]
        return planned

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_changes_are_taken_within_a_round() -> None:
    trials = [
        Trial(0, "not timed", 1.0, (), (), ()),
        Trial(1, "not timed", 2.0, (), (), ()),
        Trial(2, "not timed", 4.0, (), (), ()),
        Trial(0, "sync", 1.5, (1.0,), (1.0,), ()),
        Trial(1, "sync", 2.0, (2.0,), (1.0,), ()),
        Trial(2, "sync", 5.0, (3.0,), (1.0,), ()),
    ]
    row = Pipeline(TINY, tuple(trials)).row("sync")
    assert (row.change_min, row.change, row.change_max) == (0.0, 0.25, 0.5)
    assert (row.large, row.small, row.whole) == (2.0, 1.0, 2.0)


def test_the_pipeline_sentence_has_the_figures() -> None:
    said = pipeline.sentence([seen_pipeline(WHOLE, SMALL)])
    assert said == (
        "At batch 512 (device-bound) waiting for the device slows the pipeline down "
        "(sync +41.5 %, awaited events +41.6 %) and fasttime's scopes do not change it (+0.0 %); "
        "compared with sync, scopes read -1.7 % (large) and -1.7 % (small), "
        "and naive reads -60.8 % (large) and -60.8 % (small)."
    )


def test_the_pipeline_sentence_claims_no_more() -> None:
    slow_scopes = {**WHOLE, "sync": 0.0657, "fasttime scopes": 0.07}
    said = pipeline.sentence([seen_pipeline(slow_scopes, SMALL, ("host-bound", "device-bound"))])
    assert "(unclear)" in said
    assert "does not clearly slow" in said
    assert "scopes change it (+6.7 %)" in said


def test_the_lesson_has_figures_and_warnings() -> None:
    text = "\n".join(demo_module.lesson([seen_pipeline(WHOLE, SMALL)]))
    assert "The clock read 7.100 ms for the small model, which took 18.10 ms." in text
    assert "92.80 ms instead of 65.60 ms (+41.5 %)" in text
    assert "Warning" not in text
    flat = dict.fromkeys(WAYS, 0.0656)
    text = "\n".join(demo_module.lesson([seen_pipeline(flat, SMALL)] * 2))
    assert "Warning: On this machine, waiting did not clearly slow" in text


@pytest.mark.parametrize("experiment", [single_model, pipeline])
def test_results_survive_json(experiment: ModuleType, tmp_path: Path) -> None:
    result = experiment.run(TINY)
    said = experiment.sentence([result])
    made = output.document(experiment.NAME, environment.describe("cpu"), [result], said)
    output.save(made, tmp_path / "result.json")
    loaded = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert loaded == made
    assert loaded["environment"]["torch"] == torch.__version__
    assert loaded["environment"]["fasttime"] == fasttime.__version__
    assert loaded["results"][0]["settings"]["repeat"] == TINY.repeat
    assert set(loaded["results"][0]) > {"settings", "summary"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"repeat": 3, "warmup": 3}, "repeat=3, warmup=3"),
        ({"warmup": -1}, "warmup=-1"),
    ],
)
def test_impossible_settings_are_refused(changed: dict[str, int], message: str) -> None:
    sound = {"batch": 1, "repeat": 4, "warmup": 1, "rounds": 1}
    with pytest.raises(ValueError, match=message):
        Settings("cpu", **{**sound, **changed})


@pytest.mark.parametrize("name", ["toaster", "meta", "cuda:99"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        resolve_device(name)


def test_models_are_in_eval_mode(real_models: None) -> None:
    model = models.mobilenet_v3("small", TINY, num_classes=10)
    assert not model.training
    with torch.inference_mode():
        assert model(models.random_images(TINY)).shape == (1, 10)


def test_the_demo_shows_both_experiments_and_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_module, "fit", lambda *args: TINY)
    assert cli.main(["demo", "--device", "cpu", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("Single model") < shown.index("Pipeline") < shown.index("fasttime.scope(")
    assert "On the CPU all methods agree" in shown


def test_a_quick_demo_on_a_cpu_runs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def run(settings: Settings, track: Track) -> single_model.SingleModel:
        shown.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(single_model, "run", run)
    for quick in (False, True):
        with pytest.raises(KeyboardInterrupt):
            demo_module.demo(Console(file=io.StringIO()), "cpu", quick)
    assert [(one.repeat, one.rounds) for one in shown] == [(10, 3), (6, 1)]


def test_the_demo_fits_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "estimate", lambda settings: 0.25)
    assert demo_module.fit("cpu", 1, rounds=2, seconds=50.0).repeat == 20
    assert demo_module.fit("cpu", 1, rounds=2, seconds=1e6).repeat == 50
    assert demo_module.fit("cpu", 1, rounds=2, seconds=0.0).repeat == 6


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["--version"]])
def test_the_command_explains_itself(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 0
    assert "fasttime" in capsys.readouterr().out


def test_the_demo_names_a_missing_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--device", "toaster"]) == 2
    assert capsys.readouterr().err.startswith("fasttime: error: device must be cpu, cuda")


def test_a_missing_torchvision_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()  # use the real models
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    assert cli.main(["demo", "--device", "cpu"]) == 1
    message = capsys.readouterr().err
    assert "pip install 'fasttime[demo]'" in message
    assert "Traceback" not in message


@pytest.mark.skipif(
    not simulated_cuda.torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)
def test_events_and_scopes_read_exact_device_times(forking_with_gpus: Forking) -> None:
    done = forking_with_gpus.run(
        """
import torch
from simulated_cuda import Simulated

from fasttime.experiments import models, pipeline
from fasttime.experiments.settings import Settings

Simulated.preloaded().set_launch_time(2_000_000)


def two_or_four_launches(size, settings, **kwargs):
    def run(x):
        for _ in range({"small": 2, "large": 4}[size]):
            x = x + x

    return run


models.mobilenet_v3 = two_or_four_launches
models.random_images = lambda settings: torch.ones(10, device=settings.device)
result = pipeline.run(Settings("cuda:1", batch=1, repeat=3, warmup=1, rounds=1))
rows = result.rows()
for way in ("awaited events", "fasttime scopes"):
    assert (rows[way].large, rows[way].small) == (0.008, 0.004), rows
assert list(rows) == list(pipeline.WAYS)
assert result.bound == "device-bound", result
"""
    )
    assert done.returncode == 0, done.stderr
