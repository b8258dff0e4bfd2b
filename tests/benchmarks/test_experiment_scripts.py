# SPDX-License-Identifier: BSD-3-Clause
"""The scripts that run the experiments, with tiny models on the CPU."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from tiny_models import use_tiny_models

from fasttime.environment import describe as environment
from fasttime.experiments import output, pipeline, single_model
from fasttime.experiments.settings import Settings

Load = Callable[[str], ModuleType]
TINY = Settings("cpu", batch=1, repeat=4, warmup=1, rounds=2)
ON_GPU = Settings("cuda", batch=512, repeat=4, warmup=1, rounds=2)
EXPERIMENTS = {"single_model": single_model, "pipeline": pipeline}


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_models(monkeypatch)


def test_the_first_call_is_compared_with_warm_calls(load: Load) -> None:
    first_call = load("first_call")
    result = first_call.run(TINY)
    assert 0 < result.naive <= result.done
    assert len(result.warm) == TINY.kept
    assert first_call.sentence([result]).startswith("On the CPU")


@pytest.mark.parametrize(
    ("naive", "done", "warm", "verdict"),
    [
        (0.3, 0.4, 0.01, "is wrong twice"),
        (0.4, 0.4, 0.01, "is wrong once"),
        (0.01, 0.02, 0.02, "is wrong once"),
        (0.02, 0.02, 0.02, "happens to be right"),
    ],
)
def test_the_first_call_is_judged_by_its_figures(
    naive: float, done: float, warm: float, verdict: str, load: Load
) -> None:
    first_call = load("first_call")
    assert verdict in first_call.sentence([first_call.FirstCall(ON_GPU, naive, done, (warm,))])


def test_first_call_results_survive_json(load: Load, tmp_path: Path) -> None:
    first_call = load("first_call")
    result = first_call.run(TINY)
    said = first_call.sentence([result])
    made = output.document(first_call.NAME, environment.describe("cpu"), [result], said)
    output.save(made, tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == made
    assert set(made["results"][0]) > {"settings", "summary"}


@pytest.mark.parametrize("name", ["first_call", "single_model", "pipeline"])
def test_a_script_prints_a_sentence_and_saves_json(
    name: str,
    load: Load,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
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
    ]
    monkeypatch.setattr(sys, "argv", [name, *options, "--json", str(path)])
    experiment = load("first_call") if name == "first_call" else EXPERIMENTS[name]
    common = load("_common")
    assert common.run_experiment(experiment) == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    assert capsys.readouterr().out.rstrip().splitlines()[-1] == written["sentence"]
    assert written["results"][0]["settings"]["seed"] == 3


def test_a_script_refuses_bad_options_first(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = load("_common")
    monkeypatch.setattr(sys, "argv", ["x", "--json", str(tmp_path / "none" / "a.json")])
    with pytest.raises(SystemExit) as exit_:
        common.run_experiment(pipeline)
    assert exit_.value.code == 2
    assert "cannot write a file at" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["x", "--device", "cpu", "--repeat", "1"])
    assert common.run_experiment(pipeline) == 2
    assert "repeat includes the ignored runs" in capsys.readouterr().err


def test_the_overhead_script_runs_without_a_gpu(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.json"
    options = ["--device", "cpu", "--repeat", "3", "--warmup", "0", "--rounds", "2", "--json"]
    monkeypatch.setattr(sys, "argv", ["scope_overhead", *options, str(path)])
    overhead = load("scope_overhead")
    assert overhead.main() == 0
    assert "Without a GPU" in capsys.readouterr().out
    (result,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    for rounds in result["nanoseconds"].values():
        assert [len(rows) for rows in rounds] == [overhead.ROWS] * 2


def test_overhead_runs_fit_the_launch_queue(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["scope_overhead", "--repeat", "200"])
    overhead = load("scope_overhead")
    with pytest.raises(SystemExit):
        overhead.main()
