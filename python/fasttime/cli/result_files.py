# SPDX-License-Identifier: BSD-3-Clause
"""Results in files that the command line names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .. import loading
from ..measuring.measurement import Measurement
from ..reports.report import Report
from .arguments import similar_files
from .output import Failure


def load_result(path: Path) -> loading.Loaded:
    """Read a saved result; raise Failure if the file holds none."""
    if path.is_dir():
        raise Failure(f"{path} is a folder; name a file in it")
    if not path.exists():
        raise Failure(f"there is no file {path}{similar_files(path)}")
    try:
        return loading.load(path)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # its message names the file
        raise Failure(str(error)) from error


class Side(NamedTuple):
    """One side of a comparison.

    Attributes:
        name: what the user named.
        files: the files that were read.
        content: a measurement, or reports of separate intervals or processes.
    """

    name: Path
    files: list[Path]
    content: Measurement | list[Report]


def load_side(path: Path) -> Side:
    """Read a measurement, a report or a folder of reports; raise Failure if there is none."""
    if path.is_dir():
        return _load_folder(path)
    loaded = load_result(path)
    if isinstance(loaded, Measurement):
        return Side(path, [path], loaded)
    return Side(path, [path], [_as_report(path, loaded)])


def _load_folder(folder: Path) -> Side:
    # Hidden files do not count, as in a shell's pattern.
    files = [path for path in sorted(folder.glob("*.json")) if not path.name.startswith(".")]
    if not files:
        raise Failure(f"the folder {folder} has no .json files; name a folder of saved reports")
    reports = []
    for path in files:
        loaded = load_result(path)
        if isinstance(loaded, Measurement):
            raise Failure(
                f"{path} holds a measurement, but a folder may hold only reports. To compare "
                "measurements of several processes, merge them first: fasttime merge"
            )
        reports.append(_as_report(path, loaded))
    return Side(folder, files, reports)


def _as_report(path: Path, loaded: loading.Loaded) -> Report:
    if not isinstance(loaded, Report):
        raise Failure(
            f"{path} holds a {type(loaded).__name__}; compare takes measurements, reports and "
            "folders of reports"
        )
    return loaded
