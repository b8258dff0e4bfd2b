# SPDX-License-Identifier: BSD-3-Clause
"""Measured peaks: kept per GPU, driver and torch; none without a measurement."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from made_up_report import ENVIRONMENT

import fasttime
from fasttime import cli
from fasttime.rates import measured_peaks as measuring
from fasttime.rates import peaks as module
from fasttime.rates.measured_peaks import measure_peaks
from fasttime.rates.peaks import Peaks, cache_path, known_peaks


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with a GPU that reaches made-up rates, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    for one in (module, measuring):
        monkeypatch.setattr(one, "describe", lambda backend: ENVIRONMENT)
    monkeypatch.setattr(measuring, "_rates", lambda: iter([("copy", 4.0e12), ("float16", 8e14)]))
    return monkeypatch


def test_peaks_are_kept(gpu: pytest.MonkeyPatch) -> None:
    assert known_peaks() is None
    made = measure_peaks()
    assert known_peaks() == made
    assert made.rates == {"copy": 4.0e12, "float16": 8e14}


def test_another_driver_has_other_peaks(gpu: pytest.MonkeyPatch) -> None:
    measure_peaks()
    other = dataclasses.replace(ENVIRONMENT, driver="999")
    for one in (module, measuring):
        gpu.setattr(one, "describe", lambda backend: other)
    assert known_peaks() is None
    measure_peaks()
    gpu.setattr(module, "describe", lambda backend: ENVIRONMENT)
    assert known_peaks() is not None


def test_a_damaged_file_counts_as_none(gpu: pytest.MonkeyPatch) -> None:
    measure_peaks()
    cache_path().write_text("{", encoding="utf-8")
    assert known_peaks() is None


def test_a_cache_that_cannot_be_written_is_no_error(gpu: pytest.MonkeyPatch) -> None:
    gpu.setenv("XDG_CACHE_HOME", "/dev/null")
    assert measure_peaks().rates["copy"] == 4.0e12


def test_peaks_print_and_load(gpu: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = measure_peaks()
    assert "4.00 TB/s" in str(made)
    assert "800 TFLOP/s" in str(made)
    made.save(tmp_path / "p.json")
    loaded = fasttime.load(tmp_path / "p.json")
    assert isinstance(loaded, Peaks)
    assert loaded == made


def test_the_command_measures_once(
    gpu: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["peaks"]) == 0
    gpu.setattr(measuring, "_rates", lambda: iter([("copy", 5.0e12)]))
    assert cli.main(["peaks"]) == 0
    assert "5.00 TB/s" not in capsys.readouterr().out
    assert cli.main(["peaks", "--again"]) == 0
    assert "5.00 TB/s" in capsys.readouterr().out


def test_without_a_gpu_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main(["peaks"]) == 1
    assert "torch finds none" in capsys.readouterr().err
