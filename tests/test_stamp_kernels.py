# SPDX-License-Identifier: BSD-3-Clause
"""The PTX that the extension embeds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import stamp_ptx

from fasttime import _native


@pytest.mark.skipif(stamp_ptx.compiler() is None, reason="needs nvcc")
def test_the_ptx_agrees_with_its_source() -> None:
    if "release 13.0" not in version():
        pytest.skip("another nvcc than the one that made the PTX words it differently")
    assert stamp_ptx.embedded() == stamp_ptx.compiled()


@pytest.mark.skipif(shutil.which("ptxas") is None, reason="needs ptxas")
@pytest.mark.parametrize("gpu", ["sm_75", "sm_80", "sm_90", "sm_100"])
def test_the_ptx_translates_for_each_gpu(gpu: str, tmp_path: Path) -> None:
    text = tmp_path / "stamps.ptx"
    text.write_text(stamp_ptx.embedded())
    subprocess.run(["ptxas", "--gpu-name", gpu, text, "-o", tmp_path / "stamps"], check=True)


def test_old_drivers_accept_the_ptx() -> None:
    header = stamp_ptx.embedded().splitlines()[:3]
    assert header == [".version 6.0", ".target sm_60", ".address_size 64"]


def test_the_extension_has_the_ptx() -> None:
    assert stamp_ptx.embedded().encode() in Path(_native._C.__file__).read_bytes()


def version() -> str:
    compiler = stamp_ptx.compiler()
    assert compiler is not None
    return subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
