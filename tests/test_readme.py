# SPDX-License-Identifier: BSD-3-Clause
"""The README: code runs, figures agree with the stored results, and links have a target."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fasttime

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    try:
        for block in blocks:
            smaller = block.replace("4096", "64")  # 4096 takes minutes on a CPU
            exec(compile(smaller, "README.md", "exec"), namespace)
        out = capsys.readouterr().out
        assert "model_large" in out
        assert "candidate" in out
        assert "untimed" in out
    finally:
        fasttime.reset()


def test_the_checks_run_the_readme_s_commands() -> None:
    assert "pip install '.[test]' && pytest" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "pip install '.[test]' && pytest" in README


def test_the_page_is_one_page() -> None:
    assert len(README.splitlines()) <= 150


def test_the_figures_agree_with_the_results() -> None:
    script = ROOT / "benchmarks" / "readme_tables.py"
    assert subprocess.run([sys.executable, script, "--check"]).returncode == 0


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script that writes the figures, with an empty folder for results."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("readme_tables")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


def test_without_results_there_is_no_accuracy(tables: ModuleType) -> None:
    assert tables.accuracy() == ""


def test_the_accuracy_table_has_a_row_per_tool(tables: ModuleType, tmp_path: Path) -> None:
    def row(case: str, tool: str, median: float, error: float | None) -> dict[str, object]:
        return {"case": case, "tool": tool, "median": median, "error": error, "spread": 0.015}

    kernel, model = "kernel of 2.000 µs", "MobileNetV3-Small, batch 1"
    result = {
        "budget": 0.15,
        "repetitions": 10,
        "cases": [{"name": kernel, "truth": 3.8e-6}, {"name": model, "truth": None}],
        "summary": [
            row(kernel, "torch Timer", 4.7e-6, 0.9e-6),
            row(kernel, "fasttime", 3.9e-6, 0.1e-6),
            row(model, "fasttime", 0.6e-3, None),
        ],
    }
    (tmp_path / "accuracy.json").write_text(json.dumps({"results": [result]}), encoding="utf-8")
    lines = tables.accuracy().splitlines()
    assert "medians of 10 answers, 0.15 s each" in lines[0]
    assert lines[2] == f"| error, µs | 2 µs | spread | {model} | spread |"
    assert lines[4:] == [
        "| **`fasttime.measure`** | +0.10 | 1.5% | 0.60 ms | 1.5% |",
        "| `torch.utils.benchmark.Timer` | +0.90 | 1.5% |  |  |",
    ]


def test_links_have_a_target() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
