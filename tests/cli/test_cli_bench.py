# SPDX-License-Identifier: BSD-3-Clause
"""`fasttime bench`: the target, the options, and where the result goes."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import fasttime
from fasttime import Measurement, loading
from fasttime.cli import bench, main, measurements
from fasttime.cli import target as targets

Asked = list[tuple[Any, tuple[Any, ...], dict[str, Any]]]

MODULE = """
    import torch
    NUMBER = 3
    layer = torch.nn.Linear(2, 2)
    def forward():
        print("chatter")
    def takes(x):
        pass
    def takes_a_default(x=1):
        pass
    def leaves():
        raise SystemExit(0)
    def raises():
        raise ValueError("its own fault")
    class Model:
        @staticmethod
        def step():
            pass
"""


def made_up(label: str = "forward", device: str = "cpu") -> Measurement:
    return Measurement(
        times=np.array([1e-3, 2e-3, 3e-3]),
        warmup_times=np.array([9e-3]),
        host_times=np.array([1e-4, 1e-4, 1e-4]),
        loop_time=1.0,
        method="event",
        label=label,
        device=device,
        warmup=1,
        repeat=4,
    )


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "model_to_bench", raising=False)
    Path("model_to_bench.py").write_text(textwrap.dedent(MODULE), encoding="utf-8")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Replace `measure`: record its arguments and return a made-up measurement."""
    calls: Asked = []

    def measure(fn: Callable[..., object], *args: Any, **options: Any) -> Measurement:
        calls.append((fn, args, options))
        fn(*args)
        return made_up()

    monkeypatch.setattr(bench, "measure", measure)
    return calls


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, Measurement]:
    """Keep the saved measurements in memory, too."""
    kept: dict[str, Measurement] = {}

    def save(measurement: Measurement, path: Path) -> None:
        kept[path.name] = measurement
        path.write_text(f'{{"label": "{measurement.label}"}}\n', encoding="utf-8")

    monkeypatch.setattr(Measurement, "save", save)
    return kept


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err.removeprefix("fasttime: error: ").rstrip()


# --- what is timed ---


def test_a_callable_in_this_folder_is_timed(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "model_to_bench:forward"]) == 0
    ((fn, args, options),) = asked
    assert (fn.__name__, args, options) == ("forward", (), {})
    assert "Measurement of model_to_bench:forward on cpu" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Model.step", "takes_a_default", "Model"])
def test_callables_without_arguments_are_timed(name: str, asked: Asked) -> None:
    assert main(["bench", f"model_to_bench:{name}"]) == 0
    assert len(asked) == 1


def test_a_builtin_without_a_signature_is_tried(asked: Asked) -> None:
    assert main(["bench", "builtins:iter"]) == 1  # it takes one argument or two
    assert len(asked) == 1


def test_a_callable_is_timed_for_real() -> None:
    found = targets.find_callable("time", "perf_counter")
    options = bench_options("time:perf_counter", "--warmup", "1", "--repeat", "4")
    measurement = bench._time(found, options)
    assert (measurement.label, len(measurement)) == ("time:perf_counter", 3)
    assert measurement.environment is not None
    assert measurement.environment.gpu is None


def bench_options(*arguments: str) -> Any:
    from fasttime.cli import _parser

    return _parser().parse_args(["bench", *arguments])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("forward", "'forward' is not a target; write module:callable, such as"),
        (":forward", "':forward' is not a target"),
        ("model_to_bench:", "'model_to_bench:' is not a target"),
        ("model_to_bench.py:forward", "write the name of the module: model_to_bench:forward"),
        ("model_to_bnech:forward", "did you mean model_to_bench?"),
        ("no_such.module:forward", "there is no module 'no_such', in this folder or installed"),
        ("model_to_bench:foward", "'model_to_bench' has no 'foward'; did you mean forward?"),
        ("model_to_bench:Model.stop", "has no 'Model.stop'; did you mean step?"),
        ("model_to_bench:NUMBER", "has type int and is not callable; name a function"),
        ("model_to_bench:layer", "missing a required argument: 'input'; name a function that"),
        ("model_to_bench:takes", "missing a required argument: 'x'; name a function that creates"),
    ],
)
def test_a_bad_target_is_one_line(
    target: str, message: str, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", target]) == 2
    assert message in error_of(capsys)
    assert not asked


def test_a_failing_import_keeps_its_traceback(
    asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("model_to_bench.py").write_text("import no_such_module_at_all\n")
    assert main(["bench", "model_to_bench:forward"]) == 1
    first, frame, *_, last = capsys.readouterr().err.splitlines()
    assert first == "Traceback (most recent call last):"
    assert 'model_to_bench.py", line 1, in <module>' in frame
    assert last == "ModuleNotFoundError: No module named 'no_such_module_at_all'"


def test_a_traceback_begins_in_the_user_s_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "model_to_bench:raises"]) == 1
    first, frame, *_ = capsys.readouterr().err.splitlines()
    assert first == "Traceback (most recent call last):"
    assert frame.endswith('model_to_bench.py", line 14, in raises')


def test_a_callable_that_exits_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "model_to_bench:leaves", "-o", "result.json"]) == 1
    said = "model_to_bench:leaves called sys.exit(0); time a callable that returns"
    assert said in capsys.readouterr().err
    assert not Path("result.json").exists()


def test_a_syntax_error_shows_no_frames(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    Path("model_to_bench.py").write_text("def\n")
    assert main(["bench", "model_to_bench:forward"]) == 1
    shown = capsys.readouterr().err
    assert "SyntaxError" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (["--warmup", "4", "--repeat", "4"], "got warmup=4, repeat=4", 2),
        (["--warmup", "0", "--repeat", "3"], "a line of fasttime's own", 1),
    ],
)
def test_errors_of_fasttime_are_one_line(
    options: list[str],
    message: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from fasttime.measuring import machine

    def is_capturing() -> bool:
        exec("raise RuntimeError('a line of fasttime\\'s own')", vars(machine))
        return False

    if code == 1:
        monkeypatch.setattr(machine, "is_capturing", is_capturing)
    assert main(["bench", "model_to_bench:takes_a_default", *options]) == code
    assert message in error_of(capsys)


# --- models ---


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace torchvision by one with two tiny models."""

    def get_model(name: str, weights: None) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.AvgPool2d(224), torch.nn.Dropout(0.5))

    models = SimpleNamespace(
        list_models=lambda module: ["mobilenet_v3_large", "mobilenet_v3_small"],
        get_model=get_model,
    )
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


def test_a_model_is_timed_in_eval_mode(zoo: None, asked: Asked) -> None:
    options = ["--batch", "2", "--dtype", "bfloat16", "--device", "cpu"]
    assert main(["bench", "torchvision:mobilenet_v3_large", *options]) == 0
    ((model, (images,), given),) = asked
    assert given == {}
    assert not model.training
    assert (images.shape, images.dtype) == ((2, 3, 224, 224), torch.bfloat16)
    assert images.is_inference()


def test_the_label_of_a_model_has_batch_and_dtype(
    zoo: None, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "torchvision:mobilenet_v3_small", "--device", "cpu"]) == 0
    label = "torchvision:mobilenet_v3_small, batch 32, float32"
    assert f"Measurement of {label} on cpu" in capsys.readouterr().out


def test_an_unknown_model_brings_a_guess(
    zoo: None, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "torchvision:mobilenet_v3_lrge", "--device", "cpu"]) == 2
    assert "'mobilenet_v3_lrge'; did you mean mobilenet_v3_large" in error_of(capsys)
    assert main(["bench", "torchvision:xyz", "--device", "cpu"]) == 2
    assert "'xyz'; some of them: mobilenet_v3_large" in error_of(capsys)


def test_a_real_model_is_built(asked: Asked) -> None:
    pytest.importorskip("torchvision")
    options = ["--batch", "1", "--device", "cpu"]
    assert main(["bench", "torchvision:mobilenet_v3_small", *options]) == 0
    ((model, _, _),) = asked
    assert type(model).__name__ == "MobileNetV3"


def test_a_missing_torchvision_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    assert main(["bench", "torchvision:mobilenet_v3_small", "--device", "cpu"]) == 1
    assert "pip install 'fasttime[demo]'" in error_of(capsys)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has"),
            "CUDA out of memory; use a smaller --batch",
        ),
        (
            RuntimeError("not implemented for 'Half'\nsee there"),
            "torchvision:mobilenet_v3_small fails on cpu: not implemented for 'Half'",
        ),
    ],
)
def test_a_failing_model_is_one_line(
    error: Exception,
    message: str,
    zoo: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(*_: object) -> None:
        raise error

    monkeypatch.setattr(bench, "measure", measure)
    assert main(["bench", "torchvision:mobilenet_v3_small", "--device", "cpu"]) == 1
    assert error_of(capsys) == message


# --- options ---


def test_options_are_passed_on_to_measure(asked: Asked) -> None:
    options = "--method sync --warmup auto --repeat 9 --budget 1.5 --no-hold --cache cold --calls 3"
    assert main(["bench", "model_to_bench:forward", *options.split()]) == 0
    assert asked[0][2] == {
        "method": "sync",
        "warmup": "auto",
        "repeat": 9,
        "budget": 1.5,
        "hold": False,
        "cache": "cold",
        "calls": 3,
    }


@pytest.mark.parametrize(
    "options",
    [
        ["--dtype", "flaot16"],
        ["--method", "magic"],
        ["--cache", "hot"],
        ["--batch", "0"],
        ["--processes", "0"],
        ["--repeat", "none"],
        ["--budget", "-1"],
        ["-o", "out.txt"],
    ],
)
def test_a_wrong_value_is_bad_usage(
    options: list[str], asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "model_to_bench:forward", *options])
    assert exit_.value.code == 2
    shown = capsys.readouterr().err
    assert options[0] in shown
    assert options[1] in shown
    assert not asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "3"], "--batch is for torchvision:<model>"),
        (["--dtype", "float16"], "--dtype is for torchvision:<model>"),
        (["--device", "cpu"], "--device cpu is for torchvision:<model>"),
    ],
)
def test_options_of_models_are_refused_for_callables(
    options: list[str], message: str, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "model_to_bench:forward", *options]) == 2
    assert error_of(capsys).startswith(message)
    assert not asked


@pytest.mark.parametrize("target", ["torchvision:mobilenet_v3_small", "model_to_bench:forward"])
def test_a_missing_device_is_reported(
    target: str,
    zoo: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", target, "--device", "cuda:0"]) == 2
    assert error_of(capsys).startswith("torch finds no CUDA device")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert main(["bench", target, "--device", "cuda:7"]) == 2
    assert error_of(capsys) == "there are 2 CUDA devices, so no 'cuda:7'"


# --- where the result goes ---


def test_the_result_is_saved_and_printed(
    asked: Asked, files: dict[str, Measurement], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "model_to_bench:forward", "-o", "out.json"]) == 0
    assert files["out.json"].label == "model_to_bench:forward"
    assert files["out.json"].environment is not None
    shown = capsys.readouterr()
    assert "Measurement of model_to_bench:forward" in shown.out
    assert shown.err == "fasttime: saved out.json\n"


def test_a_new_working_folder_does_not_move_files(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[Path] = []
    monkeypatch.setattr(Measurement, "save", lambda self, path: places.append(path))
    here = Path.cwd()
    assert main(["bench", "model_to_bench:forward", "-o", "out.json"]) == 0
    assert places == [here / "out.json"]


def test_json_is_alone_on_stdout(
    asked: Asked, files: dict[str, Measurement], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "model_to_bench:forward", "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.out == '{"label": "model_to_bench:forward"}\n'
    assert shown.err == "chatter\n"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_still_prints_the_result(
    options: list[str],
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = Measurement.save

    def save(measurement: Measurement, path: Path) -> None:
        if path.name == "out.json":
            raise OSError(28, "No space left on device")
        real(measurement, path)

    monkeypatch.setattr(Measurement, "save", save)
    target = "model_to_bench:takes_a_default"
    assert main(["bench", target, "-o", "out.json", *options]) == 1
    shown = capsys.readouterr()
    place = Path.cwd() / "out.json"
    assert shown.err == f"fasttime: error: could not save {place}: No space left on device\n"
    assert target in shown.out


def test_a_broken_pipe_loses_no_file(
    asked: Asked, files: dict[str, Measurement], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    monkeypatch.setattr("fasttime.cli._forget_stdout", lambda: None)
    assert main(["bench", "model_to_bench:takes_a_default", "-o", "out.json"]) == 141
    assert [*files] == ["out.json"]


# --- processes ---


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch, files: dict[str, Measurement]) -> list[list[str]]:
    """Replace processes: each saves a measurement. Return how they were started."""
    started: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        started.append(command)
        made_up("the child's").save(Path(command[-1]))
        return SimpleNamespace(returncode=0, stderr="noise")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(loading, "load", lambda path: files[path.name])

    def merge(*measurements: Measurement) -> Measurement:
        times = np.concatenate([measurement.times for measurement in measurements])
        counts = tuple(len(measurement) for measurement in measurements)
        return dataclasses.replace(measurements[0], times=times, processes=counts)

    monkeypatch.setattr(Measurement, "merge", staticmethod(merge))
    return started


def test_processes_are_merged(
    children: list[list[str]],
    files: dict[str, Measurement],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bench", "no.need:to_import", "--processes", "3", "-o", "all.json"]) == 0
    assert [command[1:5] for command in children] == [
        ["-m", "fasttime", "bench", "no.need:to_import"]
    ] * 3
    assert all(command[0] == sys.executable for command in children)
    assert files["all.json"].processes == (3, 3, 3)
    shown = capsys.readouterr()
    assert "Measurement of the child's" in shown.out
    assert shown.err == "fasttime: saved all.json\n"


def test_processes_get_the_options(children: list[list[str]]) -> None:
    options = ["--device", "cuda:1", "--batch", "4", "--dtype", "float16", "--method", "event"]
    options += ["--warmup", "auto", "--repeat", "9", "--budget", "1.5", "--no-hold"]
    options += ["--cache", "cold"]
    assert main(["bench", "torchvision:x", *options, "--processes", "2", "--json"]) == 0
    assert children[0][4:-2] == ["torchvision:x", *options]
    assert children[0][-2] == "--output"


@pytest.mark.parametrize(
    ("code", "how"), [(2, "ended with exit code 2"), (-9, "was ended by signal 9")]
)
def test_a_failing_process_is_reported(
    code: int,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **_: SimpleNamespace(returncode=code, stderr="its words\n"),
    )
    assert main(["bench", "a:b", "--processes", "2"]) == 1
    assert capsys.readouterr().err == (
        f"its words\nfasttime: error: process 1 of 2 {how}; its messages are above\n"
    )


def test_one_failing_process_keeps_the_others(
    children: list[list[str]],
    files: dict[str, Measurement],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = subprocess.run

    def failing(command: list[str], **options: Any) -> Any:
        done = run(command, **options)
        return SimpleNamespace(returncode=-11 if len(children) == 2 else 0, stderr=done.stderr)

    monkeypatch.setattr(subprocess, "run", failing)
    assert main(["bench", "a:b", "--processes", "4", "-o", "all.json"]) == 1
    assert files["all.json"].processes == (3, 3, 3)
    assert files["all.json"].ended_by != "interrupt"
    assert "error: process 2 of 4 was ended by signal 11; its messages are above; the result" in (
        capsys.readouterr().err
    )


def test_different_measurements_are_not_merged(
    children: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def merge(*_: Measurement) -> Measurement:
        raise ValueError("device differs")

    monkeypatch.setattr(Measurement, "merge", staticmethod(merge))
    assert main(["bench", "a:b", "--processes", "2"]) == 1
    assert error_of(capsys) == "the processes measured different things: device differs"


def test_messages_of_a_process_are_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    package = str(Path(fasttime.__file__).resolve().parents[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([package, os.environ.get("PYTHONPATH", "")]))
        assert main(["bench", "model_to_bench:foward", "--processes", "2"]) == 1
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "'model_to_bench' has no 'foward'; did you mean forward?" in shown.err
    assert "process 1 of 2 ended with exit code 2" in shown.err


def test_undecodable_messages_of_a_process_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = r"import os; os.write(2, b'caf\xe9\n'); os._exit(3)"
    real = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda _, **options: real([sys.executable, "-c", code], **options)
    )
    monkeypatch.setenv("PYTHONUTF8", "1")
    assert main(["bench", "model_to_bench:forward", "--processes", "2"]) == 1
    assert "caf\\xe9\n" in capsys.readouterr().err


def test_a_measurement_is_read_from_its_file(tmp_path: Path) -> None:
    measurements.save(made_up("of a file"), tmp_path / "a.json")
    assert measurements.load(tmp_path / "a.json").label == "of a file"
    assert measurements.as_json(made_up()) == (
        measurements.as_json(measurements.load(tmp_path / "a.json")).replace("of a file", "forward")
    )
