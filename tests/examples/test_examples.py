# SPDX-License-Identifier: BSD-3-Clause
"""The programs in examples/ run on the CPU and print what they promise."""

from __future__ import annotations

import json
import re
import runpy
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch.distributed as dist
from forked import Forking

import fasttime

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    fasttime.reset()
    yield
    fasttime.reset()


def run(name: str, *arguments: str) -> None:
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](list(arguments))


def test_every_example_is_tested() -> None:
    tested = set(re.findall(r'(?:run\(|examples/)"?(\w+)(?:"|\.py)', Path(__file__).read_text()))
    programs = {path.stem for path in EXAMPLES.glob("*.py")}
    assert len(programs) >= 5
    assert programs <= tested
    assert programs == set(re.findall(r"\[`(\w+)\.py`\]", (EXAMPLES / "README.md").read_text()))


def test_training_with_amp(capsys: pytest.CaptureFixture[str]) -> None:
    run("train_with_amp", "--steps", "3", "--batch", "4")
    shown = capsys.readouterr().out
    assert shown.startswith("3 steps: mean time per step\n")
    for part in ("data wait", "forward", "backward", "optimizer"):
        assert re.search(rf"^{part} +\d", shown, re.MULTILINE), part
    assert "limits the step" in shown
    assert shown.count("Conv2d") == 2
    assert fasttime.report()["data"].count == 3


def test_layers_of_a_vision_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torchvision", reason="needs torchvision")
    saved = tmp_path / "layers.csv"
    run("vision_layers", "--steps", "1", "--batch", "2", "--size", "32", "--save", str(saved))
    shown = capsys.readouterr().out
    assert "10 of " in shown
    assert re.search(r"^Conv2d +\d+ ", shown, re.MULTILINE)
    assert saved.read_text().count("Conv2d,") > 30


def test_layers_of_a_transformer(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers", reason="needs transformers")
    run("transformer_layers", "--steps", "1", "--tokens", "8")
    shown = capsys.readouterr().out
    assert re.search(r"^LlamaAttention +2 ", shown, re.MULTILINE)
    assert re.search(r"^ +layers.0 ", shown, re.MULTILINE)
    assert shown.count(", 1 step:") == 2
    assert "\n1 step: mean time per step\n" in shown


def test_serving_with_threads(capsys: pytest.CaptureFixture[str]) -> None:
    run("serve_with_threads", "--requests", "20", "--threads", "2")
    assert re.search(r"^serve +20 ", capsys.readouterr().out, re.MULTILINE)
    report = fasttime.report()
    assert report["serve"].count == 20
    assert {site.name for site in report["serve"].children} == {"tokenise", "model", "answer"}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# What torchrun does: two processes with the same variables.
TORCHRUN = """
import json, os, runpy, sys
import torch, torch._dynamo  # once, because DDP imports it in every process

port, program, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
children = []
for rank in range(2):
    child = os.fork()
    if child == 0:
        os.environ.update(
            RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2",
            MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
        )
        torch.set_num_threads(1)
        runpy.run_path(program)["main"](arguments)
        sys.stdout.flush()
        os._exit(0)
    children.append(child)
sys.exit(max(abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])) for child in children))
"""


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
def test_ddp_with_a_slow_rank(forking: Forking) -> None:
    program = EXAMPLES / "ddp_slow_rank.py"  # examples/ddp_slow_rank.py
    arguments = ["--slow", "backward", "--steps", "3", "--ms", "1"]
    done = forking.run(TORCHRUN, str(free_port()), str(program), json.dumps(arguments))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 ranks: mean host time per call") == 2
    for row in ("step", "  data wait", "  backward", "  gradient wait", "backward"):
        assert re.search(rf"^{row} +\d.* (rank [01]|-) ", done.stdout, re.MULTILINE), row
