# SPDX-License-Identifier: BSD-3-Clause
"""A comparison as the content of a document, and back."""

from __future__ import annotations

from typing import Any

from ..documents import Fields
from ..measuring.document import to_content as measurement_to_content
from ..measuring.measurement import from_content as measurement_from_content
from .comparison import Comparison


def to_content(comparison: Comparison) -> dict[str, Any]:
    """Return what is written. Raises ValueError where `from_content` would not take it back."""
    check(comparison)
    return {
        "batch_runs": comparison.batch_runs,
        "margin": comparison.margin,
        "level": comparison.level,
        "duration": comparison.duration,
        "candidates": [
            {"name": name, "measurement": measurement_to_content(measurement)}
            for name, measurement in comparison.measurements.items()
        ],
    }


def from_content(fields: Fields) -> Comparison:
    """Return the comparison that was written. Raises ValueError where there is none."""
    candidates = fields.objects("candidates")
    measurements = {
        candidate.text("name"): measurement_from_content(candidate.object("measurement"))
        for candidate in candidates
    }
    if len(measurements) < len(candidates):
        raise ValueError("two candidates have the same name")
    comparison = Comparison(
        measurements=measurements,
        batch_runs=fields.count("batch_runs", at_least=1),
        margin=fields.number("margin"),
        level=fields.number("level"),
        duration=fields.number("duration"),
    )
    check(comparison)
    return comparison


def check(comparison: Comparison) -> None:
    """Raise ValueError unless the rounds of a comparison can be told apart."""
    if len(comparison.measurements) < 2:
        raise ValueError(f"a comparison has two candidates, not {len(comparison.measurements)}")
    runs = {name: len(measurement) for name, measurement in comparison.measurements.items()}
    if len(set(runs.values())) > 1 or next(iter(runs.values())) % comparison.batch_runs:
        raise ValueError(
            f"candidates have {runs} runs, and should all have the same whole number of batches of "
            f"{comparison.batch_runs}"
        )
    for name in ("margin", "level"):
        if not 0 < getattr(comparison, name) < 1:
            raise ValueError(
                f"{name} is {getattr(comparison, name)}, and should be between 0 and 1"
            )
    if not comparison.duration >= 0:
        raise ValueError(f"duration is {comparison.duration}, and cannot be negative")
