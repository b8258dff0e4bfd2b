# SPDX-License-Identifier: BSD-3-Clause
"""The README: code runs, figures agree with the stored results, and links have a target."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
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
    assert len(blocks) == 4
    try:
        for block in blocks:
            smaller = block.replace("4096", "64")  # 4096 takes minutes on a CPU
            smaller = smaller.replace("x[:rows])", "x[:rows], budget=0.2)")
            exec(compile(smaller, "README.md", "exec"), namespace)
        out = capsys.readouterr().out
        assert "model_large" in out
        assert "candidate" in out
        assert "untimed" in out
        assert "backward" in out  # the table of modules
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


def test_links_have_a_target() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
