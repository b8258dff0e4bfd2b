# SPDX-License-Identifier: BSD-3-Clause
"""The experiments, the demo and the scripts around them: on the CPU, with models of no size."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import simulated_cuda
import torch

import fasttime
from fasttime import cli
from fasttime import demo as demo_module
from fasttime.environment import describe as environment
from fasttime.experiments import (
    first_call,
    models,
    output,
    pipeline,
    single_model,
)
from fasttime.experiments.first_call import FirstCall
from fasttime.experiments.pipeline_result import Pipeline, Trial
from fasttime.experiments.settings import Settings, resolve_device
from fasttime.experiments.ways_to_time import WAYS

Script = Callable[..., ModuleType]
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = Settings("cpu", batch=1, repeat=4, warmup=1, rounds=2)
ON_GPU = Settings("cuda", batch=512, repeat=4, warmup=1, rounds=2)


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "real_models" in request.fixturenames:
        return

    def tiny(size: str, settings: Settings, **kwargs: object) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 10)
        ).eval()

    monkeypatch.setattr(models, "mobilenet_v3", tiny)
    monkeypatch.setattr(pipeline, "CPU_TASK_SHAPE", (1, 3, 8, 8))


@pytest.fixture
def real_models() -> None:
    pytest.importorskip("torchvision")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Import a script of the benchmarks' folder, with the arguments that it will see."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def load(name: str, *arguments: str) -> ModuleType:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        return importlib.import_module(name)

    return load


def seen_pipeline(
    whole: dict[str, float],
    small: dict[str, float],
    bottlenecks: tuple[str, ...] = ("device-bound",),
) -> Pipeline:
    """Return what two equal rounds on a GPU would give; the large model takes twice the small."""
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


def test_the_first_call_is_read_twice_and_compared_with_warm_ones() -> None:
    result = first_call.run(TINY)
    assert 0 < result.naive <= result.done
    assert len(result.warm) == TINY.kept
    assert first_call.sentence([result]).startswith("On the CPU")


@pytest.mark.parametrize(
    ("naive", "done", "warm", "bottleneck"),
    [
        (0.3, 0.4, 0.01, "is wrong twice"),
        (0.4, 0.4, 0.01, "is wrong once"),
        (0.01, 0.02, 0.02, "is wrong once"),
        (0.02, 0.02, 0.02, "happens to be right"),
    ],
)
def test_the_first_call_s_sentence_follows_from_its_figures(
    naive: float, done: float, warm: float, bottleneck: str
) -> None:
    assert bottleneck in first_call.sentence([FirstCall(ON_GPU, naive, done, (warm,))])


def test_each_method_takes_one_turn_a_round_on_the_single_model() -> None:
    result = single_model.run(TINY)
    turns = Counter((reading.round, reading.method) for reading in result.readings)
    assert turns == {(r, method): 1 for r in range(2) for method in single_model.METHODS}
    assert all(len(reading.times) == TINY.kept for reading in result.readings)
    assert "they lie within" in single_model.sentence([result])


def test_each_way_takes_one_turn_a_round_in_the_pipeline() -> None:
    result = pipeline.run(TINY)
    on_cpu = [way for way in WAYS if way != "awaited events"]
    turns = Counter((trial.round, trial.way) for trial in result.trials)
    assert turns == {(round_, way): 1 for round_ in range(2) for way in on_cpu}
    for trial in result.trials:
        readings = 0 if trial.way == "not timed" else TINY.kept
        assert (len(trial.large), len(trial.small)) == (readings, readings)
    assert pipeline.sentence([result]).startswith("On the CPU")


def test_times_that_should_agree_and_do_not_carry_a_warning() -> None:
    assert output.within([1.0, 1.02]) == "within 2.0 % of one another"
    assert output.within([1.0, 1.5]).endswith("too much for a machine with nothing else to do")


def test_the_order_of_the_turns_comes_from_the_seed() -> None:
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


def test_a_change_is_taken_against_the_untimed_trial_of_the_same_round() -> None:
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


def test_the_pipeline_s_sentence_says_what_was_seen() -> None:
    said = pipeline.sentence([seen_pipeline(WHOLE, SMALL)])
    assert said == (
        "At batch 512 (device-bound) waiting for the device slows the pipeline down "
        "(sync +41.5 %, awaited events +41.6 %) and fasttime's scopes leave it as it is (+0.0 %); "
        "against sync they read -1.7 % (large) and -1.7 % (small), "
        "and naive reads -60.8 % (large) and -60.8 % (small)."
    )


def test_the_pipeline_s_sentence_does_not_claim_what_was_not_seen() -> None:
    slow_scopes = {**WHOLE, "sync": 0.0657, "fasttime scopes": 0.07}
    said = pipeline.sentence([seen_pipeline(slow_scopes, SMALL, ("host-bound", "device-bound"))])
    assert "(unclear)" in said
    assert "does not clearly slow" in said
    assert "scopes change it (+6.7 %)" in said


def test_the_lesson_carries_its_figures_and_its_warnings() -> None:
    text = "\n".join(demo_module.lesson([seen_pipeline(WHOLE, SMALL)]))
    assert "the small model read 7.100 ms, where it took 18.10 ms" in text
    assert "92.80 ms instead of 65.60 ms (+41.5 %)" in text
    assert "But note" not in text
    flat = dict.fromkeys(WAYS, 0.0656)
    text = "\n".join(demo_module.lesson([seen_pipeline(flat, SMALL)] * 2))
    assert "But note: on this machine waiting did not clearly slow" in text


@pytest.mark.parametrize("experiment", [first_call, single_model, pipeline])
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
def test_settings_that_make_no_sense_are_refused(changed: dict[str, int], message: str) -> None:
    sound = {"batch": 1, "repeat": 4, "warmup": 1, "rounds": 1}
    with pytest.raises(ValueError, match=message):
        Settings("cpu", **{**sound, **changed})


@pytest.mark.parametrize("name", ["toaster", "meta", "cuda:99"])
def test_a_device_that_cannot_be_timed_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        resolve_device(name)


def test_the_models_are_in_eval_mode_with_the_head_asked_for(real_models: None) -> None:
    model = models.mobilenet_v3("small", TINY, num_classes=10)
    assert not model.training
    with torch.inference_mode():
        assert model(models.random_images(TINY)).shape == (1, 10)


def test_the_demo_shows_both_experiments_and_ends_with_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_module, "fit", lambda *args: TINY)
    assert cli.main(["demo", "--device", "cpu", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("Single model") < shown.index("Pipeline") < shown.index("fasttime.scope(")
    assert "Without a GPU all methods agree" in shown


def test_the_demo_s_runs_fit_the_time_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_command_says_which_device_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["demo", "--device", "toaster"]) == 2
    assert capsys.readouterr().err.startswith("fasttime: error: device must be cpu, cuda")


def test_the_command_says_what_to_install_where_torchvision_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()  # the real builder of models, without torchvision
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    assert cli.main(["demo", "--device", "cpu"]) == 1
    message = capsys.readouterr().err
    assert "pip install 'fasttime[demo]'" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("name", ["first_call", "single_model", "pipeline"])
def test_a_script_ends_in_one_sentence_and_writes_json(
    name: str, script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.json"
    options = [
        "--device",
        "cpu",
        "--batch",
        "1",
        "--repeat",
        "4",
        "--warmup",
        "1",
        "--rounds",
        "2",
        "--seed",
        "3",
        "--json",
    ]
    common = script("_common", *options, str(path))
    experiment = importlib.import_module(f"fasttime.experiments.{name}")
    assert common.run_experiment(experiment) == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    assert capsys.readouterr().out.rstrip().splitlines()[-1] == written["sentence"]
    assert written["results"][0]["settings"]["seed"] == 3


def test_a_script_refuses_bad_options_before_it_starts(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = script("_common", "--json", str(tmp_path / "none" / "a.json"))
    with pytest.raises(SystemExit) as exit_:
        common.run_experiment(pipeline)
    assert exit_.value.code == 2
    assert "cannot write a file at" in capsys.readouterr().err
    common = script("_common", "--device", "cpu", "--repeat", "1")
    assert common.run_experiment(pipeline) == 2
    assert "repeat counts the ignored runs too" in capsys.readouterr().err


def test_the_overhead_script_has_the_host_s_figures_without_a_gpu(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.json"
    options = ["--device", "cpu", "--repeat", "3", "--warmup", "0", "--rounds", "2", "--json"]
    overhead = script("scope_overhead", *options, str(path))
    assert overhead.main() == 0
    assert "Without a GPU there are only the host's figures" in capsys.readouterr().out
    (result,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    for rounds in result["nanoseconds"].values():
        assert [len(rows) for rows in rounds] == [overhead.ROWS] * 2


def test_the_overhead_script_never_fills_a_launch_queue(script: Script) -> None:
    overhead = script("scope_overhead", "--repeat", "200")
    with pytest.raises(SystemExit):
        overhead.main()


@pytest.mark.skipif(
    not simulated_cuda.torch_can_be_simulated(), reason="torch here is not built for CUDA 13"
)
def test_on_a_device_events_and_scopes_read_its_time_exactly(simulated_library: Path) -> None:
    done = simulated_cuda.run_under_simulation(
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
""",
        simulated_library,
    )
    assert done.returncode == 0, done.stderr
