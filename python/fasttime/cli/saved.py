# SPDX-License-Identifier: BSD-3-Clause
"""Measurements in files, as the commands `bench` and `compare` need them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import similar_files
from .failure import Failure

if TYPE_CHECKING:
    from ..measuring.measurement import Measurement


def save(measurement: Measurement, path: Path) -> None:
    """Write a measurement."""
    measured: Any = measurement
    try:
        measured.save(str(path))
    except OSError as error:
        raise Failure(f"could not save {path}: {error.strerror}", code=1) from error


def load(path: Path) -> Measurement:
    """Read a measurement; raises Failure where there is none in the file."""
    import fasttime

    from ..comparing.saved import NO_SINGLE_RUNS
    from ..measuring.measurement import Measurement
    from ..reports.report import Report

    package: Any = fasttime
    if path.is_dir():
        raise Failure(f"{path} is a folder; name a file in it")
    if not path.exists():
        raise Failure(f"there is no file {path}{similar_files(path)}")
    try:
        measurement = package.load(str(path))
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # names the file itself
        raise Failure(str(error)) from error
    if isinstance(measurement, Report):
        raise Failure(f"{path} holds a report of scopes, not a measurement: {NO_SINGLE_RUNS}")
    if not isinstance(measurement, Measurement):
        raise Failure(f"{path} holds a {type(measurement).__name__.lower()}, not a measurement")
    return measurement


def merge(measurements: Sequence[Measurement]) -> Measurement:
    """Return the measurements of several processes as one."""
    from ..measuring.measurement import Measurement

    kind: Any = Measurement
    try:
        merged: Measurement = kind.merge(*measurements)
    except ValueError as error:
        raise Failure(f"the processes measured different things: {error}", code=1) from error
    return merged


def as_json(measurement: Measurement) -> str:
    """Return what `save` writes."""
    with tempfile.TemporaryDirectory(prefix="fasttime-") as folder:
        path = Path(folder, "measurement.json")
        save(measurement, path)
        return path.read_text(encoding="utf-8").rstrip()
