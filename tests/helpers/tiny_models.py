# SPDX-License-Identifier: BSD-3-Clause
"""Experiments with models and tasks that take no time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from fasttime.experiments import models, pipeline
from fasttime.experiments.settings import Settings


def use_tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the models and the CPU task of the experiments."""

    def tiny(size: str, settings: Settings, **kwargs: object) -> torch.nn.Module:
        return torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 10)
        ).eval()

    monkeypatch.setattr(models, "mobilenet_v3", tiny)
    monkeypatch.setattr(pipeline, "CPU_TASK_SHAPE", (1, 3, 8, 8))
    monkeypatch.setattr(pipeline, "gc", SimpleNamespace(collect=lambda: None))  # slow with torch
